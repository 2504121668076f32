// The emulated libcuda.so.1: memory, copies, fills. Everything has happened when a call returns, as with any stream's work done at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Entry.h"

#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <vector>

using namespace fourfold::libcuda;
using namespace fourfold::device;

namespace {

/// CUDA_MEMCPY2D of cuda.h.
struct Copy2D {
  size_t fromX, fromY;
  unsigned fromKind; // CUmemorytype: 1 host, 2 device, 4 unified
  const void *fromHost;
  CUdeviceptr fromDevice;
  void *fromArray;
  size_t fromPitch;
  size_t toX, toY;
  unsigned toKind;
  void *toHost;
  CUdeviceptr toDevice;
  void *toArray;
  size_t toPitch;
  size_t width, height;
};

std::mutex mutex;
std::map<CUdeviceptr, size_t> allocations; // address, bytes: what tells the device's addresses from the host's

/// The allocation that an address is in; allocations.end() for an address of the host, or one in none.
std::map<CUdeviceptr, size_t>::iterator allocationOf(CUdeviceptr address) {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin())
    return allocations.end();
  --next;
  return address - next->first < next->second ? next : allocations.end();
}

bool isDevice(CUdeviceptr address) {
  std::lock_guard<std::mutex> lock(mutex);
  return allocationOf(address) != allocations.end();
}

CUresult allocate(const char *name, CUdeviceptr *address, size_t bytes) {
  CUresult result = told(name, table().memAlloc(address, bytes));
  std::lock_guard<std::mutex> lock(mutex);
  if (result == kSuccess)
    allocations[*address] = bytes;
  return result;
}

CUresult release(const char *name, CUdeviceptr address) {
  CUresult result = told(name, table().memFree(address));
  std::lock_guard<std::mutex> lock(mutex);
  if (result == kSuccess)
    allocations.erase(address);
  return result;
}

CUresult copy(const char *name, bool toDevice, CUdeviceptr to, bool fromDevice, CUdeviceptr from, size_t bytes) {
  void *target = reinterpret_cast<void *>(to);
  const void *source = reinterpret_cast<const void *>(from);
  if (toDevice && fromDevice)
    return told(name, table().memcpyDtoDAsync(to, from, bytes, nullptr));
  if (toDevice)
    return told(name, table().memcpyHtoDAsync(to, source, bytes, nullptr));
  if (fromDevice)
    return told(name, table().memcpyDtoHAsync(target, from, bytes, nullptr));
  std::memcpy(target, source, bytes);
  return kSuccess;
}

/// A pattern of 1, 2 or 4 bytes: what cannot be filled by the byte is copied from the host.
CUresult fill(const char *name, CUdeviceptr to, uint32_t value, unsigned bytes, size_t count) {
  if (count == 0)
    return kSuccess;
  if (to % bytes)
    return refuse(name, kErrorInvalidValue, fmt::format("address {:#x} is not a multiple of {}", to, bytes));
  if (bytes == 1)
    return told(name, table().memsetD8Async(to, static_cast<unsigned char>(value), count, nullptr));
  std::vector<unsigned char> pattern(count * bytes);
  for (size_t i = 0; i < pattern.size(); ++i)
    pattern[i] = static_cast<unsigned char>(value >> (8 * (i % bytes)));
  return told(name, table().memcpyHtoDAsync(to, pattern.data(), pattern.size(), nullptr));
}

CUresult fillRows(const char *name, CUdeviceptr to, size_t pitch, uint32_t value, unsigned bytes, size_t width, size_t height) {
  if (height > 1 && pitch < width * bytes)
    return refuse(name, kErrorInvalidValue, fmt::format("a pitch of {} bytes is less than a row of {}", pitch, width * bytes));
  for (size_t row = 0; row < height; ++row)
    if (CUresult wrong = fill(name, to + row * pitch, value, bytes, width))
      return wrong;
  return kSuccess;
}

