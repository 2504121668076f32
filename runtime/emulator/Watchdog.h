// Finds blocks that spin for ever, and ends launches that are above a budget of instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_WATCHDOG_H
#define FOURFOLD_RUNTIME_EMULATOR_WATCHDOG_H

#include "Warp.h"

#include <cstdint>
#include <vector>

namespace fourfold {
namespace emulator {

/// Watches one block. A block whose whole state (registers, program counters, shared and local memory, barriers) is
/// what it was before, and which meanwhile neither wrote global memory nor read what another block could write, can
/// only repeat itself: that is reported, and nothing else is, so a slow kernel never is.
class Watchdog {
public:
  /// Reads FOURFOLD_EMULATOR_BUDGET: the most warp instructions a block may execute; absent, 0 or not a number: no limit.
  explicit Watchdog(Block &block);
  /// To be called when each warp had its turn. Throws Finding.
  void endRound();

private:
  uint64_t executed() const;
  std::vector<uint8_t> state() const;
  /// Changes when the block did something that its own state does not show.
  uint64_t outside() const;
  [[noreturn]] void reportWith(const char *message) const;

  Block &block;
  uint64_t budget = 0, atStart = 0;
  uint64_t round = 0, nextSnapshot = 4;
  uint64_t snapshotOutside = 0;
  std::vector<uint8_t> snapshot;
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_WATCHDOG_H
