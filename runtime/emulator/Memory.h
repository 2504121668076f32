// Device memory: allocations at addresses of their own, with a shadow byte that says what was written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MEMORY_H
#define FOURFOLD_RUNTIME_EMULATOR_MEMORY_H

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fourfold {
namespace emulator {

struct Allocation {
  uint64_t base = 0;
  uint64_t bytes = 0;
  bool freed = false;
  std::string label; // "allocation #3" or "variable 'x'"
  std::unique_ptr<uint8_t, void (*)(void *)> data{nullptr, nullptr};
  std::unique_ptr<uint8_t, void (*)(void *)> shadow{nullptr, nullptr}; // 1: written

  bool contains(uint64_t address, uint64_t size) const {
    return address >= base && size <= bytes && address - base <= bytes - size;
  }
  uint8_t *at(uint64_t address) const { return data.get() + (address - base); }
  uint8_t *shadowAt(uint64_t address) const { return shadow.get() + (address - base); }
};

/// What malloc() in kernels takes from: one allocation, in blocks. Thread-safe.
class DeviceHeap {
public:
  explicit DeviceHeap(Allocation *memory) : memory(memory) {}
  /// 0 where it does not fit.
  uint64_t allocate(uint64_t bytes);
  /// False for what is no block in use.
  bool release(uint64_t address);

private:
  std::mutex mutex;
  Allocation *memory;
  std::map<uint64_t, uint64_t> used; // offset and size
};

/// Addresses are never reused, so that a use after free is told apart; every allocation is followed by an unmapped gap.
/// Not thread-safe: callers change it only while no kernel runs.
class Memory {
public:
  /// Returns the address, or 0 if the host has no memory.
  uint64_t allocate(uint64_t bytes, uint64_t alignment, std::string label);
  bool release(uint64_t address);
  void clear();

  /// The live allocation that holds `size` bytes from `address`, or null.
  Allocation *find(uint64_t address, uint64_t size);
  /// One clause about an address that `find` refused.
  std::string describe(uint64_t address, uint64_t size) const;
  uint64_t bytesInUse() const { return inUse; }

  /// Made on first use, of 8 MiB as CUDA's; null if the host has no memory.
  DeviceHeap *makeHeap();
  DeviceHeap *heap() const { return deviceHeap.get(); }

private:
  const Allocation *below(uint64_t address) const;

  std::vector<std::unique_ptr<Allocation>> table; // by address
  uint64_t next = 0x0000000200000000ull;
  uint64_t inUse = 0, serial = 0;
  std::unique_ptr<DeviceHeap> deviceHeap;
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MEMORY_H
