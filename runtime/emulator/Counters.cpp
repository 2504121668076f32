// What the emulated device counts while kernels run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Counters.h"

namespace fourfold {
namespace emulator {

std::string_view className(InstrClass instrClass) {
  static constexpr std::string_view names[] = {
      "integer",     "float",        "conversion", "move",     "control", "global_load", "global_store",
      "shared_load", "shared_store", "async_copy", "ldmatrix", "mma",     "barrier",     "atomic"};
  return names[static_cast<size_t>(instrClass)];
}

uint64_t Counters::totalWarpInstructions() const {
  uint64_t total = 0;
  for (uint64_t count : warpInstructions)
    total += count;
  return total;
}

Counters &Counters::operator+=(const Counters &other) {
  for (size_t i = 0; i < warpInstructions.size(); ++i)
    warpInstructions[i] += other.warpInstructions[i];
  for (const auto &[kind, count] : other.mmas)
    mmas[kind] += count;
  globalBytesRead += other.globalBytesRead;
  globalBytesWritten += other.globalBytesWritten;
  globalSectorsRead += other.globalSectorsRead;
  globalSectorsWritten += other.globalSectorsWritten;
  auto add = [](SharedTraffic &to, const SharedTraffic &from) {
    to.wavefronts += from.wavefronts;
    to.minimum += from.minimum;
  };
  add(sharedLoads, other.sharedLoads);
  add(sharedStores, other.sharedStores);
  add(ldmatrix, other.ldmatrix);
  add(asyncCopies, other.asyncCopies);
  blocks += other.blocks;
  launches += other.launches;
  kernelNanoseconds += other.kernelNanoseconds;
  return *this;
}

} // namespace emulator
} // namespace fourfold
