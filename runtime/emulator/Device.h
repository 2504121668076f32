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

/// What the host asks for.
struct LaunchShape {
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  unsigned sharedBytes = 0;
  unsigned cluster[3] = {0, 0, 0}; // zeros: not given
  bool isCooperative = false;
  bool hasClusters = false; // set by checkClusters
};

/// Checks a launch as the driver does, then runs it. Returns the CUresult and fills `finding`.
int launch(Context &context, LoadedFunction &function, LaunchShape shape, void **params, std::string &finding);

/// The part of it about clusters and cooperative launches; completes `shape.cluster`.
int checkClusters(const Context &context, const LoadedFunction &function, LaunchShape &shape, std::string &finding);
/// Blocks that a multiprocessor holds at once, by their threads and shared memory.
unsigned residentBlocks(const DeviceInfo &device, unsigned threads, unsigned sharedBytes);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_DEVICE_H
