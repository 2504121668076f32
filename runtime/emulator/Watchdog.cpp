// Finds blocks that spin for ever, and ends launches that are above a budget of instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Watchdog.h"

#include "runtime/device/Driver.h"

#include <cstdlib>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

template <class T>
void append(std::vector<uint8_t> &to, const T *from, size_t count) {
  const uint8_t *bytes = reinterpret_cast<const uint8_t *>(from);
  to.insert(to.end(), bytes, bytes + count * sizeof(T));
}

} // namespace

Watchdog::Watchdog(Block &block) : block(block), atStart(executed()) {
  if (const char *text = std::getenv("FOURFOLD_EMULATOR_BUDGET"))
    budget = std::strtoull(text, nullptr, 10);
}

uint64_t Watchdog::executed() const {
  uint64_t total = 0;
  for (uint64_t count : block.counters.warpInstructions)
    total += count;
  return total;
}

uint64_t Watchdog::outside() const {
  const Counters &counters = block.counters;
  const unsigned *grid = block.launch->grid;
  bool alone = uint64_t{grid[0]} * grid[1] * grid[2] == 1;
  // All of these only grow, so that their sum is unchanged only if each is.
  return counters.globalBytesWritten + (alone ? 0 : counters.globalBytesRead) +
         counters.warpInstructions[static_cast<size_t>(InstrClass::AsyncCopy)];
}

std::vector<uint8_t> Watchdog::state() const {
  std::vector<uint8_t> result;
  for (const Warp &warp : block.warps) {
    append(result, warp.registers, size_t{warp.kernel->numSlots} * kSlotBytes);
    append(result, &warp.live, 1);
    append(result, &warp.state, 1);
    append(result, warp.stack.data(), warp.stack.size());
    append(result, warp.local.data(), warp.local.size());
  }
  append(result, block.shared.data.data(), block.shared.data.size());
  append(result, block.shared.shadow.data(), block.shared.shadow.size());
  for (const Barrier &barrier : block.barriers) {
    append(result, &barrier.joined, 1);
    append(result, &barrier.waiting, 1);
  }
  return result;
}

void Watchdog::endRound() {
  ++round;
  if (budget && executed() - atStart > budget)
    reportWith(fmt::format("the block executed more than the {} warp instructions that FOURFOLD_EMULATOR_BUDGET permits",
                           budget)
                   .c_str());
  // Most blocks end within a few rounds.
  if (round < 4)
    return;
  if (!snapshot.empty() && snapshotOutside == outside() && snapshot == state())
    reportWith("deadlock: the block spins for ever: its state repeats, and nothing else can change what it waits for");
  // Snapshots ever further apart find a cycle of any length.
  if (round == nextSnapshot) {
    snapshot = state();
    snapshotOutside = outside();
    nextSnapshot *= 2;
  }
}

void Watchdog::reportWith(const char *message) const {
  std::string dump;
  const Warp *first = nullptr;
  for (const Warp &warp : block.warps) {
    int line = warp.kernel->code[warp.pc].line;
    if (warp.state == Warp::State::Done) {
      dump += fmt::format("; warp {} has ended", warp.index);
    } else if (warp.state == Warp::State::AtBarrier) {
      dump += fmt::format("; warp {} waits at line {} for barrier {}", warp.index, line, warp.barrier);
    } else {
      dump += fmt::format("; warp {} is at line {}: `{}`", warp.index, line, lineText(*warp.kernel, line));
      first = first ? first : &warp;
    }
  }
  if (!first)
    first = &block.warps.front();
  report(*first, first->kernel->code[first->pc], -1, device::kErrorLaunchFailed, message + dump);
}

} // namespace emulator
} // namespace fourfold
