// What warps know of each other's progress: vector clocks, for happens-before checks in the manner of FastTrack.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_CLOCKS_H
#define FOURFOLD_RUNTIME_EMULATOR_CLOCKS_H

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fourfold {
namespace emulator {

/// No agent.
inline constexpr uint16_t kNobody = 0xffff;

/// A row of each table of Clocks, kept by what passes knowledge on: an mbarrier, a barrier of the cluster.
struct Knowledge {
  std::vector<uint32_t> clocks, fenced, released;

  void forget() {
    clocks.clear();
    fenced.clear();
    released.clear();
  }
};

/// Of a block, or of all blocks of a cluster. Agents are the warps, block after block, and after them those that copy on their own, block
/// after block (see AsyncProxy.h).
struct Clocks {
  std::vector<uint32_t> clocks; // [warp][agent]: what the first knows of the second; empty: not followed
  std::vector<uint32_t> fenced; // [warp][agent]: what of that fence.proxy.async showed to the async proxy; empty: not followed
  std::vector<uint32_t> released; // [warp][agent]: what of that tcgen05.fence::before_thread_sync covers; empty: not followed
  std::vector<uint32_t> steps;  // by warp: how often its lanes waited for each other
  uint32_t numWarps = 0;
  uint32_t numAgents = 0;

  /// `copiers`: agents besides the warps.
  void prepare(uint32_t warps, bool follows, uint32_t copiers, bool followsFences, bool followsTensorFences) {
    numWarps = warps;
    numAgents = warps + copiers;
    clocks.clear();
    fenced.clear();
    released.clear();
    if (!follows)
      return;
    clocks.assign(size_t{warps} * numAgents, 0);
    if (followsFences)
      fenced.assign(clocks.size(), 0);
    if (followsTensorFences)
      released.assign(clocks.size(), 0);
    steps.assign(warps, 1);
    for (uint32_t i = 0; i < warps; ++i)
      at(i, i) = 1;
  }

  bool areFollowed() const { return !clocks.empty(); }
  uint32_t &at(uint32_t warp, uint32_t other) { return clocks[size_t{warp} * numAgents + other]; }
  uint32_t at(uint32_t warp, uint32_t other) const { return clocks[size_t{warp} * numAgents + other]; }
  bool ordered(uint32_t warp, uint32_t other, uint32_t time) const {
    return other == kNobody || other == warp || at(warp, other) >= time;
  }
  uint32_t now(uint32_t warp) const { return at(warp, warp); }

  /// What the warp knows is also known to `into`.
  void publish(uint32_t warp, Knowledge &into) const {
    join(into.clocks, clocks, warp);
    if (!fenced.empty())
      join(into.fenced, fenced, warp);
    if (!released.empty())
      join(into.released, released, warp);
  }
  /// The warp's next accesses are told apart from those before.
  void advance(uint32_t warp) {
    ++at(warp, warp);
    ++steps[warp];
  }
  void learn(uint32_t warp, const Knowledge &known) {
    for (size_t i = 0; i < known.clocks.size(); ++i)
      at(warp, static_cast<uint32_t>(i)) = std::max(at(warp, static_cast<uint32_t>(i)), known.clocks[i]);
    raise(fenced, warp, known.fenced);
    raise(released, warp, known.released);
    ++steps[warp];
  }

  /// All warps of the set, counted from `first`, learn what the others of the set know.
  void synchronize(uint32_t first, uint32_t set) {
    if (clocks.empty())
      return;
    share(clocks, first, set);
    if (!fenced.empty())
      share(fenced, first, set);
    if (!released.empty())
      share(released, first, set);
    for (uint32_t rest = set; rest; rest &= rest - 1)
      advance(first + static_cast<uint32_t>(__builtin_ctz(rest)));
  }

private:
  void raise(std::vector<uint32_t> &table, uint32_t warp, const std::vector<uint32_t> &known) const {
    for (size_t i = 0; i < known.size() && !table.empty(); ++i) {
      uint32_t &own = table[size_t{warp} * numAgents + i];
      own = std::max(own, known[i]);
    }
  }
  void join(std::vector<uint32_t> &into, const std::vector<uint32_t> &table, uint32_t warp) const {
    const uint32_t *row = &table[size_t{warp} * numAgents];
    into.resize(numAgents, 0);
    for (size_t i = 0; i < into.size(); ++i)
      into[i] = std::max(into[i], row[i]);
  }
  void share(std::vector<uint32_t> &table, uint32_t first, uint32_t set) {
    std::vector<uint32_t> joined;
    for (uint32_t rest = set; rest; rest &= rest - 1)
      join(joined, table, first + static_cast<uint32_t>(__builtin_ctz(rest)));
    for (uint32_t rest = set; rest; rest &= rest - 1)
      std::memcpy(&table[size_t{first + static_cast<uint32_t>(__builtin_ctz(rest))} * numAgents], joined.data(), size_t{numAgents} * 4);
  }
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_CLOCKS_H
