// Shared by the matrix instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MATRIX_H
#define FOURFOLD_RUNTIME_EMULATOR_MATRIX_H

#include "Decoder.h"
#include "Warp.h"

namespace fourfold {
namespace emulator {

/// Reports unless all 32 lanes execute.
void requireFullWarp(Warp &warp, const Instr &in, uint32_t mask);

/// The kind under which matrix steps are counted.
void setMmaKind(Decoder &decoder, const std::string &name);

/// A register of block scales as an operand: `%r1`, or `{%r1}` as CUTLASS writes it.
uint32_t scaleSource(Decoder &d, size_t operand);

/// The shape, kind ("kind::f8f6f4" or "") and the types of d, a, b, c.
struct MmaModifiers {
  int rows, k;
  std::string kind;
  std::vector<std::string> types;
};

bool decodeMma(Decoder &decoder);
/// tf32, FP8 and less, f64, single bits, and the 8-row shapes of integers.
bool decodeMmaSmall(Decoder &decoder, const MmaModifiers &mods);
/// wmma.load, .mma and .store.
bool decodeWmma(Decoder &decoder);
/// The block-scaled kinds; called with the shape and kind taken.
bool decodeMmaScaled(Decoder &decoder, const std::string &kind);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MATRIX_H
