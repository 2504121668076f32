// Shared memory of a block: bytes, what was written, pending copies, and races between and inside warps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_SHAREDMEMORY_H
#define FOURFOLD_RUNTIME_EMULATOR_SHAREDMEMORY_H

#include "Clocks.h"

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
  uint32_t writeStep = 0, readStep = 0; // of the warp: see Clocks::steps
  int32_t writeLine = 0, readLine = 0;
  uint16_t writer = kNobody, reader = kNobody; // agents: see Clocks.h
  uint8_t writeLane = 0xff, readLane = 0xff;
  uint32_t split = 0; // not 0: the bytes' own histories are SharedMemory::parts[split - 1]
};
inline constexpr uint8_t kUnknownLane = 0xff, kSeveralLanes = 0xfe;

struct SharedMemory {
  std::vector<uint8_t> data, shadow;
  std::vector<WordHistory> history; // of words; empty: races are not tracked
  std::vector<std::array<WordHistory, 4>> parts; // of words that are split
  Clocks own;
  Clocks *order = &own; // of the cluster, where the block is in one

  void prepare(uint32_t bytes, bool trackRaces) {
    data.resize(bytes + 16);
    shadow.assign(bytes + 16, kByteUnwritten);
    history.clear();
    parts.clear();
    if (trackRaces)
      history.resize(bytes / 4 + 5);
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
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_SHAREDMEMORY_H
