// A device that runs kernels: a GPU, or the emulated device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_DEVICE_H
#define FOURFOLD_DEVICE_H

#include "fourfold/Export.h"
#include "fourfold/Status.h"

#include <memory>
#include <string>
#include <vector>

namespace fourfold {

namespace device {
struct DriverTable;
} // namespace device

/// A device and its primary context. Cheap to copy; thread-safe once opened.
class FOURFOLD_API Device {
public:
  struct Impl;
  Device() = default;
  explicit Device(std::shared_ptr<const Impl> impl) : impl(std::move(impl)) {}

  /// Opens "cuda:N", "emulated:<target>" or "auto": the first GPU of a compute capability that kernels can be compiled for, else
  /// emulated:sm_120a; `choice` says why.
  static Status open(const std::string &name, Device *device);
  /// As "auto", but a GPU counts only if kernels can be compiled for one of `targets` ("sm_120a"), if there are any.
  static Status openAuto(const std::vector<std::string> &targets, Device *device);
  /// The names of the devices that exist here.
  static std::vector<std::string> list();

  bool isOpen() const { return impl != nullptr; }
  /// "cuda:0", "emulated:sm_120a".
  const std::string &name() const;
  /// For people: "NVIDIA GeForce RTX 5090".
  const std::string &description() const;
  /// What kernels must be compiled for: "sm_120a".
  const std::string &target() const;
  bool isEmulated() const;
  /// Of a device that "auto" chose: which and why, for people; "" otherwise.
  const std::string &choice() const;
  /// The driver entry points, for callers that manage memory and streams themselves.
  const device::DriverTable &driver() const;

private:
  friend class Executable;
  friend struct DeviceAccess;
  std::shared_ptr<const Impl> impl;
};

} // namespace fourfold

#endif // FOURFOLD_DEVICE_H
