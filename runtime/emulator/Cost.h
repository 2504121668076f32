// Which part of a multiprocessor a PTX instruction keeps busy, and for how many issue slots.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_COST_H
#define FOURFOLD_RUNTIME_EMULATOR_COST_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fourfold {
namespace emulator {

struct Instruction;

/// Parts with a rate of their own (CUDA C++ Best Practices Guide, "Throughput of Native Arithmetic Instructions").
enum class Pipe : uint8_t {
  None,    // nothing is left of it in machine code: mov between registers, cvta, ld.param
  Control, // branches, barriers, fences: an issue slot and no unit whose rate is published
  Fma,     // f32 add, mul, fma
  Half,    // f16, bf16 and pairs of them
  Alu,     // 32-bit integer logic, min, max, right shifts, compare, select
  Integer, // add, sub, left shift: the assembler spreads them over the ALU and the multiplier
  Multiply, // integer mul, mad, dot products
  Fp64,
  Xu,  // approximate functions, conversions that round to fewer bits, popc, clz
  Lsu, // loads, stores, atomics, shuffles, ldmatrix, asynchronous copies
  Tensor,
  Count
};
inline constexpr size_t kPipes = static_cast<size_t>(Pipe::Count);

/// A short name, such as "fma".
std::string_view pipeName(Pipe pipe);

/// Warp instructions that the assembler makes of one of PTX: an estimate where it makes several (64-bit integers, division).
struct InstrCost {
  Pipe pipe = Pipe::None;
  uint8_t slots = 0;
};

InstrCost costOf(const Instruction &instruction);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_COST_H
