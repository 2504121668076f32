// Turns parsed functions into kernels: slots for registers, handlers for instructions, calls inlined.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_DECODER_H
#define FOURFOLD_RUNTIME_EMULATOR_DECODER_H

#include "Ast.h"
#include "Program.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fourfold {
namespace emulator {

/// What a module-level name stands for.
struct Symbol {
  Space space = Space::Global;
  uint64_t address = 0; // global, const: device address
  const Variable *variable = nullptr;
};

struct DecodeContext {
  const ModuleAst *module = nullptr;
  std::map<std::string, Symbol> symbols;
  std::shared_ptr<const std::vector<std::string>> source;
};

/// One use of a 32-bit register by an instruction.
struct RegisterUse {
  uint32_t instruction, slot;
  bool isWrite;
};

/// Decodes one kernel; the instruction families (Integer.cpp, Float.cpp, ...) call back for operands.
class Decoder {
public:
  Decoder(const DecodeContext &context, const Function &entry);
  /// What is unsupported is noted in Kernel::missing; throws LoadError where the PTX is wrong.
  Kernel run();

  // The instruction being decoded.
  const Instruction &ast() const { return *current; }
  Instr &out() { return kernel.code.back(); }
  Kernel &result() { return kernel; }

  /// The instruction is not one that the emulated device has: whoever reaches it cannot run.
  [[noreturn]] void fail(const std::string &message) const;
  /// The module is wrong and does not load: a name that stands for nothing.
  [[noreturn]] void malformed(const std::string &message) const;
  /// Removes a modifier; what is left over at the end is an error.
  bool take(std::string_view mod);
  /// Removes and returns the first modifier that starts with the prefix, or "".
  std::string takePrefix(std::string_view prefix);
  /// Removes and returns the first modifier that is a type.
  Type takeType();
  Type requireType();

  size_t numOperands() const { return current->operands.size(); }
  const Operand &operand(size_t i) const;
  void expectOperands(size_t low, size_t high) const;

  /// A slot for reading: register, immediate of the type, special register, address of a variable.
  uint32_t source(const Operand &operand, Type type);
  /// A slot for a 32-bit value that selects something (lane, count).
  uint32_t source32(const Operand &operand) { return source(operand, Type::U32); }
  /// A predicate slot; `negated` gets the `!`.
  uint32_t predicate(const Operand &operand, bool &negated);
  /// A slot for writing.
  uint32_t destination(const Operand &operand, Type type);
  uint32_t predicateDestination(const Operand &operand);
  /// Fills src[0], wideAddress and offset from `[base+offset]`; resolves the space of variables.
  void address(const Operand &operand, Space &space);
  uint32_t constant(uint64_t bits, int width);
  uint32_t special(const std::string &name);
  Type registerType(const Operand &operand) const;

  uint32_t label(const Operand &operand);
  const std::vector<std::string> *branchTargets(const std::string &name) const;
  /// Threads have a stack, as where functions are called.
  void needStack() { usesStack = true; }
  uint32_t labelByName(const std::string &name, int scope);

private:
  struct Place {
    Space space;
    uint64_t offset; // of a called function's variables: in its frame
  };
  struct Frame {
    const Function *function;
    std::vector<uint32_t> slots;
    std::vector<Place> places;
    std::vector<uint32_t> starts; // statement -> label id
    uint32_t end;                 // label id
    int depth;
  };

  void inlineFunction(Frame &frame);
  std::string describe(const std::string &message) const;
  void decodeOne(const Instruction &instruction);
  void decodeSupported(const Instruction &instruction);
  void noteMissing(const LoadError &error);
  void spreadMissing();
  void decodeCall();
  void decodeSupplied(const std::string &name, const Function &callee, const std::vector<Place> &arguments, const std::vector<Place> &returns);
  void emitCall(const std::vector<Place> &arguments, const std::vector<Place> &returns);
  void decodeCallees();
  uint32_t calleeIndex(const Function &function);
  std::vector<Place> callPlaces(const Operand *list, const char *what);
  uint32_t localAddress(uint64_t offset);
  uint32_t frameBase() const { return region ? region->baseSlot : kZeroSlot; }
  void placeVariables(Frame &frame, const std::vector<Place> &params, const std::vector<Place> &returns);
  uint32_t allocate(int bits);
  void resolve();
  void noteUse(uint32_t slot, bool isWrite) { uses.push_back({static_cast<uint32_t>(kernel.code.size()) - 1, slot, isWrite}); }

