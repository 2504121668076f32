// What the parser reads from PTX text: functions, variables, statements.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_AST_H
#define FOURFOLD_RUNTIME_EMULATOR_AST_H

#include "Types.h"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

/// A mistake in the PTX, or something not supported; becomes the message of a failed module load.
struct LoadError : std::runtime_error {
  LoadError(int line, const std::string &message) : std::runtime_error(message), line(line) {}
  int line;
};

/// Something that PTX has and the emulated device has not: the module loads, and an error comes when a kernel that reaches it is launched.
struct Unsupported : LoadError {
  using LoadError::LoadError;
};

/// State spaces of variables and addresses (PTX ISA 5.1).
enum class Space : uint8_t { Generic, Global, Const, Shared, Local, Param };

/// One operand as written.
struct Operand {
  enum Kind : uint8_t { Register, Integer, Float32, Float64, Vector, Address, Symbol, Variable, Sink, Special, List };
  Kind kind = Sink;
  bool negated = false;          // !%p
  std::string name;              // symbols, special registers
  int index = -1;                // register or local variable
  int64_t value = 0;             // integer, float bits, or address offset
  int scope = 0;                 // of a symbol, for labels
  std::vector<Operand> elements; // vectors, lists, an address's base
  std::vector<Operand> paired;   // the `q` of `p|q`
};

struct Instruction {
  int line = 0;
  int guard = -1; // register
  bool guardNegated = false;
  std::string opcode;
  std::vector<std::string> mods;
  std::vector<Operand> operands;
  std::string unsupported; // why it is not, where the parser knows
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::B8;
  int64_t bytes = 0;
  int alignment = 1;
  bool isExtern = false;
  bool isUnsized = false;
  int line = 0;
  std::string unsupported; // why it cannot be used
  std::vector<uint8_t> initializer;
  struct Fixup {
    int64_t offset;
    std::string symbol;
    int64_t addend;
    bool generic;
    int bytes;
    int shift; // the part of the address: LLVM initialises bytes by themselves where a struct is packed
  };
  std::vector<Fixup> fixups;
};

struct RegisterDecl {
  std::string name;
  Type type;
};

struct Function {
  std::string name;
  bool isEntry = false;
  bool hasBody = false;
  int line = 0;
  std::vector<int> params, returns; // local variables
  /// Of parameters and return values in registers: the variable of `params` or `returns` that stands for it, and the register.
  std::vector<std::pair<int, int>> registerParams, registerReturns;
  std::vector<RegisterDecl> registers;
  std::vector<Variable> variables;
  std::vector<Instruction> body;
  std::vector<int> scopeParents;
  std::vector<std::map<std::string, int>> labels; // by scope: statement index
  std::map<std::string, std::vector<std::string>> branchTargets;
  unsigned maxThreads[3] = {0, 0, 0};
  unsigned requiredThreads[3] = {0, 0, 0};
  unsigned requiredCluster[3] = {0, 0, 0};
  unsigned maxClusterRank = 0;
  bool isExplicitCluster = false, countsClusters = false;
  int minBlocks = 0;
  std::string unsupported; // why it cannot be called or launched
};

struct ModuleAst {
  int versionMajor = 0, versionMinor = 0;
  std::string target;
  int addressSize = 64;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::vector<std::string> lines; // the source, for messages
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_AST_H
