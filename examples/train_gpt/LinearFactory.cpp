// Which recipe runs on which device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlasLinear.h"
#include "DeviceLinear.h"

#include <fmt/format.h>
#include <stdexcept>

namespace traingpt {

std::unique_ptr<LinearFactory> makeLinearFactory(const std::string &recipe, const std::string &device, uint64_t seed) {
  bool plain = recipe == "bf16" || recipe == "fp32";
  if (device == "blas" || (device == "auto" && plain))
    return makeBlasFactory(recipe);
  if (device == "auto" || device.rfind("cuda:", 0) == 0 || device.rfind("emulated:", 0) == 0)
    return makeDeviceFactory(recipe, device, seed);
  throw std::runtime_error(fmt::format("device '{}' is unknown; there are auto, blas, cuda:N and emulated:TARGET (emulated:sm_120a)", device));
}

} // namespace traingpt
