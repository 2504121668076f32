// Enqueues a layer's phases. Nothing here allocates, waits or keeps state unless something is wrong.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/linear/LinearImpl.h"
#include "runtime/linear/Struct.h"

#include <fmt/format.h>

namespace fourfold {

static Status in(const char *call, const Status &status) {
  return {status.code(), fmt::format("{}: {}", call, status.message())};
}

static constexpr const char *kCalls[kNumPhases] = {"quantizeWeights", "forward", "prepareGradient", "dgrad", "wgrad"};

Status Linear::Impl::launch(const LinearPlan::Impl *plan, Phase phase, void *stream,
                            const LinearTensors &tensors) const {
  int index = phases[static_cast<int>(phase)];
  if (index < 0) // nothing to do at this point of the recipe
    return {};
  uint64_t inputAddresses[kMaxTensors], outputAddresses[kMaxTensors];
  for (size_t i = 0; i < inputs.size(); ++i)
    inputAddresses[i] = tensors.*inputs[i];
  for (size_t i = 0; i < outputs.size(); ++i)
    outputAddresses[i] = tensors.*outputs[i];
  if (keepsBiasGradient() && plan) {
    if (tensors.gradient == 0 || tensors.gradient % 256)
      return {StatusCode::InvalidArgument,
              fmt::format("{}: expects a gradient area of {} bytes, aligned to 256, got address {:#x}",
                          kCalls[static_cast<int>(phase)], plan->gradientBytes, tensors.gradient)};
    outputAddresses[biasGradient] = tensors.gradient + plan->biasPlace;
  }
  LaunchBuffers buffers;
  buffers.inputs = inputAddresses;
  buffers.outputs = outputAddresses;
  buffers.workspace = tensors.workspace;
  buffers.stream = stream;
  buffers.weights = tensors.weights;
  buffers.saved = tensors.saved;
  buffers.gradient = tensors.gradient;
  buffers.reduceHook = descriptor.reduceHook;
  buffers.reduceUser = descriptor.reduceUser;
  const Binding &binding = plan ? plan->binding : weightsBinding;
  Status status = loaded->executable.launchPhase(binding, static_cast<size_t>(index), buffers);
  return status.ok() ? status : in(kCalls[static_cast<int>(phase)], status);
}

namespace {

/// What every call checks first.
template <typename LinearPtr, typename PlanPtr>
Status checkCall(const LinearPtr &linear, const PlanPtr &plan, const char *call, const LinearTensors &given,
                 LinearTensors *tensors) {
  if (!linear)
    return {StatusCode::InvalidArgument, fmt::format("{}: the layer was not created", call)};
  if (!plan)
    return {StatusCode::InvalidArgument, fmt::format("{}: the plan was not prepared", call)};
  if (plan->layer != linear->number)
    return {StatusCode::InvalidArgument, fmt::format("{}: the plan was prepared by another layer", call)};
  Status status = readStruct(given, "LinearTensors", tensors);
  return status.ok() ? status : in(call, status);
}

/// For outputs that the layer's own kernels write.
Status checkOutput(const char *name, uint64_t address) {
  if (address == 0)
    return {StatusCode::InvalidArgument, fmt::format("wgrad: output '{}' has no device memory", name)};
  if (address % 256)
    return {StatusCode::InvalidArgument,
            fmt::format("wgrad: output '{}' lies at {:#x}, expected an address that is a multiple of 256", name,
                        address)};
  return {};
}

} // namespace

Status Linear::quantizeWeights(void *stream, const LinearTensors &given) const {
  LinearTensors tensors;
  if (!impl)
    return {StatusCode::InvalidArgument, "quantizeWeights: the layer was not created"};
  if (Status status = readStruct(given, "LinearTensors", &tensors); !status.ok())
    return in("quantizeWeights", status);
  return impl->launch(nullptr, Phase::Weights, stream, tensors);
}

Status Linear::forward(const LinearPlan &plan, void *stream, const LinearTensors &given) const {
  LinearTensors tensors;
  if (Status status = checkCall(impl, plan.impl, "forward", given, &tensors); !status.ok())
    return status;
  return impl->launch(plan.impl.get(), Phase::Forward, stream, tensors);
}

Status Linear::prepareGradient(const LinearPlan &plan, void *stream, const LinearTensors &given) const {
  LinearTensors tensors;
  if (Status status = checkCall(impl, plan.impl, "prepareGradient", given, &tensors); !status.ok())
    return status;
  return impl->launch(plan.impl.get(), Phase::Gradient, stream, tensors);
}

Status Linear::dgrad(const LinearPlan &plan, void *stream, const LinearTensors &given) const {
  LinearTensors tensors;
  if (Status status = checkCall(impl, plan.impl, "dgrad", given, &tensors); !status.ok())
    return status;
  return impl->launch(plan.impl.get(), Phase::Dgrad, stream, tensors);
}

Status Linear::wgrad(const LinearPlan &plan, void *stream, const LinearTensors &given, bool accumulate) const {
  LinearTensors tensors;
  if (Status status = checkCall(impl, plan.impl, "wgrad", given, &tensors); !status.ok())
    return status;
  const LinearDescriptor &descriptor = impl->descriptor;
  if (accumulate && !descriptor.accumulate)
    return {StatusCode::InvalidArgument,
            "wgrad: the layer was created without accumulate and can only write dw; create it with accumulate"};
  // The kernels of an accumulating layer add to dw whatever it holds.
  uint64_t outFeatures = static_cast<uint64_t>(descriptor.outFeatures);
  if (descriptor.accumulate && !accumulate) {
    if (Status status = checkOutput("dw", tensors.dw); !status.ok())
      return status;
    Status status = impl->loaded->kernels.clear(stream, tensors.dw,
                                                outFeatures * static_cast<uint64_t>(descriptor.inFeatures) * 4);
    if (!status.ok())
      return in("wgrad", status);
  }
  bool keepsBiasGradient = impl->keepsBiasGradient();
  if (keepsBiasGradient)
    if (Status status = checkOutput("db", tensors.db); !status.ok())
      return status;
  if (Status status = impl->launch(plan.impl.get(), Phase::Wgrad, stream, tensors); !status.ok() || !keepsBiasGradient)
    return status;
  Status status = impl->loaded->kernels.add(stream, tensors.db, tensors.gradient + plan.impl->biasPlace, outFeatures,
                                            accumulate);
  return status.ok() ? status : in("wgrad", status);
}

Status Linear::backward(const LinearPlan &plan, void *stream, const LinearTensors &tensors, bool accumulate) const {
  if (Status status = prepareGradient(plan, stream, tensors); !status.ok())
    return status;
  if (Status status = dgrad(plan, stream, tensors); !status.ok())
    return status;
  return wgrad(plan, stream, tensors, accumulate);
}

Status Linear::advanceOffset(void *stream, uint64_t offset, uint64_t by) const {
  if (!impl)
    return {StatusCode::InvalidArgument, "advanceOffset: the layer was not created"};
  if (offset == 0 || offset % 8)
    return {StatusCode::InvalidArgument,
            fmt::format("advanceOffset: the offset lies at {:#x}, expected the address of an i64, a multiple of 8",
                        offset)};
  Status status = impl->loaded->kernels.advance(stream, offset, by);
  return status.ok() ? status : in("advanceOffset", status);
}

} // namespace fourfold
