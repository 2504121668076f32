// Barrier objects in shared memory: the shadow state of their bytes, and their instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MBARRIER_H
#define FOURFOLD_RUNTIME_EMULATOR_MBARRIER_H

#include "Decoder.h"
#include "SharedMemory.h"

namespace fourfold {
namespace emulator {

struct Block;

/// Shadow state of the eight bytes of an initialised mbarrier; beside those of SharedMemory.h. Only mbarrier
/// instructions may touch such bytes.
inline constexpr uint8_t kByteMbarrier = 3;

/// Whether the instruction accesses an mbarrier as one.
bool isMbarrier(const Instr &in);

/// Whether it is one that warps may do at once: not mbarrier.init and mbarrier.inval.
bool isMbarrierUse(const Instr &in);

/// Checks that `address` of the block's shared memory holds an object that a copy by this thread, of this block or of another, may signal.
void requireSignalable(Warp &warp, const Instr &in, int lane, Block &block, uint64_t address, bool byAsyncProxy = true);

/// Arrivals that the phase still takes, those under way not taken off.
uint32_t pendingArrivals(const SharedMemory &shared, uint32_t address);
/// The arrival of a tcgen05.commit; where it completes the phase, `waiter` sees it.
void arriveByCommit(Warp &waiter, const Instr &in, Block &block, uint32_t address);

/// "phase of parity 0, 1 of 1 arrivals pending, transaction count 0"
std::string describeMbarrier(const SharedMemory &shared, uint32_t address);

/// cp.async.mbarrier.arrive; `mbarrier` has been taken.
bool decodeTrackingArrival(Decoder &decoder);

/// Returns false if the opcode is not `mbarrier`.
bool decodeMbarrier(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MBARRIER_H
