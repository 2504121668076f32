// Which sectors of global memory a launch touches, and what crosses between its accesses and the L2 cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Traffic.h"

#include "Warp.h"

#include <algorithm>

namespace fourfold {
namespace emulator {

Footprint::Region &Footprint::region(uint64_t sector) {
  uint64_t key = sector / kSectors;
  if (key != lastKey) {
    std::unique_ptr<Region> &found = regions[key];
    if (!found)
      found = std::make_unique<Region>();
    lastKey = key;
    last = found.get();
  }
  return *last;
}

bool Footprint::read(uint64_t sector) {
  uint32_t &reader = region(sector).reader[sector % kSectors];
  bool isNew = reader != block;
  reader = block;
  return isNew;
}

void Footprint::merge(const Footprint &other) {
  for (const auto &[key, from] : other.regions) {
    Region &to = region(key * kSectors);
    for (size_t i = 0; i < kSectors; ++i) {
      to.reader[i] |= from->reader[i];
      to.written[i] |= from->written[i];
    }
  }
}

uint64_t Footprint::sectorsRead() const {
  uint64_t sum = 0;
  for (const auto &[key, region] : regions)
    sum += static_cast<uint64_t>(std::count_if(std::begin(region->reader), std::end(region->reader), [](uint32_t reader) { return reader != 0; }));
  return sum;
}

uint64_t Footprint::sectorsWritten() const {
  uint64_t sum = 0;
  for (const auto &[key, region] : regions)
    sum += static_cast<uint64_t>(std::count(std::begin(region->written), std::end(region->written), 1));
  return sum;
}

namespace {

void note(Block &block, GlobalAccess access, const uint64_t *sectors, size_t count) {
  Counters &counters = block.counters;
  if (access != GlobalAccess::Store) {
    counters.globalSectorsRead += count;
    for (size_t i = 0; i < count; ++i)
      counters.sectorsReadOnceABlock += block.footprint->read(sectors[i]);
  }
  if (access == GlobalAccess::Store || access == GlobalAccess::Atomic) {
    counters.globalSectorsWritten += count;
    for (size_t i = 0; i < count; ++i)
      block.footprint->write(sectors[i]);
  }
}

} // namespace

void countGlobal(Block &block, GlobalAccess access, uint32_t mask, const uint64_t *addresses, uint32_t bytes, uint64_t requested) {
  if (!mask) // a copy of zeros asks for nothing
    return;
  uint64_t sectors[2 * kLanes];
  size_t count = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint64_t address = addresses[__builtin_ctz(rest)];
    for (uint64_t sector = address / 32; sector <= (address + bytes - 1) / 32; ++sector)
      if (count == 0 || sectors[count - 1] != sector)
        sectors[count++] = sector;
  }
  if (!std::is_sorted(sectors, sectors + count))
    std::sort(sectors, sectors + count);
  count = static_cast<size_t>(std::unique(sectors, sectors + count) - sectors);
  Counters &counters = block.counters;
  ++counters.globalRequests[static_cast<size_t>(access)];
  if (access != GlobalAccess::Store)
    counters.globalBytesRead += requested;
  if (access == GlobalAccess::Store || access == GlobalAccess::Atomic)
    counters.globalBytesWritten += requested;
  if (access == GlobalAccess::Atomic)
    counters.atomicOperations += static_cast<uint64_t>(__builtin_popcount(mask));
  note(block, access, sectors, count);
}

void countGlobal(Block &block, GlobalAccess access, uint32_t mask, const uint64_t *addresses, uint32_t bytes) {
  countGlobal(block, access, mask, addresses, bytes, static_cast<uint64_t>(__builtin_popcount(mask)) * bytes);
}

void countGlobalRange(Block &block, bool isLoad, uint64_t address, uint64_t bytes) {
  (isLoad ? block.counters.globalBytesRead : block.counters.globalBytesWritten) += bytes;
  for (uint64_t sector = address / 32; bytes && sector <= (address + bytes - 1) / 32; ++sector)
    note(block, isLoad ? GlobalAccess::Copy : GlobalAccess::Store, &sector, 1);
}

void countSharedBytes(SharedTraffic &traffic, uint64_t bytes) {
  traffic.wavefronts += (bytes + 127) / 128;
  traffic.minimum += (bytes + 127) / 128;
}

} // namespace emulator
} // namespace fourfold
