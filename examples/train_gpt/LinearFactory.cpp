// Which recipe runs on which device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlasLinear.h"
#include "DeviceLinear.h"
#include "HostLinear.h"

#include "fourfold/Device.h"

#include <fmt/format.h>
#include <stdexcept>

namespace traingpt {
namespace {

/// Plain products for what BLAS knows; else a GPU, or the host where there is none: the emulated device is for checks, not for speed.
std::string automaticDevice(const std::string &recipe) {
  if (recipe == "bf16" || recipe == "fp32")
    return "blas";
  for (const std::string &name : fourfold::Device::list())
    if (name.rfind("cuda:", 0) == 0)
      return name;
  return "host";
}

} // namespace

std::unique_ptr<LinearFactory> makeLinearFactory(const std::string &recipe, const std::string &device, uint64_t seed) {
  std::string name = device == "auto" ? automaticDevice(recipe) : device;
  if (name == "blas")
    return makeBlasFactory(recipe);
  if (name == "host")
    return makeHostFactory(recipe, seed);
  if (name.rfind("cuda:", 0) == 0 || name.rfind("emulated:", 0) == 0)
    return makeDeviceFactory(recipe, name, seed);
  throw std::runtime_error(fmt::format("device '{}' is unknown; there are auto, blas, host, cuda:N and emulated:TARGET "
                                       "(emulated:sm_120a)",
                                       device));
}

} // namespace traingpt
