// Tensor memory of a block: allocation (PTX ISA 9.7.16.7).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TensorMemory.h"

#include "Cluster.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kAllocationUnit = 32; // columns

bool isAllocatable(uint32_t columns) { return columns >= kAllocationUnit && columns <= kTensorColumns && !(columns & (columns - 1)); }

} // namespace

TensorMemory &tensorMemoryOf(Warp &warp) { return *warp.block->tensor; }

TensorMemory::TensorMemory(Block &block)
    : block(block), cells(size_t{kTensorLanes} * kTensorColumns), writtenBytes(cells.size()), units(size_t{kUnitsAColumn} * kTensorColumns),
      warps(block.warps.size()), readers(block.shared.data.size() / 16 + 1) {
  for (PerWarp &warp : warps)
    warp.loading.assign(block.warps.front().kernel->numSlots, nullptr);
}

bool TensorMemory::allocate(Warp &warp, const Instr &in, uint32_t columns, uint32_t *address) {
  if (!isAllocatable(columns))
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("an allocation of {} columns of tensor memory: their number is a power of two from 32 to 512", columns));
  if (relinquished)
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("an allocation after tcgen05.relinquish_alloc_permit at line {}: the block has given up its right to allocate", relinquished->line));
  for (uint32_t column = 0; column + columns <= kTensorColumns; column += kAllocationUnit) {
    bool isFree = std::none_of(allocations.begin(), allocations.end(),
                               [&](const Allocation &a) { return column < a.column + a.columns && a.column < column + columns; });
    if (!isFree)
      continue;
    allocations.push_back({column, columns, &warp, &in});
    for (uint32_t lane = 0; lane < kTensorLanes; ++lane)
      std::fill_n(&written(lane, column), columns, uint8_t{0});
    visit({0xff, column, columns}, [](Unit &unit, uint32_t, uint32_t) { unit = Unit(); });
    warps[warp.index].wants = 0;
    *address = column;
    return true;
  }
  warps[warp.index].wants = columns;
  return false;
}

void TensorMemory::release(Warp &warp, const Instr &in, uint32_t address, uint32_t columns) {
  auto found = std::find_if(allocations.begin(), allocations.end(), [&](const Allocation &a) { return a.column == address && a.columns == columns; });
  if (found == allocations.end()) {
    std::string all;
    for (const Allocation &a : allocations)
      all += fmt::format("{}{} at {:#x} (line {})", all.empty() ? "" : ", ", a.columns, a.column, a.in->line);
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("a deallocation of {} columns at tensor memory address {:#x}, which were not allocated together: {}", columns, address,
                       all.empty() ? "nothing is allocated" : "allocated are " + all));
  }
  requireWaits();
  access(warp, in, -1, {0xff, found->column, found->columns}, TensorAccess::Free);
  allocations.erase(found);
}

void TensorMemory::relinquish(Warp &, const Instr &in) { relinquished = &in; }

void TensorMemory::finish() {
  requireWaits();
  if (allocations.empty())
    return;
  const Allocation &left = allocations.front();
  report(*left.warp, *left.in, -1, device::kErrorLaunchFailed,
         fmt::format("the block {}ends with {} columns of tensor memory allocated at address {:#x}: execute tcgen05.dealloc before",
                     block.cluster ? blockName(block) + " " : "", left.columns, left.column));
}

std::string TensorMemory::describeWaits() const {
  std::string text;
  uint32_t taken = 0;
  for (const Allocation &a : allocations)
    taken += a.columns;
  for (size_t i = 0; i < warps.size(); ++i)
    if (warps[i].wants)
      text += fmt::format("; warp {} waits for {} columns of tensor memory, of which {} of {} are allocated", i, warps[i].wants, taken, kTensorColumns);
  return text;
}

} // namespace emulator
} // namespace fourfold
