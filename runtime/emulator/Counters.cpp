// What the emulated device counts while kernels run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Counters.h"

#include <cstdio>

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

uint64_t Counters::totalIssueSlots() const {
  uint64_t total = 0;
  for (uint64_t count : issueSlots)
    total += count;
  return total;
}

SharedTraffic Counters::sharedTotal() const {
  SharedTraffic total;
  for (const SharedTraffic *part : {&sharedLoads, &sharedStores, &ldmatrix, &stmatrix, &asyncCopies, &bulkCopies, &wgmmaOperands, &sharedAtomics}) {
    total.wavefronts += part->wavefronts;
    total.minimum += part->minimum;
  }
  return total;
}

uint64_t mmaOperations(std::string_view kind) {
  // "f16.f32.m16n8k16"; block-scaled kinds have one shape each, which their names leave out (PTX ISA 9.7.14.3).
  size_t at = kind.rfind(".m");
  unsigned m = 16, n = 8, k = kind.substr(0, 5) == "mxf8f" ? 32 : 64;
  if (kind.substr(0, 2) != "mx" && (at == kind.npos || std::sscanf(std::string(kind.substr(at)).c_str(), ".m%un%uk%u", &m, &n, &k) != 3))
    return 0;
  return uint64_t{2} * m * n * k;
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
  sectorsReadOnceABlock += other.sectorsReadOnceABlock;
  footprintRead += other.footprintRead;
  footprintWritten += other.footprintWritten;
  for (size_t i = 0; i < globalRequests.size(); ++i)
    globalRequests[i] += other.globalRequests[i];
  atomicOperations += other.atomicOperations;
  for (size_t i = 0; i < issueSlots.size(); ++i)
    issueSlots[i] += other.issueSlots[i];
  auto add = [](SharedTraffic &to, const SharedTraffic &from) {
    to.wavefronts += from.wavefronts;
    to.minimum += from.minimum;
  };
  add(sharedLoads, other.sharedLoads);
  add(sharedStores, other.sharedStores);
  add(ldmatrix, other.ldmatrix);
  add(stmatrix, other.stmatrix);
  add(asyncCopies, other.asyncCopies);
  add(bulkCopies, other.bulkCopies);
  add(wgmmaOperands, other.wgmmaOperands);
  add(sharedAtomics, other.sharedAtomics);
  blocks += other.blocks;
  launches += other.launches;
  kernelNanoseconds += other.kernelNanoseconds;
  return *this;
}

} // namespace emulator
} // namespace fourfold
