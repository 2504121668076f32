// Loads the kernels of a plan: machine code that nvJitLink made and the cache keeps, else PTX that the driver assembles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/ExecutableImpl.h"
#include "runtime/core/Messages.h"
#include "runtime/device/CudaDriver.h"
#include "runtime/device/PtxVersion.h"
#include "runtime/jit/Cubin.h"

#include <fmt/format.h>

#include <array>

namespace fourfold {

using namespace device;

/// The driver's answer to an image, with the log of its compiler.
static CUresult loadImage(const DriverTable &driver, const char *image, CUmodule *module, std::string *log) {
  std::array<char, 16384> errorLog{}, infoLog{};
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBufferSize, kJitInfoLogBuffer, kJitInfoLogBufferSize};
  // The driver API passes sizes in the pointer itself.
  void *values[] = {errorLog.data(), reinterpret_cast<void *>(errorLog.size() - 1), infoLog.data(),
                    reinterpret_cast<void *>(infoLog.size() - 1)};
  CUresult result = driver.moduleLoadDataEx(module, image, 4, options, values);
  if (result != kSuccess)
    *module = nullptr;
  *log = errorLog.data();
  while (!log->empty() && log->back() == '\n')
    log->pop_back();
  return result;
}

/// The versions of both, where the driver is known to be too old for the PTX.
static Status checkDriver(const Device::Impl &device, const plan::Plan &plan, bool refused) {
  int found = 0, needed = cudaForPtx(plan.ptxVersion);
  device.driver->driverGetVersion(&found);
  if (!refused && (needed == 0 || found >= needed))
    return {};
  return {StatusCode::Unsupported,
          fmt::format("the kernels of '{}' are PTX {}, which needs an NVIDIA driver for CUDA {} or later; {} has a driver for "
                      "CUDA {}, which takes PTX up to {}: update the driver, or run on emulated:{}",
                      plan.spec, plan.ptxVersion, needed ? versionText(needed) : "newer than this one", device.name,
                      versionText(found), ptxForCuda(found), plan.target)};
}

/// True if machine code was loaded. Why it was not is said once: the driver's compiler does as well, at each start of a program.
bool Executable::Impl::loadCubins(const std::string &ptx, Status *status) {
  const Device::Impl &impl = deviceImpl();
  CachedTexts texts;
  std::string why, log;
  if (Status linked = linkCubins(ptx, impl.target, &texts); !linked.ok()) {
    why = linked.message();
  } else {
    CUresult result = kSuccess;
    for (size_t i = 0; result == kSuccess && texts->count(fmt::format("cubin.{}", i)); ++i) {
      CUmodule module = nullptr;
      result = loadImage(*impl.driver, texts->at(fmt::format("cubin.{}", i)).c_str(), &module, &log);
      if (result == kSuccess)
        modules.push_back(module);
    }
    if (result == kSuccess)
      return true;
    for (CUmodule module : modules)
      impl.driver->moduleUnload(module);
    modules.clear();
    if (isSticky(result) || result == kErrorOutOfMemory) {
      *status = impl.check(result, fmt::format("cannot load the kernels of '{}' for {}", plan.spec, plan.target));
      return false;
    }
    why = fmt::format("the driver does not load the machine code of nvJitLink ({})", errorText(*impl.driver, result));
  }
  sendOnce("nvJitLink " + impl.name,
           fmt::format("note: the driver assembles the kernels for {}, which is not kept in Fourfold's cache: {}", impl.name, why));
  return false;
}

Status Executable::Impl::loadModule(const std::string &ptx) {
  const Device::Impl &impl = deviceImpl();
  if (!impl.emulated) {
    Status status;
    if (loadCubins(ptx, &status) || !status.ok())
      return status;
    if (status = checkDriver(impl, plan, /*refused=*/false); !status.ok())
      return status;
  }
  std::string log;
  CUmodule module = nullptr;
  CUresult result = loadImage(*impl.driver, ptx.c_str(), &module, &log);
  if (result == kSuccess) {
    modules.push_back(module);
    return {};
  }
  if (result == kErrorUnsupportedPtxVersion && !impl.emulated)
    return checkDriver(impl, plan, /*refused=*/true);
  Status status = impl.check(result, fmt::format("cannot load the PTX of '{}' for {}", plan.spec, plan.target));
  if (log.empty() || status.message().find(log) != std::string::npos)
    return status;
  return {status.code(), status.message() + "\n" + log};
}

} // namespace fourfold
