// The emulated libcuda.so.1: initialisation, errors, devices and contexts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Entry.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <vector>

namespace fourfold {
namespace libcuda {

namespace {

const char *shownTarget() {
  const char *name = std::getenv("FOURFOLD_EMULATED_TARGET");
  return name && *name ? name : "sm_90a";
}

thread_local std::vector<CUcontext> contextStack; // below the current one

void say(const char *function, const std::string &text) {
  // A context that has failed says the same at every call: once is enough.
  thread_local std::string last;
  if (text.empty() || text == last)
    return;
  last = text;
  bool named = text.rfind(function, 0) == 0;
  std::fprintf(stderr, "fourfold: %s%s%s\n", named ? "" : function, named ? "" : ": ", text.c_str());
}

struct Attribute {
  int number, value;
};
// CUdevice_attribute of cuda.h, beyond those that the device itself answers; what all of the emulated devices have alike.
const Attribute kAttributes[] = {
    {2, 1024},        // MAX_BLOCK_DIM_X
    {3, 1024},        // MAX_BLOCK_DIM_Y
    {4, 64},          // MAX_BLOCK_DIM_Z
    {5, 2147483647},  // MAX_GRID_DIM_X
    {6, 65535},       // MAX_GRID_DIM_Y
    {7, 65535},       // MAX_GRID_DIM_Z
    {9, 65536},       // TOTAL_CONSTANT_MEMORY
    {11, 2147483647}, // MAX_PITCH
    {12, 65536},      // MAX_REGISTERS_PER_BLOCK
    {14, 512},        // TEXTURE_ALIGNMENT
    {15, 0},          // GPU_OVERLAP
    {17, 0},          // KERNEL_EXEC_TIMEOUT
    {18, 0},          // INTEGRATED
    {19, 0},          // CAN_MAP_HOST_MEMORY
    {20, 0},          // COMPUTE_MODE: default
    {31, 0},          // CONCURRENT_KERNELS
    {32, 0},          // ECC_ENABLED
    {33, 0},          // PCI_BUS_ID
    {34, 0},          // PCI_DEVICE_ID
    {35, 0},          // TCC_DRIVER
    {40, 0},          // ASYNC_ENGINE_COUNT
    {41, 1},          // UNIFIED_ADDRESSING: addresses of the device are none of the host
    {50, 0},          // PCI_DOMAIN_ID
    {78, 0},          // STREAM_PRIORITIES_SUPPORTED
    {79, 1},          // GLOBAL_L1_CACHE_SUPPORTED
    {80, 1},          // LOCAL_L1_CACHE_SUPPORTED
    {82, 65536},      // MAX_REGISTERS_PER_MULTIPROCESSOR
    {83, 0},          // MANAGED_MEMORY
    {84, 0},          // MULTI_GPU_BOARD
    {88, 0},          // PAGEABLE_MEMORY_ACCESS
    {89, 0},          // CONCURRENT_MANAGED_ACCESS
    {111, 1024},      // RESERVED_SHARED_MEMORY_PER_BLOCK
    {115, 0},         // MEMORY_POOLS_SUPPORTED
};

} // namespace

int shownOrdinal() {
  static const int ordinal = emulator::deviceOrdinal(shownTarget());
  return ordinal;
}

CUresult told(const char *function, CUresult result) {
  if (result != kSuccess)
    say(function, emulator::lastFinding());
  return result;
}

CUresult refuse(const char *function, CUresult result, const std::string &why) {
  say(function, why);
  return result;
}

CUresult checkDevice(const char *function, CUdevice device) {
  if (device != 0)
    return refuse(function, kErrorInvalidDevice, fmt::format("device {} was asked for; the emulated device is 0, the only one", device));
  return kSuccess;
}

} // namespace libcuda
} // namespace fourfold

using namespace fourfold::libcuda;
using namespace fourfold::device;

FOURFOLD_ENTRY cuInit(unsigned flags) {
  if (shownOrdinal() < 0)
    return refuse("cuInit", kErrorNoDevice,
                  fmt::format("FOURFOLD_EMULATED_TARGET={} is not a device: sm_80, sm_90a, sm_100a and sm_120a are", shownTarget()));
  return told("cuInit", table().init(flags));
}
FOURFOLD_ENTRY cuDriverGetVersion(int *version) { return told("cuDriverGetVersion", table().driverGetVersion(version)); }
FOURFOLD_ENTRY cuGetErrorName(CUresult error, const char **text) { return table().getErrorName(error, text); }
FOURFOLD_ENTRY cuGetErrorString(CUresult error, const char **text) { return table().getErrorString(error, text); }

