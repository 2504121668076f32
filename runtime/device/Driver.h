// The table of CUDA driver entry points that the runtime talks to, and the types they use.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two providers fill it: libcuda.so.1, opened at run time, and the emulated device. Types and values are the driver API's ABI (CUDA
// 12 and later), written here so that the runtime builds without CUDA.

#ifndef FOURFOLD_RUNTIME_DEVICE_DRIVER_H
#define FOURFOLD_RUNTIME_DEVICE_DRIVER_H

#include <cstddef>
#include <cstdint>

namespace fourfold {
namespace device {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = uint64_t;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;

/// CUresult values the runtime distinguishes (driver API, enum cudaError_enum).
enum : CUresult {
  kSuccess = 0,
  kErrorInvalidValue = 1,
  kErrorOutOfMemory = 2,
  kErrorNotInitialized = 3,
  kErrorNoDevice = 100,
  kErrorInvalidDevice = 101,
  kErrorInvalidImage = 200,
  kErrorInvalidContext = 201,
  kErrorNoBinaryForGpu = 209,
  kErrorInvalidPtx = 218,
  kErrorUnsupportedPtxVersion = 222,
  kErrorInvalidHandle = 400,
  kErrorNotFound = 500,
  kErrorIllegalAddress = 700,
  kErrorLaunchOutOfResources = 701,
  kErrorLaunchTimeout = 702,
  kErrorAssert = 710,
  kErrorIllegalInstruction = 715,
  kErrorMisalignedAddress = 716,
  kErrorLaunchFailed = 719,
  kErrorCooperativeLaunchTooLarge = 720,
  kErrorNotSupported = 801,
  kErrorInvalidClusterSize = 912,
};

/// Whether an error ends its context, after which every call in it fails with the same: uncorrectable memory and link errors, and what
/// kernels do wrong but for a launch that asks for too much.
constexpr bool isSticky(CUresult result) {
  constexpr CUresult kEccUncorrectable = 214, kNvlinkUncorrectable = 220, kLaunchTimeout = 702, kHardwareStackError = 714;
  return result == kEccUncorrectable || result == kNvlinkUncorrectable || result == kErrorIllegalAddress ||
         result == kLaunchTimeout || result == kErrorAssert ||
         (result >= kHardwareStackError && result <= kErrorLaunchFailed);
}

/// CUdevice_attribute values used.
enum : int {
  kAttributeMaxSharedPerBlock = 8,
  kAttributeMultiprocessorCount = 16,
  kAttributeComputeMajor = 75,
  kAttributeComputeMinor = 76,
  kAttributeCooperativeLaunch = 95,
  kAttributeMaxSharedPerBlockOptin = 97,
  kAttributeClusterLaunch = 120,
};

/// CUfunction_attribute values used.
enum : int {
  kFunctionMaxThreadsPerBlock = 0,
  kFunctionSharedBytes = 1,
  kFunctionLocalBytes = 3,
  kFunctionNumRegisters = 4,
  kFunctionMaxDynamicSharedBytes = 8,
  kFunctionClusterSizeMustBeSet = 10,
  kFunctionRequiredClusterWidth = 11,
  kFunctionRequiredClusterHeight = 12,
  kFunctionRequiredClusterDepth = 13,
  kFunctionNonPortableClusterSizeAllowed = 14,
  kFunctionClusterSchedulingPolicy = 15,
};

/// CUlaunchAttributeID values used.
enum : int {
  kLaunchIgnore = 0,
  kLaunchCooperative = 2,
  kLaunchClusterDimension = 4,
  kLaunchClusterSchedulingPolicy = 5,
  kLaunchProgrammaticStreamSerialization = 6,
  kLaunchPriority = 8,
};

/// CUlaunchAttribute: an identifier and 64 bytes, read as it says.
struct LaunchAttribute {
  int id = kLaunchIgnore;
  int padding = 0;
  union {
    char bytes[64];
    int number; // cooperative, priority, scheduling policy, serialization
    unsigned clusterDim[3];
  } value = {};
};

/// CUlaunchConfig.
struct LaunchConfig {
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  unsigned sharedBytes = 0;
  CUstream stream = nullptr;
  LaunchAttribute *attributes = nullptr;
  unsigned numAttributes = 0;
};

/// CUjit_option values used with cuModuleLoadDataEx.
enum : int {
  kJitInfoLogBuffer = 3,
  kJitInfoLogBufferSize = 4,
  kJitErrorLogBuffer = 5,
  kJitErrorLogBufferSize = 6,
};

// X(member, exported symbol, parameters)
#define FOURFOLD_DRIVER_FUNCTIONS(X)                                                                                   \
  X(init, cuInit, (unsigned flags))                                                                                    \
  X(driverGetVersion, cuDriverGetVersion, (int *version))                                                              \
  X(getErrorName, cuGetErrorName, (CUresult error, const char **text))                                                 \
  X(getErrorString, cuGetErrorString, (CUresult error, const char **text))                                             \
  X(deviceGetCount, cuDeviceGetCount, (int *count))                                                                    \
  X(deviceGet, cuDeviceGet, (CUdevice * device, int ordinal))                                                          \
  X(deviceGetName, cuDeviceGetName, (char *name, int length, CUdevice device))                                         \
  X(deviceGetAttribute, cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))                            \
  X(deviceTotalMem, cuDeviceTotalMem_v2, (size_t * bytes, CUdevice device))                                            \
  X(primaryCtxRetain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                \
  X(primaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                \
  X(ctxSetCurrent, cuCtxSetCurrent, (CUcontext context))                                                               \
  X(ctxGetCurrent, cuCtxGetCurrent, (CUcontext * context))                                                             \
  X(ctxSynchronize, cuCtxSynchronize, ())                                                                              \
  X(moduleLoadDataEx, cuModuleLoadDataEx,                                                                              \
    (CUmodule * module, const void *image, unsigned numOptions, int *options, void **values))                          \
  X(moduleUnload, cuModuleUnload, (CUmodule module))                                                                   \
  X(moduleGetFunction, cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name))                \
  X(moduleGetGlobal, cuModuleGetGlobal_v2, (CUdeviceptr * address, size_t *bytes, CUmodule module, const char *name))  \
  X(funcGetAttribute, cuFuncGetAttribute, (int *value, int attribute, CUfunction function))                            \
  X(funcSetAttribute, cuFuncSetAttribute, (CUfunction function, int attribute, int value))                             \
  X(memGetInfo, cuMemGetInfo_v2, (size_t * free, size_t * total))                                                      \
  X(memAlloc, cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                                                    \
  X(memFree, cuMemFree_v2, (CUdeviceptr address))                                                                      \
  X(memcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))          \
  X(memcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))                \
  X(memcpyDtoDAsync, cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))          \
  X(memsetD8Async, cuMemsetD8Async, (CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream))              \
  X(streamCreate, cuStreamCreate, (CUstream * stream, unsigned flags))                                                 \
  X(streamDestroy, cuStreamDestroy_v2, (CUstream stream))                                                              \
  X(streamSynchronize, cuStreamSynchronize, (CUstream stream))                                                         \
  X(eventCreate, cuEventCreate, (CUevent * event, unsigned flags))                                                     \
  X(eventDestroy, cuEventDestroy_v2, (CUevent event))                                                                  \
  X(eventRecord, cuEventRecord, (CUevent event, CUstream stream))                                                      \
  X(eventSynchronize, cuEventSynchronize, (CUevent event))                                                             \
  X(eventElapsedTime, cuEventElapsedTime, (float *milliseconds, CUevent start, CUevent end))                           \
  X(tensorMapEncodeTiled, cuTensorMapEncodeTiled,                                                                       \
    (void *tensorMap, int dataType, uint32_t rank, void *globalAddress, const uint64_t *globalDim,                     \
     const uint64_t *globalStrides, const uint32_t *boxDim, const uint32_t *elementStrides, int interleave,            \
     int swizzle, int l2Promotion, int oobFill))                                                                       \
  X(launchKernel, cuLaunchKernel,                                                                                      \
    (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,            \
     unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params, void **extra))                             \
  X(launchKernelEx, cuLaunchKernelEx, (const LaunchConfig *config, CUfunction function, void **params, void **extra))  \
  X(launchCooperativeKernel, cuLaunchCooperativeKernel,                                                                \
    (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,            \
     unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params))

/// The driver entry points, all of them set.
struct DriverTable {
#define FOURFOLD_DRIVER_MEMBER(member, symbol, params) CUresult(*member) params = nullptr;
  FOURFOLD_DRIVER_FUNCTIONS(FOURFOLD_DRIVER_MEMBER)
#undef FOURFOLD_DRIVER_MEMBER
};

} // namespace device
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_DEVICE_DRIVER_H
