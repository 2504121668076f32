// What a Device holds; also how tests make one from a driver table of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_DEVICE_DEVICEIMPL_H
#define FOURFOLD_RUNTIME_DEVICE_DEVICEIMPL_H

#include "fourfold/Device.h"
#include "runtime/device/Driver.h"

namespace fourfold {

struct Device::Impl {
  const device::DriverTable *driver = nullptr;
  device::CUdevice device = 0;
  device::CUcontext context = nullptr;
  std::string name, description, target;
  bool emulated = false;
  /// Why "auto" took it. Set before anybody else has the device.
  mutable std::string choice;
  /// The provider's own words about the calling thread's last error, if it has any.
  std::string (*finding)() = nullptr;

  Impl() = default;
  Impl(const Impl &) = delete;
  Impl &operator=(const Impl &) = delete;
  ~Impl();

  /// Success, or what was done, on which device, and what the driver says.
  Status check(device::CUresult result, const std::string &what) const;
};

/// What an open device holds, for the runtime's other parts.
struct DeviceAccess {
  static const std::shared_ptr<const Device::Impl> &of(const Device &device) { return device.impl; }
};

/// Opens a device of a provider. Target "" asks the device for its compute capability.
Status openDevice(const device::DriverTable &driver, int ordinal, const std::string &name, const std::string &target,
                  std::string (*finding)(), Device *device);

/// The target that kernels for a compute capability are compiled for; "" if none fits.
std::string targetForCapability(int major, int minor);

/// Makes a device's context current for the life of this object, and restores what was current.
class CurrentContext {
public:
  explicit CurrentContext(const Device::Impl &device) : device(device) {
    device.driver->ctxGetCurrent(&previous);
    if (previous != device.context)
      result = device.driver->ctxSetCurrent(device.context);
  }
  CurrentContext(const CurrentContext &) = delete;
  CurrentContext &operator=(const CurrentContext &) = delete;
  ~CurrentContext() {
    if (previous != device.context)
      device.driver->ctxSetCurrent(previous);
  }
  device::CUresult status() const { return result; }

private:
  const Device::Impl &device;
  device::CUcontext previous = nullptr;
  device::CUresult result = device::kSuccess;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_DEVICE_DEVICEIMPL_H
