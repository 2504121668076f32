// What executables and bindings hold.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_CORE_EXECUTABLEIMPL_H
#define FOURFOLD_RUNTIME_CORE_EXECUTABLEIMPL_H

#include "fourfold/Executable.h"
#include "plan/Plan.h"
#include "runtime/device/DeviceImpl.h"

namespace fourfold {

/// Launches assemble their parameters on the stack; more than this is refused when an executable is loaded.
inline constexpr size_t kMaxArguments = 64;

struct Executable::Impl {
  Device device;
  plan::Plan plan;
  /// Each has some of the kernels.
  std::vector<device::CUmodule> modules;
  /// By launch, then by variant; empty for memsets.
  std::vector<std::vector<device::CUfunction>> functions;
  std::vector<Parameter> inputs, outputs;
  /// By phase (one of a plan without), then by buffer: whether one of its launches has the buffer.
  std::vector<std::vector<bool>> used;

  Impl() = default;
  Impl(const Impl &) = delete;
  Impl &operator=(const Impl &) = delete;
  ~Impl();

  const Device::Impl &deviceImpl() const { return *device.impl; }
  Status loadModule(const std::string &ptx);
  bool loadCubins(const std::string &ptx, Status *status);
  device::CUresult findFunction(const std::string &kernel, device::CUfunction *function) const;
  Status findFunctions();
  void findUses();
};

/// One launch with every size known.
struct BoundLaunch {
  device::CUfunction function = nullptr; // null: a memset or a reduction
  size_t variant = 0;
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  unsigned sharedBytes = 0;
  struct Argument {
    int buffer = -1;    // of a pointer, -1 for anything else
    uint64_t value = 0; // offset of a pointer, or the bits of a scalar
  };
  std::vector<Argument> args;
  // Of a memset or a reduction; the reduction's offset in the buffer.
  bool reduce = false;
  int buffer = -1;
  uint64_t bytes = 0, offset = 0;
};

struct Binding::Impl {
  std::shared_ptr<const Executable::Impl> executable;
  std::vector<int64_t> dims;
  std::vector<uint64_t> bufferBytes;
  /// Where a buffer lies: the index of an input or output, or the offset in its area.
  std::vector<uint64_t> bufferPlace;
  /// Workspace begins anew in each phase and is as large as the largest needs.
  uint64_t workspaceBytes = 0, weightsBytes = 0, savedBytes = 0, gradientBytes = 0;
  std::vector<std::vector<int64_t>> outputShapes;
  std::vector<BoundLaunch> launches;
};

/// Evaluates every size of a plan. With a phase, the launches of the others stay empty and have no kernel chosen: the binding serves
/// launches of that phase only.
Status bindPlan(std::shared_ptr<const Executable::Impl> executable,
                const std::vector<std::vector<int64_t>> &inputShapes, Binding::Impl *binding, int onlyPhase = -1);

/// Enqueues one launch; `address(buffer)` says where a buffer lies. Allocates nothing unless it fails. A reduction is for who knows
/// the other ranks: there is nothing to do for one.
template <typename AddressFn>
device::CUresult enqueue(const device::DriverTable &driver, const BoundLaunch &launch, device::CUstream stream,
                         AddressFn address) {
  if (launch.reduce)
    return device::kSuccess;
  if (!launch.function)
    return driver.memsetD8Async(address(launch.buffer), 0, launch.bytes, stream);
  uint64_t values[kMaxArguments];
  void *params[kMaxArguments];
  for (size_t i = 0; i < launch.args.size(); ++i) {
    const BoundLaunch::Argument &argument = launch.args[i];
    values[i] = argument.buffer < 0 ? argument.value : address(argument.buffer) + argument.value;
    params[i] = &values[i];
  }
  return driver.launchKernel(launch.function, launch.grid[0], launch.grid[1], launch.grid[2], launch.block[0],
                             launch.block[1], launch.block[2], launch.sharedBytes, stream, params, nullptr);
}

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_CORE_EXECUTABLEIMPL_H
