// Parameters in registers (PTX ISA 7.1): rewritten into `.param` variables.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "RegisterParameters.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// The suffix by which bits of the type are loaded and stored.
const char *bitsOf(Type type) {
  switch (typeBits(type)) {
  case 8:
    return "b8";
  case 16:
    return "b16";
  case 32:
    return "b32";
  case 64:
    return "b64";
  default:
    return "b128";
  }
}

/// Writes one function anew.
class Rewriter {
public:
  Rewriter(const ModuleAst &module, Function &function) : module(module), function(function) {}

  void run() {
    if (!needed())
      return;
    std::vector<Instruction> old = std::move(function.body);
    function.body.clear();
    for (const auto &[variable, index] : function.registerParams)
      move(true, variable, registerOperand(index), -1, false, function.line);
    std::vector<int> places; // of the old statements
    for (Instruction &instruction : old) {
      places.push_back(static_cast<int>(function.body.size()));
      if (instruction.opcode == "ret")
        giveBack(instruction);
      if (instruction.opcode == "call")
        rewriteCall(std::move(instruction));
      else
        function.body.push_back(std::move(instruction));
    }
    places.push_back(static_cast<int>(function.body.size()));
    giveBack(Instruction()); // where the text ends without `ret`
    for (auto &scope : function.labels)
      for (auto &[name, statement] : scope)
        statement = places[static_cast<size_t>(statement)];
  }

private:
  static bool isList(const Operand &operand) { return operand.kind == Operand::List; }
  static bool isInRegister(const Operand &element) { return element.kind != Operand::Variable && element.kind != Operand::Sink; }

  bool needed() const {
    if (!function.registerParams.empty() || !function.registerReturns.empty())
      return true;
    for (const Instruction &instruction : function.body)
      if (instruction.opcode == "call")
        for (const Operand &operand : instruction.operands)
          if (isList(operand) && std::any_of(operand.elements.begin(), operand.elements.end(), isInRegister))
            return true;
    return false;
  }

  Operand registerOperand(int index) const {
    Operand operand;
    operand.kind = Operand::Register;
    operand.index = index;
    operand.name = function.registers[static_cast<size_t>(index)].name;
    return operand;
  }

  void move(bool isLoad, int variable, Operand value, int guard, bool guardNegated, int line) {
    const Variable &declared = function.variables[static_cast<size_t>(variable)];
    Instruction instruction;
    instruction.line = line;
    instruction.guard = guard;
    instruction.guardNegated = guardNegated;
    instruction.opcode = isLoad ? "ld" : "st";
    instruction.mods = {"param", bitsOf(declared.type)};
    Operand base, address;
    base.kind = Operand::Variable;
    base.index = variable;
    base.name = declared.name;
    address.kind = Operand::Address;
    address.elements = {base};
    instruction.operands = {address, value};
    if (isLoad)
      std::swap(instruction.operands[0], instruction.operands[1]);
    function.body.push_back(std::move(instruction));
  }

  void giveBack(const Instruction &at) {
    for (const auto &[variable, index] : function.registerReturns)
      move(false, variable, registerOperand(index), at.guard, at.guardNegated, at.line ? at.line : function.line);
  }

  const Function *callee(const Instruction &call) const {
    for (const Operand &operand : call.operands)
      if (operand.kind == Operand::Symbol)
        for (const Function &candidate : module.functions)
          if (candidate.name == operand.name)
            return &candidate;
    return nullptr;
  }

  void rewriteCall(Instruction call) {
    const Function *target = callee(call);
    std::vector<std::pair<int, Operand>> results;
    bool isBeforeTarget = true;
    for (Operand &list : call.operands) {
      if (!isList(list)) {
        isBeforeTarget = false;
        continue;
      }
      for (size_t i = 0; i < list.elements.size(); ++i) {
        if (!isInRegister(list.elements[i]))
          continue;
        const std::vector<int> *formals = target ? isBeforeTarget ? &target->returns : &target->params : nullptr;
        if (!formals || i >= formals->size()) {
          call.unsupported = "a call through a pointer, or of what is not declared, with registers as parameters is not supported";
          break;
        }
        Variable passed = target->variables[static_cast<size_t>((*formals)[i])];
        passed.name = fmt::format("parameter {} of the call at line {}", i, call.line);
        function.variables.push_back(passed);
        int variable = static_cast<int>(function.variables.size()) - 1;
        if (isBeforeTarget)
          results.emplace_back(variable, list.elements[i]);
        else
          move(false, variable, list.elements[i], call.guard, call.guardNegated, call.line);
        Operand stands;
        stands.kind = Operand::Variable;
        stands.index = variable;
        stands.name = passed.name;
        list.elements[i] = stands;
      }
    }
    int guard = call.guard, line = call.line;
    bool guardNegated = call.guardNegated;
    function.body.push_back(std::move(call));
    for (const auto &[variable, operand] : results)
      move(true, variable, operand, guard, guardNegated, line);
  }

  const ModuleAst &module;
  Function &function;
};

} // namespace

void passRegisters(ModuleAst &module) {
  for (Function &function : module.functions)
    if (function.hasBody)
      Rewriter(module, function).run();
}

} // namespace emulator
} // namespace fourfold