  const DecodeContext &context;
  const Function &entry;
  Kernel kernel;
  Frame *frame = nullptr;
  const Instruction *current = nullptr;
  std::vector<std::string> mods;
  std::vector<uint32_t> labels; // label id -> instruction
  std::vector<const Function *> active;
  std::vector<const Function *> callees; // as Kernel::callees
  std::vector<std::pair<uint32_t, uint32_t>> directCalls; // by name: callers, kNone for the kernel, and callees
  uint32_t regionIndex = kNone;          // of `region`
  Callee *region = nullptr;              // the called function that is being decoded, null for the kernel
  std::map<uint64_t, uint32_t> regionAddresses; // its slots for addresses of its variables, by offset
  std::map<std::pair<uint64_t, int>, uint32_t> constantSlots;
  std::map<std::string, uint32_t> sharedPlaces;
  bool usesStack = false;
  uint32_t usedDynamicAlignment = 16;
  std::vector<uint32_t> dynamicConstants; // constants to be moved to the dynamic base
  std::vector<RegisterUse> uses;
};

/// Each returns false if the opcode is not of its family.
bool decodeInteger(Decoder &decoder);
bool decodeBits(Decoder &decoder);
bool decodeFloat(Decoder &decoder);
bool decodeHalf(Decoder &decoder);
bool decodeMixedFloat(Decoder &decoder);
bool decodePairedFloat(Decoder &decoder);
bool decodeCompare(Decoder &decoder);
bool decodeConvert(Decoder &decoder);
bool decodeMove(Decoder &decoder);
bool decodeMemory(Decoder &decoder);
bool decodeAtomic(Decoder &decoder);
bool decodeControl(Decoder &decoder);
bool decodeWarpWide(Decoder &decoder);
bool decodeAsyncCopy(Decoder &decoder);
/// cp.async.bulk, cp.reduce.async.bulk, their tensor forms, and the fences that belong to them.
bool decodeBulkCopy(Decoder &decoder);
/// tensormap.replace, tensormap.cp_fenceproxy.
bool decodeTensorMapChange(Decoder &decoder);
bool decodeMatrix(Decoder &decoder);
bool decodeWgmma(Decoder &decoder);
bool decodeTcgen05(Decoder &decoder);
bool decodeMinMax3(Decoder &decoder);
bool decodeStack(Decoder &decoder);
/// Cache policies, prefetches and other instructions about ranges of memory; st.bulk.
bool decodeMemoryRange(Decoder &decoder);
/// ldmatrix and stmatrix of bytes, movmatrix.
bool decodeMatrixBytes(Decoder &decoder);
/// Puts `guard` before the instructions that touch a register of those for which `concerned` is true, but for those that own them. A kernel
/// has one kind of guard.
void guardRegisters(Kernel &kernel, const std::vector<RegisterUse> &uses, const std::vector<bool> &concerned, bool (*owns)(const Instr &), Handler guard);
/// Puts guards before the instructions that touch registers of a wgmma.
void guardWgmmaRegisters(Kernel &kernel, const std::vector<RegisterUse> &uses);
/// The same for those that tcgen05.ld loads.
void guardTensorRegisters(Kernel &kernel, const std::vector<RegisterUse> &uses);

/// The handlers of calls of what the CUDA driver supplies: `list` holds the places of arguments and result in local memory, from src[2] on.
void failAssertion(Warp &warp, const Instr &in, uint32_t mask);
void printFormatted(Warp &warp, const Instr &in, uint32_t mask);
void allocateInKernel(Warp &warp, const Instr &in, uint32_t mask);
void freeInKernel(Warp &warp, const Instr &in, uint32_t mask);
/// Where a thread's .param variable of such a call lies.
uint8_t *callVariable(Warp &warp, const Instr &in, int lane, uint32_t offset);

/// Fills Instr::reconverge of all branches with the immediate post-dominator.
void findReconvergence(std::vector<Instr> &code);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_DECODER_H
