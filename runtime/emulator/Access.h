// Checked memory accesses of a warp, for loads, stores, atomics and asynchronous copies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_ACCESS_H
#define FOURFOLD_RUNTIME_EMULATOR_ACCESS_H

#include "Warp.h"

namespace fourfold {
namespace emulator {

inline constexpr uint32_t kMaxLaneBytes = 32;

enum class AccessKind : uint8_t { Read, Write, Atomic };

/// The bytes of one lane: where they are and their shadow (null where initialisation is not tracked).
struct LanePointer {
  uint8_t *data;
  uint8_t *shadow;
};

/// The address of every lane of the mask; reports uninitialised address registers.
void laneAddresses(Warp &warp, const Instr &in, uint32_t mask, uint64_t *addresses);

/// The space and address within it of a generic address.
Space splitGeneric(uint64_t &address);

/// Checks bounds, alignment, pending copies and races; reports what is wrong. `value`: what a write will put there, where it is known:
/// warps that write the same bytes do not race.
LanePointer checkedPointer(Warp &warp, const Instr &in, int lane, Space space, uint64_t address, uint32_t bytes,
                           AccessKind kind, const uint8_t *value = nullptr);

/// Loads `bytes` for each lane of the mask into `data[lane]`; returns the lanes whose bytes were all written before.
uint32_t loadLanes(Warp &warp, const Instr &in, uint32_t mask, Space space, const uint64_t *addresses, uint32_t bytes,
                   uint8_t (*data)[kMaxLaneBytes]);
void storeLanes(Warp &warp, const Instr &in, uint32_t mask, Space space, const uint64_t *addresses, uint32_t bytes,
                const uint8_t (*data)[kMaxLaneBytes]);

/// Adds the wavefronts of one shared access.
void countShared(SharedTraffic &traffic, uint32_t mask, const uint64_t *addresses, uint32_t bytes);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_ACCESS_H
