// Which part of a multiprocessor a PTX instruction keeps busy, and for how many issue slots.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Cost.h"

#include "Ast.h"

#include <algorithm>
#include <array>

namespace fourfold {
namespace emulator {

namespace {

bool has(const Instruction &instruction, std::string_view mod) {
  return std::find(instruction.mods.begin(), instruction.mods.end(), mod) != instruction.mods.end();
}

/// The types among the modifiers, in order; a conversion has two, to and from.
std::array<std::string_view, 2> typesOf(const Instruction &instruction) {
  static constexpr std::string_view names[] = {
      "u8",  "u16",  "u32",  "u64",   "s8",     "s16",    "s32",    "s64",    "b8",     "b16",       "b32",       "b64",       "b128",
      "f16", "f16x2", "bf16", "bf16x2", "f32",  "f32x2",  "f64",    "tf32",   "e4m3x2", "e5m2x2",    "e2m1x2",    "e2m3x2",    "e3m2x2",
      "ue8m0x2", "u16x2", "s16x2", "pred"};
  std::array<std::string_view, 2> types{};
  size_t count = 0;
  for (const std::string &mod : instruction.mods)
    if (count < 2 && std::find(std::begin(names), std::end(names), mod) != std::end(names))
      types[count++] = mod;
  return types;
}

bool isWide(std::string_view type) { return type == "u64" || type == "s64" || type == "b64" || type == "b128"; }
bool isHalf(std::string_view type) { return type == "f16" || type == "f16x2" || type == "bf16" || type == "bf16x2"; }
bool isInteger(std::string_view type) { return !type.empty() && (type[0] == 'u' || type[0] == 's' || type[0] == 'b') && !isHalf(type); }

template <size_t n>
bool oneOf(std::string_view name, const std::string_view (&names)[n]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// Between types. What rounds to fewer bits goes to the unit of special functions (16 results a cycle); from 8 and 16 bits up, the ALU's
/// 64 (footnotes of the table).
InstrCost conversion(std::string_view to, std::string_view from) {
  if (to == "f64" || from == "f64")
    return {Pipe::Fp64, 1};
  if (isInteger(to) && isInteger(from))
    return {Pipe::Alu, static_cast<uint8_t>(isWide(to) && !isWide(from) ? 1 : isWide(from) ? 0 : 1)};
  if (to == "f32" && (isHalf(from) || from.empty()))
    return {Pipe::Alu, 1};
  return {Pipe::Xu, static_cast<uint8_t>(isWide(to) || isWide(from) ? 2 : 1)};
}

/// Division and roots are programs; their lengths are those that ptxas writes for the common path.
InstrCost program(const Instruction &instruction, std::string_view type) {
  bool isApproximate = has(instruction, "approx") || has(instruction, "full");
  if (instruction.opcode == "div" || instruction.opcode == "rem") {
    if (isInteger(type))
      return {Pipe::Alu, static_cast<uint8_t>(isWide(type) ? 70 : 18)};
    if (type == "f64")
      return {Pipe::Fp64, 10};
    return {isApproximate ? Pipe::Xu : Pipe::Fma, static_cast<uint8_t>(isApproximate ? 2 : 9)};
  }
  if (type == "f64")
    return {Pipe::Fp64, static_cast<uint8_t>(isApproximate ? 1 : 8)};
  return {isApproximate ? Pipe::Xu : Pipe::Fma, static_cast<uint8_t>(isApproximate ? 1 : 7)}; // rcp, sqrt, rsqrt
}

bool isSpecial(const Operand &operand) { return operand.kind == Operand::Special; }

} // namespace

std::string_view pipeName(Pipe pipe) {
  static constexpr std::string_view names[] = {"none", "control", "fma", "half", "alu", "integer", "multiply", "fp64", "xu", "lsu", "tensor"};
  static_assert(std::size(names) == kPipes);
  return names[static_cast<size_t>(pipe)];
}

InstrCost costOf(const Instruction &instruction) {
  std::string_view op = instruction.opcode;
  auto types = typesOf(instruction);
  std::string_view type = types[0];
  uint8_t words = isWide(type) ? 2 : 1;

  if (op == "mov") // the assembler renames; special registers are read, constants put in by the user of the register
    return std::any_of(instruction.operands.begin(), instruction.operands.end(), isSpecial) ? InstrCost{Pipe::Control, 1} : InstrCost{};
  if (op == "cvta" || op == "isspacep" || op == "createpolicy")
    return {};
  if ((op == "ld" || op == "st") && (has(instruction, "param") || has(instruction, "param::entry") || has(instruction, "param::func")))
    return {}; // constant bank operands, or registers of an inlined call
  if (op == "mma" || op == "wgmma" || op == "wmma") {
    bool isMatrix = op == "mma" || has(instruction, "mma_async") || has(instruction, "mma");
    return {isMatrix ? Pipe::Tensor : op == "wmma" ? Pipe::Lsu : Pipe::Control, 1};
  }
  if (op == "tcgen05") { // one thread or warp starts what the tensor core, or its memory, does
    bool isData = has(instruction, "ld") || has(instruction, "st") || has(instruction, "cp") || has(instruction, "shift");
    return {has(instruction, "mma") ? Pipe::Tensor : isData ? Pipe::Lsu : Pipe::Control, 1};
  }
  static constexpr std::string_view lsu[] = {"ld", "ldu", "st", "atom", "red", "shfl", "ldmatrix", "stmatrix", "prefetch", "prefetchu", "mbarrier"};
  if (oneOf(op, lsu))
    return {Pipe::Lsu, 1};
  if (op == "cp") {
    bool isQueued = has(instruction, "commit_group") || has(instruction, "wait_group") || has(instruction, "wait_all");
    return {isQueued ? Pipe::Control : Pipe::Lsu, 1};
  }
  static constexpr std::string_view control[] = {"bra", "brx", "call", "ret", "exit", "bar", "barrier", "membar", "fence", "trap", "brkpt",
                                                 "nanosleep", "griddepcontrol", "setmaxnreg", "elect", "activemask", "pmevent"};
  if (oneOf(op, control))
    return {Pipe::Control, 1};
  if (op == "vote" || op == "match" || op == "redux")
    return {op == "vote" ? Pipe::Alu : Pipe::Xu, 1};
  if (op == "cvt") // without a second type: from tf32 and pairs, which name one
    return conversion(types[0], types[1]);
  if (op == "div" || op == "rem" || op == "sqrt" || op == "rcp" || op == "rsqrt")
    return program(instruction, type);
  static constexpr std::string_view special[] = {"ex2", "lg2", "sin", "cos", "tanh", "popc", "clz", "bfind", "brev"};
  if (oneOf(op, special))
    return {Pipe::Xu, 1};
  static constexpr std::string_view products[] = {"mul", "mad", "mul24", "mad24", "dp4a", "dp2a", "madc", "sad"};
  if (oneOf(op, products) && isInteger(type)) {
    if (has(instruction, "wide"))
      return {Pipe::Multiply, 1};
    return {Pipe::Multiply, static_cast<uint8_t>(words == 2 ? (has(instruction, "hi") ? 10 : 4) : 1)};
  }
  static constexpr std::string_view arithmetic[] = {"add", "sub", "mul", "fma", "mad"};
  if (oneOf(op, arithmetic)) {
    if (type == "f64")
      return {Pipe::Fp64, 1};
    if (isHalf(type))
      return {Pipe::Half, 1};
    if (type == "f32" || type == "f32x2")
      return {Pipe::Fma, static_cast<uint8_t>(type == "f32" ? 1 : 2)};
    return {Pipe::Integer, words};
  }
  if (op == "shl")
    return {Pipe::Integer, words};
  if (type == "f64") // min, max, setp, ... of doubles
    return {Pipe::Fp64, 1};
  if (isHalf(type))
    return {Pipe::Half, 1};
  if (op == "abs" || op == "neg") // modifiers of operands in machine code, for floats
    return isInteger(type) ? InstrCost{Pipe::Alu, words} : InstrCost{};
  return {Pipe::Alu, words}; // logic, shifts, compare, select, permute, bit fields
}

} // namespace emulator
} // namespace fourfold
