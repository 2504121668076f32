// Enqueues the launches of a plan, or of one of its phases, on memory of the caller.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/ExecutableImpl.h"

#include <fmt/format.h>

namespace fourfold {

using namespace device;

Status Executable::bind(const std::vector<std::vector<int64_t>> &inputShapes, Binding *binding) const {
  auto bound = std::make_shared<Binding::Impl>();
  if (Status status = bindPlan(impl, inputShapes, bound.get()); !status.ok())
    return status;
  binding->impl = std::move(bound);
  return {};
}

const std::vector<std::string> &Executable::phases() const { return impl->plan.phases; }

bool Executable::phaseUsesInput(size_t phase, size_t input) const {
  return impl->used[phase][static_cast<size_t>(impl->plan.inputs[input].buffer)];
}

bool Executable::phaseUsesOutput(size_t phase, size_t output) const {
  return impl->used[phase][static_cast<size_t>(impl->plan.outputs[output].buffer)];
}

namespace {

/// Checks the caller's addresses, then enqueues. Nothing is allocated unless something is wrong.
class Launcher {
public:
  Launcher(const Executable::Impl &executable, const Binding::Impl &bound, const LaunchBuffers &buffers, int phase)
      : executable(executable), plan(executable.plan), bound(bound), buffers(buffers), phase(phase) {}

  Status run() {
    if (Status status = checkTensors(); !status.ok())
      return status;
    if (Status status = checkAreas(); !status.ok())
      return status;
    const Device::Impl &device = executable.deviceImpl();
    CurrentContext current(device);
    if (current.status() != kSuccess)
      return device.check(current.status(), "cannot use the context");
    for (size_t i = 0; i < bound.launches.size(); ++i) {
      if (phase >= 0 && plan.launches[i].phase != phase)
        continue;
      if (bound.launches[i].reduce) {
        if (Status status = reduce(i); !status.ok())
          return status;
        continue;
      }
      CUresult result = enqueue(*device.driver, bound.launches[i], static_cast<CUstream>(buffers.stream),
                                [this](int buffer) { return address(static_cast<size_t>(buffer)); });
      if (result != kSuccess)
        return device.check(result, fmt::format("launch {} ('{}') failed", i, plan.launches[i].label));
    }
    return {};
  }

private:
  uint64_t address(size_t buffer) const {
    uint64_t place = bound.bufferPlace[buffer];
    switch (plan.buffers[buffer].kind) {
    case plan::Buffer::Kind::Input:
      return buffers.inputs[place];
    case plan::Buffer::Kind::Output:
      return buffers.outputs[place];
    case plan::Buffer::Kind::Weights:
      return buffers.weights + place;
    case plan::Buffer::Kind::Saved:
      return buffers.saved + place;
    case plan::Buffer::Kind::Gradient:
      return buffers.gradient + place;
    case plan::Buffer::Kind::Workspace:
      break;
    }
    return buffers.workspace + place;
  }

  Status reduce(size_t index) const {
    const BoundLaunch &launch = bound.launches[index];
    if (!buffers.reduceHook || launch.bytes == 0)
      return {};
    auto operation =
        plan.launches[index].reduction == plan::Launch::Reduction::Max ? ReduceOperation::Max : ReduceOperation::Sum;
    int result = buffers.reduceHook(buffers.reduceUser, buffers.stream,
                                    address(static_cast<size_t>(launch.buffer)) + launch.offset, launch.bytes / 4,
                                    operation);
    if (result == 0)
      return {};
    return {StatusCode::DeviceError, fmt::format("launch {} ('{}'): the reduction over ranks returned {}", index,
                                                 plan.launches[index].label, result)};
  }

  bool uses(size_t buffer) const { return phase < 0 || executable.used[static_cast<size_t>(phase)][buffer]; }

  Status checkTensors() const {
    for (const auto *list : {&plan.inputs, &plan.outputs}) {
      const uint64_t *addresses = list == &plan.inputs ? buffers.inputs : buffers.outputs;
      const char *what = list == &plan.inputs ? "input" : "output";
      if (!list->empty() && !addresses)
        return {StatusCode::InvalidArgument, fmt::format("the {}s have no device memory", what)};
      for (size_t i = 0; i < list->size(); ++i) {
        const plan::TensorInfo &tensor = (*list)[i];
        size_t buffer = static_cast<size_t>(tensor.buffer);
        if (!uses(buffer))
          continue;
        uint64_t alignment = static_cast<uint64_t>(plan.buffers[buffer].alignment);
        if (addresses[i] == 0 || addresses[i] % alignment)
          return badAddress(what, tensor.name, addresses[i], alignment);
        if (addresses[bound.bufferPlace[buffer]] != addresses[i])
          return {StatusCode::InvalidArgument,
                  fmt::format("{} '{}' is the same value as '{}' and must have the same address", what, tensor.name,
                              (*list)[bound.bufferPlace[buffer]].name)};
      }
    }
    return {};
  }

  static Status badAddress(const char *what, const std::string &name, uint64_t address, uint64_t alignment) {
    if (address == 0)
      return {StatusCode::InvalidArgument, fmt::format("{} '{}' has no device memory", what, name)};
    return {StatusCode::InvalidArgument,
            fmt::format("{} '{}' lies at {:#x}, expected an address that is a multiple of {}", what, name, address,
                        alignment)};
  }

  Status checkAreas() const {
    using Kind = plan::Buffer::Kind;
    const struct {
      Kind kind;
      const char *name;
      uint64_t bytes, address;
    } areas[] = {{Kind::Workspace, "a workspace", bound.workspaceBytes, buffers.workspace},
                 {Kind::Weights, "a weights area", bound.weightsBytes, buffers.weights},
                 {Kind::Saved, "a saved area", bound.savedBytes, buffers.saved},
                 {Kind::Gradient, "a gradient area", bound.gradientBytes, buffers.gradient}};
    for (const auto &area : areas) {
      bool needed = false;
      for (size_t i = 0; i < plan.buffers.size() && !needed; ++i)
        needed = plan.buffers[i].kind == area.kind && uses(i) && bound.bufferBytes[i] > 0;
      if (needed && (area.address == 0 || area.address % 256))
        return {StatusCode::InvalidArgument, fmt::format("expects {} of {} bytes, aligned to 256, got address {:#x}",
                                                         area.name, area.bytes, area.address)};
    }
    return {};
  }

  const Executable::Impl &executable;
  const plan::Plan &plan;
  const Binding::Impl &bound;
  const LaunchBuffers &buffers;
  int phase; // -1: all
};

} // namespace

Status Executable::launch(const Binding &binding, const LaunchBuffers &buffers) const {
  if (!binding.impl || binding.impl->executable != impl)
    return {StatusCode::InvalidArgument, "the binding is not of this executable"};
  return Launcher(*impl, *binding.impl, buffers, -1).run();
}

Status Executable::launchPhase(const Binding &binding, size_t phase, const LaunchBuffers &buffers) const {
  if (!binding.impl || binding.impl->executable != impl)
    return {StatusCode::InvalidArgument, "the binding is not of this executable"};
  if (phase >= impl->plan.phases.size())
    return {StatusCode::InvalidArgument, fmt::format("'{}' has {} phases, there is no phase {}", impl->plan.spec,
                                                     impl->plan.phases.size(), phase)};
  return Launcher(*impl, *binding.impl, buffers, static_cast<int>(phase)).run();
}

} // namespace fourfold
