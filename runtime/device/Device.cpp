// Opens devices by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/device/CudaDriver.h"
#include "runtime/device/DeviceImpl.h"
#include "runtime/emulator/Emulator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

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
  size_t free = 0, total = 0;
  if (result == kErrorOutOfMemory && !emulated && driver->memGetInfo(&free, &total) == kSuccess)
    details += fmt::format("; {} of its {} bytes are free", free, total);
  if (isSticky(result) && !emulated)
    details += fmt::format("; the context of {} is lost with all its memory: no call on it can succeed any more in this process, "
                           "start the program again",
                           name);
  StatusCode code = result == kErrorOutOfMemory ? StatusCode::OutOfMemory : StatusCode::DeviceError;
  return {code, fmt::format("{} on {}: {}", what, name, details)};
}

const std::string &Device::name() const { return impl->name; }
const std::string &Device::description() const { return impl->description; }
const std::string &Device::target() const { return impl->target; }
const std::string &Device::choice() const { return impl->choice; }
bool Device::isEmulated() const { return impl->emulated; }
const DriverTable &Device::driver() const { return *impl->driver; }

std::string targetForCapability(int major, int minor) {
  if (major == 8 && minor <= 9)
    return "sm_80";
  // PTX for sm_100a runs on 10.0 alone, as does that for every other name with an `a` on its own version (PTX ISA 11.1.2).
  if ((major == 9 && minor == 0) || (major == 10 && (minor == 0 || minor == 3)) || (major == 12 && minor <= 1))
    return fmt::format("sm_{}{}a", major, minor);
  return "";
}

/// What to do without a usable GPU.
static std::string instead() { return fmt::format("use emulated:{}, which needs none", kDefaultEmulated); }

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
    for (auto [attribute, value] : {std::pair{kAttributeComputeMajor, &major}, {kAttributeComputeMinor, &minor}})
      if (Status status = impl->check(driver.deviceGetAttribute(value, attribute, impl->device),
                                      "cannot read the device's compute capability");
          !status.ok())
        return status;
    impl->target = targetForCapability(major, minor);
    if (impl->target.empty())
      return {StatusCode::Unsupported,
              fmt::format(
                  "device '{}' ({}) has compute capability {}.{}; kernels can be compiled for 8.0 to 8.9 (sm_80), 9.0 (sm_90a), "
                  "10.0 (sm_100a), 10.3 (sm_103a), 12.0 (sm_120a) and 12.1 (sm_121a): use another GPU, or {}",
                  name, impl->description, major, minor, instead())};
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
            fmt::format("device '{}' does not exist: {}; {}", name, whyNot, instead())};
  if (ordinal >= count)
    return {StatusCode::NotFound,
            fmt::format("device '{}' does not exist: there are {} GPUs, cuda:0 to cuda:{}", name, count, count - 1)};
  return openDevice(*cudaDriver(&whyNot), ordinal, name, "", nullptr, device);
}

/// The first GPU that can be opened and that kernels can be compiled for; `*whyNot` says what is wrong with each.
static Status openFirstCuda(const std::vector<std::string> &targets, std::string *whyNot, Device *device) {
  int count = countCudaDevices(whyNot);
  for (int i = 0; i < count; ++i) {
    Device opened;
    std::string name = fmt::format("cuda:{}", i), reason;
    Status status = openCuda(name, std::to_string(i), &opened);
    if (status.ok() && (targets.empty() || std::find(targets.begin(), targets.end(), opened.target()) != targets.end())) {
      *device = std::move(opened);
      return {};
    }
    reason = status.ok() ? fmt::format("device '{}' ({}) needs kernels for {}, and the compiler has those for {}", name,
                                       opened.description(), opened.target(), fmt::join(targets, ", "))
                         : status.message();
    *whyNot += (whyNot->empty() ? "" : "; ") + reason;
  }
  return {StatusCode::NotFound, *whyNot};
}

Status Device::openAuto(const std::vector<std::string> &targets, Device *device) {
  std::string whyNot, name = std::string("emulated:") + kDefaultEmulated, choice;
  Device opened;
  if (openFirstCuda(targets, &whyNot, &opened).ok()) {
    choice = fmt::format("{} ({}): the first GPU with kernels ({})", opened.name(), opened.description(), opened.target());
  } else {
    if (Status status = openEmulated(name, kDefaultEmulated, &opened); !status.ok())
      return status;
    choice = fmt::format("{}: {}", opened.name(), whyNot);
  }
  opened.impl->choice = std::move(choice);
  *device = std::move(opened);
  return {};
}

Status Device::open(const std::string &name, Device *device) {
  constexpr const char *kCuda = "cuda:", *kEmulated = "emulated:";
  if (name == "auto")
    return openAuto({}, device);
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