CUresult copyRows(const char *name, const Copy2D *rows) {
  if (!rows)
    return refuse(name, kErrorInvalidValue, "the description of the copy is null");
  for (unsigned kind : {rows->fromKind, rows->toKind})
    if (kind != 1 && kind != 2 && kind != 4)
      return refuse(name, kErrorNotSupported,
                    fmt::format("memory type {}: host (1), device (2) and unified addresses (4) are emulated, arrays are not", kind));
  auto place = [](unsigned kind, const void *host, CUdeviceptr device) { return kind == 1 ? reinterpret_cast<CUdeviceptr>(host) : device; };
  CUdeviceptr from = place(rows->fromKind, rows->fromHost, rows->fromDevice), to = place(rows->toKind, rows->toHost, rows->toDevice);
  bool fromDevice = rows->fromKind == 2 || (rows->fromKind == 4 && isDevice(from));
  bool toDevice = rows->toKind == 2 || (rows->toKind == 4 && isDevice(to));
  for (size_t row = 0; row < rows->height; ++row)
    if (CUresult wrong = copy(name, toDevice, to + (rows->toY + row) * rows->toPitch + rows->toX, fromDevice,
                              from + (rows->fromY + row) * rows->fromPitch + rows->fromX, rows->width))
      return wrong;
  return kSuccess;
}

CUresult hostMemory(const char *name, void **address, size_t bytes) {
  if (!address || !bytes)
    return refuse(name, kErrorInvalidValue, address ? "an allocation of 0 bytes" : "the address is null");
  *address = std::malloc(bytes);
  return *address ? kSuccess : refuse(name, kErrorOutOfMemory, fmt::format("the host has no memory for {} bytes", bytes));
}

constexpr char kMapped[] = "kernels of the emulated device do not reach host memory; copy it";

} // namespace

//===----------------------------------------------------------------------===//
// Allocations
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuMemGetInfo_v2(size_t *free, size_t *total) { return told("cuMemGetInfo", table().memGetInfo(free, total)); }
FOURFOLD_ENTRY cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) { return allocate("cuMemAlloc", address, bytes); }
FOURFOLD_ENTRY cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream) { return allocate("cuMemAllocAsync", address, bytes); }
FOURFOLD_ENTRY cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
  if (!pitch || (element != 4 && element != 8 && element != 16))
    return refuse("cuMemAllocPitch", kErrorInvalidValue, pitch ? "elements have 4, 8 or 16 bytes" : "pitch is null");
  *pitch = (width + 511) / 512 * 512;
  return allocate("cuMemAllocPitch", address, *pitch * height);
}
FOURFOLD_ENTRY cuMemAllocManaged(CUdeviceptr *, size_t, unsigned) {
  return refuse("cuMemAllocManaged", kErrorNotSupported, kMapped);
}
FOURFOLD_ENTRY cuMemFree_v2(CUdeviceptr address) { return release("cuMemFree", address); }
FOURFOLD_ENTRY cuMemFreeAsync(CUdeviceptr address, CUstream) { return release("cuMemFreeAsync", address); }
FOURFOLD_ENTRY cuMemAllocHost_v2(void **address, size_t bytes) { return hostMemory("cuMemAllocHost", address, bytes); }
FOURFOLD_ENTRY cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  constexpr unsigned kDeviceMap = 2;
  if (flags & kDeviceMap)
    return refuse("cuMemHostAlloc", kErrorNotSupported, kMapped);
  return hostMemory("cuMemHostAlloc", address, bytes);
}
FOURFOLD_ENTRY cuMemFreeHost(void *address) {
  std::free(address);
  return kSuccess;
}
FOURFOLD_ENTRY cuMemHostRegister_v2(void *, size_t, unsigned) { return kSuccess; } // pinned or not, copies are the same
FOURFOLD_ENTRY cuMemHostUnregister(void *) { return kSuccess; }
FOURFOLD_ENTRY cuMemHostGetDevicePointer_v2(CUdeviceptr *, void *, unsigned) {
  return refuse("cuMemHostGetDevicePointer", kErrorNotSupported, kMapped);
}
FOURFOLD_ENTRY cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = allocationOf(address);
  if (found == allocations.end())
    return refuse("cuMemGetAddressRange", kErrorNotFound, fmt::format("address {:#x} is in no allocation", address));
  if (base)
    *base = found->first;
  if (bytes)
    *bytes = found->second;
  return kSuccess;
}
FOURFOLD_ENTRY cuPointerGetAttribute(void *data, int attribute, CUdeviceptr address) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = allocationOf(address);
  if (!data || found == allocations.end())
    return refuse("cuPointerGetAttribute", kErrorInvalidValue,
                  data ? fmt::format("address {:#x} is in no allocation of the device", address) : "data is null");
  switch (attribute) { // CUpointer_attribute
  case 1:              // CONTEXT
    return table().ctxGetCurrent(static_cast<CUcontext *>(data));
  case 2: // MEMORY_TYPE: device
    *static_cast<unsigned *>(data) = 2;
    return kSuccess;
  case 3: // DEVICE_POINTER
    *static_cast<CUdeviceptr *>(data) = address;
    return kSuccess;
  case 8: // IS_MANAGED
    *static_cast<unsigned *>(data) = 0;
    return kSuccess;
  case 9: // DEVICE_ORDINAL
    *static_cast<int *>(data) = 0;
    return kSuccess;
  case 11: // RANGE_START_ADDR
    *static_cast<CUdeviceptr *>(data) = found->first;
    return kSuccess;
  case 12: // RANGE_SIZE
    *static_cast<size_t *>(data) = found->second;
    return kSuccess;
  default:
    return refuse("cuPointerGetAttribute", kErrorNotSupported, fmt::format("pointer attribute {} is not emulated", attribute));
  }
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return copy("cuMemcpyHtoD", true, to, false, reinterpret_cast<CUdeviceptr>(from), bytes);
}
FOURFOLD_ENTRY cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream) {
  return copy("cuMemcpyHtoDAsync", true, to, false, reinterpret_cast<CUdeviceptr>(from), bytes);
}
FOURFOLD_ENTRY cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return copy("cuMemcpyDtoH", false, reinterpret_cast<CUdeviceptr>(to), true, from, bytes);
}
FOURFOLD_ENTRY cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream) {
  return copy("cuMemcpyDtoHAsync", false, reinterpret_cast<CUdeviceptr>(to), true, from, bytes);
}
FOURFOLD_ENTRY cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy("cuMemcpyDtoD", true, to, true, from, bytes); }
FOURFOLD_ENTRY cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) {
  return copy("cuMemcpyDtoDAsync", true, to, true, from, bytes);
}
FOURFOLD_ENTRY cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copy("cuMemcpy", isDevice(to), to, isDevice(from), from, bytes);
}
FOURFOLD_ENTRY cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) {
  return copy("cuMemcpyAsync", isDevice(to), to, isDevice(from), from, bytes);
}
FOURFOLD_ENTRY cuMemcpy2D_v2(const Copy2D *rows) { return copyRows("cuMemcpy2D", rows); }
FOURFOLD_ENTRY cuMemcpy2DUnaligned_v2(const Copy2D *rows) { return copyRows("cuMemcpy2DUnaligned", rows); }
FOURFOLD_ENTRY cuMemcpy2DAsync_v2(const Copy2D *rows, CUstream) { return copyRows("cuMemcpy2DAsync", rows); }

