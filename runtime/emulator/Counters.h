// What the emulated device counts while kernels run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_COUNTERS_H
#define FOURFOLD_RUNTIME_EMULATOR_COUNTERS_H

#include "Cost.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fourfold {
namespace emulator {

/// Classes of warp instructions.
enum class InstrClass : uint8_t {
  Integer,
  Float,
  Conversion,
  Move,
  Control,
  GlobalLoad,
  GlobalStore,
  SharedLoad,
  SharedStore,
  AsyncCopy,
  Ldmatrix,
  Mma,
  Barrier,
  Atomic,
  Count
};

/// A short name, such as "global_load".
std::string_view className(InstrClass instrClass);

/// Shared-memory traffic in wavefronts of 32 banks by 4 bytes, and the least that the bytes requested would need.
struct SharedTraffic {
  uint64_t wavefronts = 0;
  uint64_t minimum = 0;
  uint64_t conflicts() const { return wavefronts - minimum; }
};

/// Operations of one MMA of a kind as in `Counters::mmas`: 2 * M * N * K.
uint64_t mmaOperations(std::string_view kind);

/// Sums over the launches since the last reset; warp instructions count once however many lanes are active.
struct Counters {
  std::array<uint64_t, static_cast<size_t>(InstrClass::Count)> warpInstructions{};
  std::map<std::string, uint64_t> mmas;                     // by kind: "mxf4nvf4.4x.ue4m3", "bf16.m16n8k16"
  uint64_t globalBytesRead = 0, globalBytesWritten = 0;     // as requested by active lanes
  uint64_t globalSectorsRead = 0, globalSectorsWritten = 0; // 32 bytes, distinct within a warp instruction
  uint64_t sectorsReadOnceABlock = 0;                       // distinct within a block: what an L1 cache without end would ask for
  uint64_t footprintRead = 0, footprintWritten = 0;         // sectors, distinct within a launch
  std::array<uint64_t, 4> globalRequests{};                 // warp accesses: loads, stores, atomics, cp.async
  uint64_t atomicOperations = 0;                            // of lanes, on global memory
  SharedTraffic sharedLoads, sharedStores, ldmatrix, stmatrix, asyncCopies, bulkCopies, wgmmaOperands, sharedAtomics;
  std::array<uint64_t, kPipes> issueSlots{};                // warp instructions as the assembler would make them: an estimate
  uint64_t blocks = 0, launches = 0;
  uint64_t kernelNanoseconds = 0; // wall time

  uint64_t totalWarpInstructions() const;
  uint64_t totalIssueSlots() const;
  /// Of all kinds of access.
  SharedTraffic sharedTotal() const;
  uint64_t operator[](InstrClass instrClass) const { return warpInstructions[static_cast<size_t>(instrClass)]; }
  Counters &operator+=(const Counters &other);
};

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_COUNTERS_H
