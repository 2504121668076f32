// Shared memory of a block: bytes, what was written, pending copies, and races between and inside warps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_SHAREDMEMORY_H
#define FOURFOLD_RUNTIME_EMULATOR_SHAREDMEMORY_H

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fourfold {
namespace emulator {

/// Shadow states of a byte.
enum : uint8_t { kByteUnwritten = 0, kByteWritten = 1, kBytePending = 2 };

/// Who touched a 4-byte word, or a byte of a word of which parts were accessed, last, for happens-before checks in the manner of FastTrack (Flanagan and Freund, PLDI
/// 2009).
struct WordHistory {
  uint32_t writeTime = 0, readTime = 0;
  uint32_t writeStep = 0, readStep = 0; // of the warp: see SharedMemory::steps
  int32_t writeLine = 0, readLine = 0;
  uint8_t writer = 0xff, reader = 0xff;
  uint8_t writeLane = 0xff, readLane = 0xff;
  uint32_t split = 0; // not 0: the bytes' own histories are SharedMemory::parts[split - 1]
};
inline constexpr uint8_t kUnknownLane = 0xff, kSeveralLanes = 0xfe;

struct SharedMemory {
  std::vector<uint8_t> data, shadow;
  std::vector<WordHistory> history; // of words; empty: races are not tracked
  std::vector<std::array<WordHistory, 4>> parts; // of words that are split
  std::vector<uint32_t> clocks;     // [warp][agent]: what the first knows of the second
  std::vector<uint32_t> fenced;     // [warp][agent]: what of that fence.proxy.async showed to the async proxy; empty: not followed
  std::vector<uint32_t> steps;      // by warp: how often its lanes waited for each other
  uint32_t numWarps = 0;
  uint32_t numAgents = 0; // warps, and after them those that copy on their own (see AsyncProxy.h)

  /// `copiers`: agents besides the warps.
  void prepare(uint32_t bytes, uint32_t warps, bool trackRaces, uint32_t copiers = 0, bool trackFences = false) {
    data.resize(bytes + 16);
    shadow.assign(bytes + 16, kByteUnwritten);
    numWarps = warps;
    numAgents = warps + copiers;
    fenced.clear();
    history.clear();
    parts.clear();
    if (trackRaces) {
      history.resize(bytes / 4 + 5);
      clocks.assign(size_t{warps} * numAgents, 0);
      if (trackFences)
        fenced.assign(clocks.size(), 0);
      steps.assign(warps, 1);
      for (uint32_t i = 0; i < warps; ++i)
        clocks[i * numAgents + i] = 1;
    }
  }

  /// Calls `visit(WordHistory &, address)` for the histories of the bytes [address, address + count), which two accesses share only if they
  /// share a byte.
  template <class Visit>
  void visitHistory(uint32_t address, uint32_t count, Visit visit) {
    for (uint32_t word = address / 4; word <= (address + count - 1) / 4; ++word) {
      uint32_t first = word * 4 < address ? address - word * 4 : 0, end = word * 4 + 4 > address + count ? address + count - word * 4 : 4;
      if (history[word].split == 0 && end - first < 4) {
        parts.push_back({history[word], history[word], history[word], history[word]});
        history[word].split = static_cast<uint32_t>(parts.size());
      }
      if (history[word].split == 0) {
        visit(history[word], word * 4);
        continue;
      }
      std::array<WordHistory, 4> &ofByte = parts[history[word].split - 1];
      for (uint32_t i = first; i < end; ++i)
        visit(ofByte[i], word * 4 + i);
    }
  }

  bool ordered(uint32_t warp, uint32_t other, uint32_t time) const {
    return other == 0xff || other == warp || clocks[warp * numAgents + other] >= time;
  }
  uint32_t now(uint32_t warp) const { return clocks[warp * numAgents + warp]; }

  /// The lanes of a warp learn what the others of it did.
  void synchronizeLanes(uint32_t warp) {
    if (!history.empty())
      ++steps[warp];
  }

  /// All warps of the set learn what the others of the set know.
  void synchronize(uint32_t set) {
    if (history.empty())
      return;
    share(clocks, set);
    if (!fenced.empty())
      share(fenced, set);
    for (uint32_t i = 0; i < numWarps; ++i)
      if (set >> i & 1) {
        ++clocks[i * numAgents + i];
        ++steps[i];
      }
  }

private:
  void share(std::vector<uint32_t> &table, uint32_t set) {
    std::vector<uint32_t> joined(numAgents, 0);
    for (uint32_t i = 0; i < numWarps; ++i)
      if (set >> i & 1)
        for (uint32_t j = 0; j < numAgents; ++j)
          joined[j] = joined[j] > table[i * numAgents + j] ? joined[j] : table[i * numAgents + j];
    for (uint32_t i = 0; i < numWarps; ++i)
      if (set >> i & 1)
        std::memcpy(&table[i * numAgents], joined.data(), numAgents * 4);
  }
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_SHAREDMEMORY_H
