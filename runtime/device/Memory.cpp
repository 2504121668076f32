// Device memory for programs that have no CUDA runtime of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Memory.h"

#include "runtime/device/DeviceImpl.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {

using namespace device;

/// Calls `work` with the device's context current.
template <typename Work>
static Status inContext(const Device &device, const char *what, uint64_t bytes, Work work) {
  if (!device.isOpen())
    return {StatusCode::InvalidArgument, "the device is not open"};
  const Device::Impl &impl = *DeviceAccess::of(device);
  CurrentContext current(impl);
  CUresult result = current.status();
  if (result == kSuccess)
    result = work(*impl.driver);
  return result == kSuccess ? Status() : impl.check(result, fmt::format("cannot {} ({} bytes)", what, bytes));
}

Status allocateMemory(const Device &device, uint64_t bytes, uint64_t *address) {
  *address = 0;
  return inContext(device, "allocate device memory", bytes, [&](const DriverTable &driver) {
    // The driver refuses to allocate nothing.
    return driver.memAlloc(address, std::max<uint64_t>(bytes, 1));
  });
}

Status freeMemory(const Device &device, uint64_t address) {
  if (address == 0)
    return {};
  return inContext(device, "free device memory", 0,
                   [&](const DriverTable &driver) { return driver.memFree(address); });
}

Status copyIn(const Device &device, uint64_t to, const void *from, uint64_t bytes, void *stream) {
  if (bytes == 0)
    return {};
  return inContext(device, "copy to device memory", bytes, [&](const DriverTable &driver) {
    CUresult result = driver.memcpyHtoDAsync(to, from, bytes, static_cast<CUstream>(stream));
    return result == kSuccess ? driver.streamSynchronize(static_cast<CUstream>(stream)) : result;
  });
}

Status copyOut(const Device &device, void *to, uint64_t from, uint64_t bytes, void *stream) {
  if (bytes == 0)
    return {};
  return inContext(device, "copy from device memory", bytes, [&](const DriverTable &driver) {
    CUresult result = driver.memcpyDtoHAsync(to, from, bytes, static_cast<CUstream>(stream));
    return result == kSuccess ? driver.streamSynchronize(static_cast<CUstream>(stream)) : result;
  });
}

Status clearMemory(const Device &device, uint64_t address, uint64_t bytes, void *stream) {
  if (bytes == 0)
    return {};
  return inContext(device, "clear device memory", bytes, [&](const DriverTable &driver) {
    return driver.memsetD8Async(address, 0, bytes, static_cast<CUstream>(stream));
  });
}

Status synchronize(const Device &device, void *stream) {
  return inContext(device, "wait for a stream", 0, [&](const DriverTable &driver) {
    return driver.streamSynchronize(static_cast<CUstream>(stream));
  });
}

} // namespace fourfold
