// Opens devices by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/device/CudaDriver.h"
#include "runtime/device/DeviceImpl.h"
#include "runtime/emulator/Emulator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fourfold {

using namespace device;

static constexpr const char *kDefaultEmulated = "sm_120a";

Device::Impl::~Impl() {
  if (context)
    driver->primaryCtxRelease(device);
}

Status Device::Impl::check(CUresult result, const std::string &what) const {
  if (result == kSuccess)
    return {};
  std::string details = finding ? finding() : "";
  if (details.empty())
    details = errorText(*driver, result);
  StatusCode code = result == kErrorOutOfMemory ? StatusCode::OutOfMemory : StatusCode::DeviceError;
  return {code, fmt::format("{} on {}: {}", what, name, details)};
}

const std::string &Device::name() const { return impl->name; }
const std::string &Device::description() const { return impl->description; }
const std::string &Device::target() const { return impl->target; }
bool Device::isEmulated() const { return impl->emulated; }
const DriverTable &Device::driver() const { return *impl->driver; }

std::string targetForCapability(int major, int minor) {
  if (major == 8)
    return "sm_80";
  if ((major == 9 && minor == 0) || (major == 10 && (minor == 0 || minor == 3)) || (major == 12 && minor <= 1))
    return fmt::format("sm_{}{}a", major, minor);
  return "";
}

Status openDevice(const DriverTable &driver, int ordinal, const std::string &name, const std::string &target,
                  std::string (*finding)(), Device *device) {
  auto impl = std::make_shared<Device::Impl>();
  impl->driver = &driver;
  impl->name = name;
  impl->target = target;
  impl->emulated = !target.empty();
  impl->finding = finding;
  if (Status status = impl->check(driver.init(0), "cannot start the driver"); !status.ok())
    return status;
  if (Status status = impl->check(driver.deviceGet(&impl->device, ordinal), "cannot open the device"); !status.ok())
    return status;
  char text[256] = "";
  if (Status status =
          impl->check(driver.deviceGetName(text, sizeof(text), impl->device), "cannot read the device's name");
      !status.ok())
    return status;
  impl->description = text;
  if (target.empty()) {
    int major = 0, minor = 0;
    driver.deviceGetAttribute(&major, kAttributeComputeMajor, impl->device);
    driver.deviceGetAttribute(&minor, kAttributeComputeMinor, impl->device);
    impl->target = targetForCapability(major, minor);
    if (impl->target.empty())
      return {StatusCode::Unsupported,
              fmt::format(
                  "device '{}' ({}) has compute capability {}.{}; kernels can be compiled for 8.x, 9.0, 10.0, 10.3, "
                  "12.0 and 12.1",
                  name, impl->description, major, minor)};
  }
  if (Status status = impl->check(driver.primaryCtxRetain(&impl->context, impl->device), "cannot make a context");
      !status.ok())
    return status;
  *device = Device(std::move(impl));
  return {};
}

//===----------------------------------------------------------------------===//
// Providers
//===----------------------------------------------------------------------===//

static int countCudaDevices(std::string *whyNot) {
  const DriverTable *driver = cudaDriver(whyNot);
  int count = 0;
  if (!driver)
    return 0;
  if (CUresult result = driver->deviceGetCount(&count); result != kSuccess) {
    *whyNot = errorText(*driver, result);
    return 0;
  }
  if (count == 0)
    *whyNot = "the NVIDIA driver finds no GPU";
  return count;
}

static std::vector<std::string> emulatedTargets() {
  std::vector<std::string> targets;
  for (const char *target : {"sm_120a", "sm_121a", "sm_100a", "sm_103a", "sm_90a", "sm_80"})
    if (emulator::deviceOrdinal(target) >= 0)
      targets.push_back(target);
  return targets;
}

static Status openEmulated(const std::string &name, const std::string &target, Device *device) {
  if (int ordinal = emulator::deviceOrdinal(target); ordinal >= 0)
    return openDevice(emulator::driver(), ordinal, name, target, emulator::lastFinding, device);
  return {StatusCode::NotFound, fmt::format("device '{}' does not exist: no emulated device '{}', there are {}", name,
                                            target, fmt::join(emulatedTargets(), ", "))};
}

static Status openCuda(const std::string &name, const std::string &number, Device *device) {
  bool digits = !number.empty() && number.size() <= 4 && number.find_first_not_of("0123456789") == std::string::npos;
  if (!digits)
    return {StatusCode::InvalidArgument,
            fmt::format("device '{}': expected a number after 'cuda:', found '{}'", name, number)};
  std::string whyNot;
  int count = countCudaDevices(&whyNot), ordinal = std::stoi(number);
  if (count == 0)
    return {StatusCode::NotFound,
            fmt::format("device '{}' does not exist: {}; use emulated:{}", name, whyNot, kDefaultEmulated)};
  if (ordinal >= count)
    return {StatusCode::NotFound,
            fmt::format("device '{}' does not exist: there are {} GPUs, cuda:0 to cuda:{}", name, count, count - 1)};
  return openDevice(*cudaDriver(&whyNot), ordinal, name, "", nullptr, device);
}

Status Device::open(const std::string &name, Device *device) {
  constexpr const char *kCuda = "cuda:", *kEmulated = "emulated:";
  if (name == "auto") {
    std::string whyNot;
    if (countCudaDevices(&whyNot) > 0)
      return openCuda("cuda:0", "0", device);
    return openEmulated(std::string(kEmulated) + kDefaultEmulated, kDefaultEmulated, device);
  }
  if (name.rfind(kCuda, 0) == 0)
    return openCuda(name, name.substr(5), device);
  if (name.rfind(kEmulated, 0) == 0)
    return openEmulated(name, name.substr(9), device);
  return {StatusCode::InvalidArgument,
          fmt::format("unknown device '{}': expected auto or one of {}", name, fmt::join(list(), ", "))};
}

std::vector<std::string> Device::list() {
  std::vector<std::string> names;
  std::string whyNot;
  for (int i = 0, count = countCudaDevices(&whyNot); i < count; ++i)
    names.push_back(fmt::format("cuda:{}", i));
  for (const std::string &target : emulatedTargets())
    names.push_back("emulated:" + target);
  return names;
}

} // namespace fourfold
