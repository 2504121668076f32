// Which recipe runs on which device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlasLinear.h"
#ifdef TRAIN_GPT_HAS_DEVICES
#include "DeviceLinear.h"
#endif

#include <fmt/format.h>
#include <stdexcept>

namespace traingpt {

std::unique_ptr<LinearFactory> makeLinearFactory(const std::string &recipe, const std::string &device, uint64_t seed) {
  bool plain = recipe == "bf16" || recipe == "fp32";
  if (device == "blas" || (device == "auto" && plain))
    return makeBlasFactory(recipe);
#ifdef TRAIN_GPT_HAS_DEVICES
  if (device == "auto" || device.rfind("cuda:", 0) == 0 || device.rfind("emulated:", 0) == 0)
    return makeDeviceFactory(recipe, device, seed);
  const char *others = ", cuda:N and emulated:TARGET (emulated:sm_120a)";
#else
  (void)seed;
  if (device == "auto")
    return makeBlasFactory(recipe);
  const char *others = "";
#endif
  throw std::runtime_error(fmt::format("device '{}' is unknown; there are auto, blas{}", device, others));
}

} // namespace traingpt
