// Device memory: allocations at addresses of their own, with a shadow byte that says what was written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Between two allocations: larger than any index mistake of a few rows.
constexpr uint64_t kGapBytes = uint64_t{1} << 20;

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

uint64_t Memory::allocate(uint64_t bytes, uint64_t alignment, std::string label) {
  auto entry = std::make_unique<Allocation>();
  if (bytes > (uint64_t{1} << 40))
    return 0;
  // calloc maps zero pages lazily: large shadows cost only what is touched.
  void *data = nullptr;
  if (posix_memalign(&data, 256, roundUp(std::max<uint64_t>(bytes, 1), 256)) != 0)
    return 0;
  entry->data = {static_cast<uint8_t *>(data), std::free};
  entry->shadow = {static_cast<uint8_t *>(std::calloc(std::max<uint64_t>(bytes, 1), 1)), std::free};
  if (!entry->shadow)
    return 0;
  entry->base = roundUp(next, std::max<uint64_t>(alignment, 512));
  entry->bytes = bytes;
  ++serial;
  entry->label = label.empty() ? fmt::format("allocation #{}", serial) : std::move(label);
  next = entry->base + bytes + kGapBytes;
  inUse += bytes;
  uint64_t base = entry->base;
  table.push_back(std::move(entry));
  return base;
}

const Allocation *Memory::below(uint64_t address) const {
  auto after = std::upper_bound(table.begin(), table.end(), address,
                                [](uint64_t value, const auto &entry) { return value < entry->base; });
  return after == table.begin() ? nullptr : std::prev(after)->get();
}

bool Memory::release(uint64_t address) {
  auto *entry = const_cast<Allocation *>(below(address));
  if (!entry || entry->base != address || entry->freed)
    return false;
  entry->freed = true;
  entry->data.reset();
  entry->shadow.reset();
  inUse -= entry->bytes;
  // Remember some thousands of dead ranges for the messages, not all of them for ever.
  if (table.size() > 8192) {
    size_t keep = 0, dropped = 0;
    for (auto &candidate : table)
      if (!candidate->freed || dropped >= 4096)
        table[keep++] = std::move(candidate);
      else
        ++dropped;
    table.resize(keep);
  }
  return true;
}

DeviceHeap *Memory::makeHeap() {
  if (deviceHeap)
    return deviceHeap.get();
  constexpr uint64_t kHeapBytes = 8 << 20;
  uint64_t base = allocate(kHeapBytes, 512, "the heap of kernels (malloc)");
  if (base)
    deviceHeap = std::make_unique<DeviceHeap>(find(base, kHeapBytes));
  return deviceHeap.get();
}

uint64_t DeviceHeap::allocate(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  uint64_t size = roundUp(std::max<uint64_t>(bytes, 1), 16), at = 0;
  for (const auto &[offset, length] : used) { // the first gap that is large enough
    if (offset - at >= size)
      break;
    at = offset + length;
  }
  if (size > memory->bytes || at > memory->bytes - size)
    return 0;
  used[at] = size;
  std::memset(memory->shadow.get() + at, 0, size);
  return memory->base + at;
}

bool DeviceHeap::release(uint64_t address) {
  std::lock_guard<std::mutex> lock(mutex);
  auto block = used.find(address - memory->base);
  if (block == used.end())
    return false;
  std::memset(memory->shadow.get() + block->first, 0, block->second);
  used.erase(block);
  return true;
}

void Memory::clear() {
  deviceHeap.reset();
  table.clear();
  inUse = serial = 0;
}

Allocation *Memory::find(uint64_t address, uint64_t size) {
  auto *entry = const_cast<Allocation *>(below(address));
  return entry && !entry->freed && entry->contains(address, size) ? entry : nullptr;
}

std::string Memory::describe(uint64_t address, uint64_t size) const {
  const Allocation *entry = below(address);
  if (!entry)
    return "no allocation lies below it";
  uint64_t offset = address - entry->base;
  if (entry->freed && offset < entry->bytes)
    return fmt::format("it lies in {} of {} bytes, which was freed", entry->label, entry->bytes);
  if (offset < entry->bytes)
    return fmt::format("it ends {} bytes past {} of {} bytes at {:#x}", offset + size - entry->bytes, entry->label,
                       entry->bytes, entry->base);
  return fmt::format("it lies {} bytes past {} of {} bytes at {:#x}", offset - entry->bytes, entry->label, entry->bytes,
                     entry->base);
}

} // namespace emulator
} // namespace fourfold
