// Encoding of barrier instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_BARRIER_H
#define FOURFOLD_RUNTIME_EMULATOR_BARRIER_H

#include "Warp.h"

namespace fourfold {
namespace emulator {

/// Instr::variant of a barrier.
enum : uint8_t { kBarrierSync, kBarrierArrive };
/// Instr::variant2 of a barrier.
enum : uint8_t { kReduceNone, kReducePopc, kReduceAnd, kReduceOr };
/// Instr::flags of a barrier.
inline constexpr uint32_t kBarrierNegate = 1;
/// No thread count was given.
inline constexpr uint32_t kAllThreads = 0xffffffffu;

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_BARRIER_H
