// Which sectors of global memory a launch touches, and what crosses between its accesses and the L2 cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_TRAFFIC_H
#define FOURFOLD_RUNTIME_EMULATOR_TRAFFIC_H

#include "Counters.h"

#include <cstdint>
#include <memory>
#include <unordered_map>

namespace fourfold {
namespace emulator {

struct Block;

/// What a warp instruction does with global memory.
enum class GlobalAccess : uint8_t { Load, Store, Atomic, Copy };

/// The sectors that the blocks of one host thread touched. A sector remembers the last block that read it, so that "once in this block"
/// and "once in the launch" cost one table.
class Footprint {
public:
  /// Starts a block; `number` is its own, from 1.
  void start(uint32_t number) { block = number; }
  /// Notes a sector (address / 32); true if the block reads it for the first time.
  bool read(uint64_t sector);
  void write(uint64_t sector) { region(sector).written[sector % kSectors] = 1; }

  /// Adds what `other` touched.
  void merge(const Footprint &other);
  /// Distinct sectors, of all blocks.
  uint64_t sectorsRead() const;
  uint64_t sectorsWritten() const;

private:
  static constexpr uint64_t kSectors = 2048; // of a region: 64 KiB
  struct Region {
    uint32_t reader[kSectors] = {}; // the last block; 0: none
    uint8_t written[kSectors] = {};
  };
  Region &region(uint64_t sector);

  uint32_t block = 1;
  uint64_t lastKey = ~uint64_t{0};
  Region *last = nullptr;
  std::unordered_map<uint64_t, std::unique_ptr<Region>> regions;
};

/// Counts one access of a warp to global memory: requests, bytes, sectors, footprint. `bytes` of each lane of the mask.
void countGlobal(Block &block, GlobalAccess access, uint32_t mask, const uint64_t *addresses, uint32_t bytes);
/// The same, where lanes ask for different numbers of bytes, `requested` together.
void countGlobal(Block &block, GlobalAccess access, uint32_t mask, const uint64_t *addresses, uint32_t bytes, uint64_t requested);
/// One piece of a bulk copy.
void countGlobalRange(Block &block, bool isLoad, uint64_t address, uint64_t bytes);

/// Wavefronts of a transfer of whole rows of shared memory, without conflicts.
void countSharedBytes(SharedTraffic &traffic, uint64_t bytes);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_TRAFFIC_H
