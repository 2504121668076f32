// The state behind the driver entry points.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_DEVICE_H
#define FOURFOLD_RUNTIME_EMULATOR_DEVICE_H

#include "Emulator.h"
#include "Module.h"
#include "Warp.h"

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace fourfold {
namespace emulator {

/// What an ordinal stands for.
struct DeviceInfo {
  const char *target;
  int major, minor;
  bool archSpecific;
  int sharedOptin; // bytes
  int smCount;
};
extern const DeviceInfo kDevices[];
extern const int kNumDevices;

/// Of every device.
inline constexpr uint64_t kTotalMemory = uint64_t{8} << 30;

/// One primary context a device.
struct Context {
  int ordinal = 0;
  int sticky = 0; // CUresult of a failed launch
  std::string stickyFinding;
  Memory memory;
  std::vector<std::unique_ptr<Module>> modules;
  int references = 0;
};

/// Everything; one lock, held during every call.
struct State {
  std::mutex mutex;
  bool initialised = false;
  Options options = optionsFromEnvironment();
  std::vector<std::unique_ptr<Context>> contexts;
  Counters totals;
  std::deque<KernelRecord> records;
  std::vector<std::unique_ptr<uint64_t>> streams, events;
  State();
};
State &state();

/// Checks a launch as the driver does, then runs it. Returns the CUresult and fills `finding`.
int launch(Context &context, LoadedFunction &function, const unsigned *grid, const unsigned *block,
           unsigned sharedBytes, void **params, std::string &finding);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_DEVICE_H
