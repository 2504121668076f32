// What the matrix steps of a warp share: where the elements of their fragments lie (PTX ISA 9.7.14.5).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MMAFRAGMENTS_H
#define FOURFOLD_RUNTIME_EMULATOR_MMAFRAGMENTS_H

#include "Matrix.h"

namespace fourfold {
namespace emulator {

/// All fragments share one rule: register r of A holds rows g + 8 (r & 1) and the run of k that starts at e (t + 4 (r
/// >> 1)), e elements a register; B the same with r in place of r >> 1.
template <class Value, class Decode>
void gather(Warp &warp, const Instr &in, int perRegister, Value (*a)[64], Value (*b)[64], Decode decode) {
  int numA = in.bytes, numB = numA / 2;
  int bits = 32 / perRegister;
  uint32_t keep = bits == 32 ? ~0u : (1u << bits) - 1;
  for (int r = 0; r < numA; ++r) {
    const uint32_t *words = warp.reg<uint32_t>(in.list[static_cast<size_t>(r)]);
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < perRegister; ++i)
        a[lane / 4 + 8 * (r & 1)][perRegister * (lane % 4 + 4 * (r >> 1)) + i] =
            decode(words[lane] >> (bits * i) & keep, true);
  }
  for (int r = 0; r < numB; ++r) {
    const uint32_t *words = warp.reg<uint32_t>(in.list[static_cast<size_t>(numA + r)]);
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < perRegister; ++i)
        b[lane / 4][perRegister * (lane % 4 + 4 * r) + i] = decode(words[lane] >> (bits * i) & keep, false);
  }
}

inline void beginMma(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  for (uint32_t slot : in.list)
    requireInit(warp, in, slot, mask, "as an mma operand");
}

inline void finishMma(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t slot : in.list2)
    warp.setInit(slot, mask, mask);
  ++warp.block->mmaCounts[in.mmaKind];
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MMAFRAGMENTS_H