FOURFOLD_ENTRY cuDeviceGetCount(int *count) {
  if (!count)
    return refuse("cuDeviceGetCount", kErrorInvalidValue, "count is null");
  *count = 1;
  return kSuccess;
}
FOURFOLD_ENTRY cuDeviceGet(CUdevice *device, int ordinal) {
  if (!device)
    return refuse("cuDeviceGet", kErrorInvalidValue, "device is null");
  *device = 0;
  return checkDevice("cuDeviceGet", ordinal);
}
FOURFOLD_ENTRY cuDeviceGetName(char *name, int length, CUdevice device) {
  if (CUresult wrong = checkDevice("cuDeviceGetName", device))
    return wrong;
  return told("cuDeviceGetName", table().deviceGetName(name, length, shownOrdinal()));
}
FOURFOLD_ENTRY cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  if (CUresult wrong = checkDevice("cuDeviceTotalMem", device))
    return wrong;
  return told("cuDeviceTotalMem", table().deviceTotalMem(bytes, shownOrdinal()));
}
FOURFOLD_ENTRY cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  if (CUresult wrong = checkDevice("cuDeviceGetAttribute", device))
    return wrong;
  if (!value)
    return refuse("cuDeviceGetAttribute", kErrorInvalidValue, "value is null");
  for (const Attribute &entry : kAttributes)
    if (entry.number == attribute) {
      *value = entry.value;
      return kSuccess;
    }
  int major = 0;
  table().deviceGetAttribute(&major, kAttributeComputeMajor, shownOrdinal());
  switch (attribute) {
  case 39: // MAX_THREADS_PER_MULTIPROCESSOR (CUDA programming guide, compute capabilities)
    *value = major == 12 ? 1536 : 2048;
    return kSuccess;
  case 106: // MAX_BLOCKS_PER_MULTIPROCESSOR
    *value = major == 12 ? 24 : 32;
    return kSuccess;
  default:
    return told("cuDeviceGetAttribute", table().deviceGetAttribute(value, attribute, shownOrdinal()));
  }
}
FOURFOLD_ENTRY cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
  CUresult result = cuDeviceGetAttribute(major, kAttributeComputeMajor, device);
  return result ? result : cuDeviceGetAttribute(minor, kAttributeComputeMinor, device);
}
FOURFOLD_ENTRY cuDeviceGetUuid_v2(unsigned char *uuid, CUdevice device) {
  if (CUresult wrong = checkDevice("cuDeviceGetUuid", device))
    return wrong;
  if (!uuid)
    return refuse("cuDeviceGetUuid", kErrorInvalidValue, "uuid is null");
  std::memcpy(uuid, "fourfold-emulate", 16);
  return kSuccess;
}
FOURFOLD_ENTRY cuDeviceCanAccessPeer(int *can, CUdevice, CUdevice) {
  if (!can)
    return refuse("cuDeviceCanAccessPeer", kErrorInvalidValue, "canAccessPeer is null");
  *can = 0;
  return kSuccess;
}

FOURFOLD_ENTRY cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  if (CUresult wrong = checkDevice("cuDevicePrimaryCtxRetain", device))
    return wrong;
  return told("cuDevicePrimaryCtxRetain", table().primaryCtxRetain(context, shownOrdinal()));
}
FOURFOLD_ENTRY cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  if (CUresult wrong = checkDevice("cuDevicePrimaryCtxRelease", device))
    return wrong;
  return told("cuDevicePrimaryCtxRelease", table().primaryCtxRelease(shownOrdinal()));
}
FOURFOLD_ENTRY cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned) { return checkDevice("cuDevicePrimaryCtxSetFlags", device); }

FOURFOLD_ENTRY cuCtxSetCurrent(CUcontext context) { return told("cuCtxSetCurrent", table().ctxSetCurrent(context)); }
FOURFOLD_ENTRY cuCtxGetCurrent(CUcontext *context) { return told("cuCtxGetCurrent", table().ctxGetCurrent(context)); }
FOURFOLD_ENTRY cuCtxSynchronize() { return told("cuCtxSynchronize", table().ctxSynchronize()); }
FOURFOLD_ENTRY cuCtxPushCurrent_v2(CUcontext context) {
  CUcontext before = nullptr;
  table().ctxGetCurrent(&before);
  CUresult result = told("cuCtxPushCurrent", table().ctxSetCurrent(context));
  if (result == kSuccess)
    contextStack.push_back(before);
  return result;
}
FOURFOLD_ENTRY cuCtxPopCurrent_v2(CUcontext *context) {
  CUcontext current = nullptr;
  table().ctxGetCurrent(&current);
  if (!current)
    return refuse("cuCtxPopCurrent", kErrorInvalidContext, "the thread has no current context");
  if (context)
    *context = current;
  CUcontext below = nullptr;
  if (!contextStack.empty()) {
    below = contextStack.back();
    contextStack.pop_back();
  }
  return told("cuCtxPopCurrent", table().ctxSetCurrent(below));
}
/// A context made by the program is the primary one: the emulated device has no other.
FOURFOLD_ENTRY cuCtxCreate_v2(CUcontext *context, unsigned, CUdevice device) {
  CUresult result = cuDevicePrimaryCtxRetain(context, device);
  return result ? result : cuCtxPushCurrent_v2(*context);
}
FOURFOLD_ENTRY cuCtxCreate_v3(CUcontext *context, void *affinity, int count, unsigned flags, CUdevice device) {
  if (affinity && count)
    return refuse("cuCtxCreate", kErrorNotSupported, "execution affinity is not emulated; pass none");
  return cuCtxCreate_v2(context, flags, device);
}
FOURFOLD_ENTRY cuCtxCreate_v4(CUcontext *context, void *params, unsigned flags, CUdevice device) {
  if (params)
    return refuse("cuCtxCreate", kErrorNotSupported, "CUctxCreateParams are not emulated; pass NULL");
  return cuCtxCreate_v2(context, flags, device);
}
FOURFOLD_ENTRY cuCtxDestroy_v2(CUcontext context) {
  CUcontext current = nullptr;
  table().ctxGetCurrent(&current);
  if (!context)
    return refuse("cuCtxDestroy", kErrorInvalidContext, "the context is null");
  if (current == context)
    cuCtxPopCurrent_v2(nullptr);
  return told("cuCtxDestroy", table().primaryCtxRelease(shownOrdinal()));
}
FOURFOLD_ENTRY cuCtxGetDevice(CUdevice *device) {
  CUcontext current = nullptr;
  table().ctxGetCurrent(&current);
  if (!device || !current)
    return refuse("cuCtxGetDevice", device ? kErrorInvalidContext : kErrorInvalidValue,
                  device ? "the thread has no current context" : "device is null");
  *device = 0;
  return kSuccess;
}
FOURFOLD_ENTRY cuProfilerStart() { return kSuccess; }
FOURFOLD_ENTRY cuProfilerStop() { return kSuccess; }