//===----------------------------------------------------------------------===//
// Fills
//===----------------------------------------------------------------------===//

#define FOURFOLD_FILL(BITS, TYPE)                                                                                                          \
  FOURFOLD_ENTRY cuMemsetD##BITS##_v2(CUdeviceptr to, TYPE value, size_t count) {                                                          \
    return fill("cuMemsetD" #BITS, to, value, BITS / 8, count);                                                                            \
  }                                                                                                                                        \
  FOURFOLD_ENTRY cuMemsetD##BITS##Async(CUdeviceptr to, TYPE value, size_t count, CUstream) {                                              \
    return fill("cuMemsetD" #BITS "Async", to, value, BITS / 8, count);                                                                    \
  }                                                                                                                                        \
  FOURFOLD_ENTRY cuMemsetD2D##BITS##_v2(CUdeviceptr to, size_t pitch, TYPE value, size_t width, size_t height) {                           \
    return fillRows("cuMemsetD2D" #BITS, to, pitch, value, BITS / 8, width, height);                                                       \
  }                                                                                                                                        \
  FOURFOLD_ENTRY cuMemsetD2D##BITS##Async(CUdeviceptr to, size_t pitch, TYPE value, size_t width, size_t height, CUstream) {               \
    return fillRows("cuMemsetD2D" #BITS "Async", to, pitch, value, BITS / 8, width, height);                                               \
  }
FOURFOLD_FILL(8, unsigned char)
FOURFOLD_FILL(16, unsigned short)
FOURFOLD_FILL(32, unsigned)
