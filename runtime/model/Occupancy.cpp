// How many blocks of a kernel a multiprocessor holds at a time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/Occupancy.h"

#include <algorithm>
#include <utility>

namespace fourfold {
namespace model {

namespace {

// CUDA's occupancy calculator (cuda_occupancy.h), compute capability 8.0 and later.
constexpr unsigned kRegisterUnit = 256;   // registers are given to a warp in such units
constexpr unsigned kWarpUnit = 4;         // and warps come in fours, one to a partition
constexpr unsigned kSharedUnit = 128;
constexpr unsigned kReservedShared = 1024; // of each block, for the system

unsigned roundUp(unsigned value, unsigned unit) { return (value + unit - 1) / unit * unit; }

} // namespace

Occupancy occupancyOf(const Gpu &gpu, const LaunchShape &launch) {
  Occupancy result;
  unsigned warps = std::max(1u, (launch.threads + 31) / 32);
  result.byBlocks = gpu.blocks;
  result.byWarps = gpu.warps / warps;
  result.byShared = launch.sharedBytes > gpu.sharedOptin ? 0 : gpu.sharedBytes / roundUp(launch.sharedBytes + kReservedShared, kSharedUnit);
  if (launch.registers) {
    unsigned held = gpu.registers / roundUp(launch.registers * 32, kRegisterUnit) / kWarpUnit * kWarpUnit;
    result.byRegisters = held / warps;
  }
  // The first of equal ones is named: more warps could not be had by saving anything.
  std::pair<const char *, unsigned> limits[] = {{"warps", result.byWarps}, {"blocks", result.byBlocks}, {"shared memory", result.byShared}};
  result.limit = limits[0].first;
  result.blocks = limits[0].second;
  auto consider = [&](const char *name, unsigned blocks) {
    if (blocks < result.blocks) {
      result.limit = name;
      result.blocks = blocks;
    }
  };
  for (const auto &[name, blocks] : limits)
    consider(name, blocks);
  if (launch.registers)
    consider("registers", result.byRegisters);
  if (!result.blocks || !launch.blocks)
    return result;
  uint64_t wave = uint64_t{result.blocks} * gpu.multiprocessors;
  result.busiest = (launch.blocks + gpu.multiprocessors - 1) / gpu.multiprocessors;
  result.warps = static_cast<unsigned>(std::min<uint64_t>(result.blocks, result.busiest)) * warps;
  result.fraction = static_cast<double>(result.blocks * warps) / gpu.warps;
  result.waves = (launch.blocks + wave - 1) / wave;
  result.tail = static_cast<double>(launch.blocks - (result.waves - 1) * wave) / static_cast<double>(wave);
  result.used = static_cast<double>(launch.blocks) / static_cast<double>(result.busiest);
  return result;
}

} // namespace model
} // namespace fourfold
