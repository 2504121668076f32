// Loads plans on a device and launches them on memory of the caller.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/ExecutableImpl.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {

using namespace device;

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

Executable::Impl::~Impl() {
  if (modules.empty())
    return;
  CurrentContext current(deviceImpl());
  for (CUmodule module : modules)
    deviceImpl().driver->moduleUnload(module);
}

/// "sm_120a" -> 120 and whether kernels run on that architecture only. Returns false for anything else.
static bool parseTarget(const std::string &target, int *number, bool *specific) {
  if (target.rfind("sm_", 0) != 0)
    return false;
  std::string digits = target.substr(3);
  *specific = !digits.empty() && (digits.back() == 'a' || digits.back() == 'f');
  if (*specific)
    digits.pop_back();
  if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string::npos)
    return false;
  *number = std::stoi(digits);
  return true;
}

static Status checkTarget(const plan::Plan &plan, const Device &device) {
  int wanted, found;
  bool wantedSpecific, foundSpecific;
  if (!parseTarget(plan.target, &wanted, &wantedSpecific))
    return {StatusCode::InvalidArgument,
            fmt::format("the manifest's target '{}' is not of the form sm_NNN", plan.target)};
  bool fits = parseTarget(device.target(), &found, &foundSpecific) &&
              (wantedSpecific ? plan.target == device.target() : wanted <= found);
  if (fits)
    return {};
  return {StatusCode::Unsupported,
          fmt::format("'{}' was compiled for {}, but device '{}' runs {}: compile for {}", plan.spec, plan.target,
                      device.name(), device.target(), device.target())};
}

CUresult Executable::Impl::findFunction(const std::string &kernel, CUfunction *function) const {
  CUresult result = kErrorNotFound;
  for (size_t i = 0; i < modules.size() && result == kErrorNotFound; ++i)
    result = deviceImpl().driver->moduleGetFunction(function, modules[i], kernel.c_str());
  return result;
}

Status Executable::Impl::findFunctions() {
  // Above this, dynamic shared memory must be asked for (CUDA C++ Programming Guide, shared memory).
  constexpr int kSharedWithoutAsking = 48 * 1024;
  const Device::Impl &impl = deviceImpl();
  for (const plan::Launch &launch : plan.launches) {
    std::vector<CUfunction> found;
    if (launch.args.size() > kMaxArguments)
      return {StatusCode::Unsupported, fmt::format("launch '{}' has {} arguments, at most {} are supported",
                                                   launch.label, launch.args.size(), kMaxArguments)};
    for (const plan::Variant &variant : launch.variants) {
      CUfunction function = nullptr;
      CUresult result = findFunction(variant.kernel, &function);
      if (Status status = impl.check(
              result, fmt::format("kernel '{}' of launch '{}' is not in the PTX", variant.kernel, launch.label));
          !status.ok())
        return status;
      int allowed = 0;
      impl.driver->funcGetAttribute(&allowed, kFunctionMaxDynamicSharedBytes, function);
      if (variant.sharedBytes > kSharedWithoutAsking && variant.sharedBytes > allowed) {
        result = impl.driver->funcSetAttribute(function, kFunctionMaxDynamicSharedBytes, variant.sharedBytes);
        int limit = 0;
        impl.driver->deviceGetAttribute(&limit, kAttributeMaxSharedPerBlockOptin, impl.device);
        if (Status status =
                impl.check(result, fmt::format("kernel '{}' asks for {} bytes of dynamic shared memory a block, "
                                               "the limit is {}",
                                               variant.kernel, variant.sharedBytes, limit));
            !status.ok())
          return status;
      }
      found.push_back(function);
    }
    functions.push_back(std::move(found));
  }
  return {};
}

void Executable::Impl::findUses() {
  used.assign(std::max<size_t>(1, plan.phases.size()), std::vector<bool>(plan.buffers.size(), false));
  for (const plan::Launch &launch : plan.launches) {
    std::vector<bool> &buffers = used[static_cast<size_t>(launch.phase)];
    if (launch.buffer >= 0)
      buffers[static_cast<size_t>(launch.buffer)] = true;
    for (const plan::Argument &argument : launch.args)
      if (argument.kind == plan::Argument::Kind::Pointer && argument.buffer >= 0)
        buffers[static_cast<size_t>(argument.buffer)] = true;
  }
}

static std::vector<Parameter> parameters(const std::vector<plan::TensorInfo> &tensors) {
  std::vector<Parameter> list;
  for (const plan::TensorInfo &tensor : tensors) {
    Parameter parameter;
    parameter.name = tensor.name;
    parameter.type = static_cast<ElementType>(tensor.type);
    for (const plan::Expr &extent : tensor.shape)
      parameter.shape.push_back(extent.str());
    list.push_back(std::move(parameter));
  }
  return list;
}

Status Executable::load(const Device &device, const std::string &manifest, const std::string &ptx,
                        Executable *executable) {
  auto impl = std::make_shared<Impl>();
  if (!device.isOpen())
    return {StatusCode::InvalidArgument, "the device is not open"};
  impl->device = device;
  std::string error;
  if (!plan::Plan::fromJson(manifest, &impl->plan, &error))
    return {StatusCode::InvalidArgument, error};
  if (Status status = checkTarget(impl->plan, device); !status.ok())
    return status;
  impl->findUses();
  impl->inputs = parameters(impl->plan.inputs);
  impl->outputs = parameters(impl->plan.outputs);
  CurrentContext current(impl->deviceImpl());
  if (Status status = impl->deviceImpl().check(current.status(), "cannot use the context"); !status.ok())
    return status;
  if (Status status = impl->loadModule(ptx); !status.ok())
    return status;
  if (Status status = impl->findFunctions(); !status.ok())
    return status;
  executable->impl = std::move(impl);
  return {};
}

const std::vector<Parameter> &Executable::inputs() const { return impl->inputs; }
const std::vector<Parameter> &Executable::outputs() const { return impl->outputs; }

} // namespace fourfold
