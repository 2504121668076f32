// Instructions at which lanes of a warp meet although branches have parted them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_CONVERGE_H
#define FOURFOLD_RUNTIME_EMULATOR_CONVERGE_H

#include "Warp.h"

namespace fourfold {
namespace emulator {

/// Whether the instruction, about to be executed by `mask`, has to wait for lanes on another side of a branch: then those are on top of the
/// stack, or have come here before and now take part, and the instruction at the top's pc is the next. False where it is to be executed,
/// also because those that it names cannot come: it says so. `turns` counts the turns given since the warp last got on.
bool waitsForLanes(Warp &warp, const Instr &in, uint32_t mask, size_t *turns);

/// shfl.sync, vote.sync and so on, whose member mask is in src[3] (WarpWide.cpp); bar.warp.sync (Control.cpp).
bool hasMemberMask(const Instr &in);
bool isWarpBarrier(const Instr &in);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_CONVERGE_H
