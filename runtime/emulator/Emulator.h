// The emulated CUDA device: driver entry points that execute PTX text on the CPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_EMULATOR_H
#define FOURFOLD_RUNTIME_EMULATOR_EMULATOR_H

#include "Counters.h"
#include "Options.h"
#include "runtime/device/Driver.h"

#include <string>
#include <string_view>
#include <vector>

namespace fourfold {
namespace emulator {

/// The entry points; all are set. Launches run to their end inside `launchKernel`.
const device::DriverTable &driver();

/// The ordinal of the device for a target such as "sm_120a", or -1.
int deviceOrdinal(std::string_view target);

/// What the last failed call of this thread found, in full: kernel, line, instruction, block, thread, address, limit.
/// Empty after `reset`.
std::string lastFinding();

/// Whether a kernel of a loaded module can run. One that cannot is refused when it is launched; the module's others run.
struct KernelSupport {
  std::string name;
  std::vector<std::string> missing;         ///< instructions that the device has not: empty where the kernel can run
  std::vector<std::string> missingIfCalled; ///< the same, in functions that are only called through pointers: found when they are
};
std::vector<KernelSupport> kernelSupport(device::CUmodule module);

/// Frees everything, clears sticky errors, findings and counters. For tests; handles made before are dead.
void reset();

/// Replaces the settings; takes effect with the next launch.
void setOptions(const Options &options);
Options options();

/// Sums over all launches since the start or the last `resetCounters`.
Counters counters();
void resetCounters();

/// One launch.
struct KernelRecord {
  std::string name;
  unsigned grid[3], block[3];
  unsigned sharedBytes; // of a block, static and dynamic
  unsigned staticSlots; // issue slots of the kernel's text, each instruction once: to hold against machine code
  Counters counters;
};

/// The launches since the last `resetCounters`, oldest first (the last 4096 of them).
std::vector<KernelRecord> kernelRecords();

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_EMULATOR_H
