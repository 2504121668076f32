// A libcuda.so.1 for machines without a GPU: calls go to the emulated device, and the environment says what goes wrong.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FAKE_CUDA_COUNT        GPUs there are (1)
// FAKE_CUDA_CAPABILITY   of each, "12.0,8.6" ("12.0"); the emulated sm_120a runs what is loaded
// FAKE_CUDA_VERSION      of the driver, as cuDriverGetVersion has it (13000)
// FAKE_CUDA_INIT         what cuInit returns
// FAKE_CUDA_FREE         bytes of free memory; larger allocations fail
// FAKE_CUDA_JIT          what loading PTX returns, with a log
// FAKE_CUDA_CUBIN        what loading machine code returns; otherwise that of FakeNvJitLink.cpp is run
// FAKE_CUDA_LAUNCH       what every launch, and every call after it, returns
// FAKE_CUDA_HOLLOW       modules are not read and launches do nothing: what remains is the time of the runtime's own work
// FAKE_CUDA_LOG          a file that gets a line for each module: "ptx" or "cubin"

#include "runtime/device/PtxVersion.h"
#include "runtime/emulator/Emulator.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using namespace fourfold;
using namespace fourfold::device;

#define FAKE extern "C" __attribute__((visibility("default")))

static const DriverTable &emulated() { return emulator::driver(); }
static CUresult lost = kSuccess;

static std::string setting(const char *name, const char *otherwise = "") {
  const char *value = std::getenv(name);
  return value ? value : otherwise;
}
static bool isHollow() {
  static const bool hollow = !setting("FAKE_CUDA_HOLLOW").empty();
  return hollow;
}
static CUresult result(const char *name) { return std::atoi(setting(name).c_str()); }

/// "8.6" of the GPU `device`.
static std::string capability(CUdevice device) {
  std::string list = setting("FAKE_CUDA_CAPABILITY", "12.0");
  for (; device > 0 && list.find(',') != std::string::npos; --device)
    list = list.substr(list.find(',') + 1);
  return list.substr(0, list.find(','));
}

/// The emulated device behind all of them: the newest, which runs PTX of older targets too.
static CUdevice behind() {
  std::string target = setting("FAKE_CUDA_EMULATED", "sm_120a");
  return emulator::deviceOrdinal(target);
}

FAKE CUresult cuInit(unsigned flags) {
  CUresult wanted = result("FAKE_CUDA_INIT");
  return wanted ? wanted : emulated().init(flags);
}
FAKE CUresult cuDriverGetVersion(int *version) {
  *version = std::atoi(setting("FAKE_CUDA_VERSION", "13000").c_str());
  return kSuccess;
}

static const struct {
  CUresult result;
  const char *name, *text;
} kErrors[] = {{2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
               {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
               {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
               {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
               {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
               {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
               {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
               {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
               {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"}};

FAKE CUresult cuGetErrorName(CUresult error, const char **text) {
  for (const auto &known : kErrors)
    if (known.result == error)
      return *text = known.name, kSuccess;
  return emulated().getErrorName(error, text);
}
FAKE CUresult cuGetErrorString(CUresult error, const char **text) {
  for (const auto &known : kErrors)
    if (known.result == error)
      return *text = known.text, kSuccess;
  return emulated().getErrorString(error, text);
}
FAKE CUresult cuDeviceGetCount(int *count) {
  *count = std::atoi(setting("FAKE_CUDA_COUNT", "1").c_str());
  return kSuccess;
}
FAKE CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return kSuccess;
}
FAKE CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  std::snprintf(name, static_cast<size_t>(length), "Fake GPU %d", device);
  return kSuccess;
}
FAKE CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  int version = parseVersion(capability(device));
  if (attribute == kAttributeComputeMajor)
    return *value = version / 1000, kSuccess;
  if (attribute == kAttributeComputeMinor)
    return *value = version % 1000 / 10, kSuccess;
  return emulated().deviceGetAttribute(value, attribute, behind());
}
FAKE CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice) { return emulated().deviceTotalMem(bytes, behind()); }
FAKE CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  return lost ? lost : emulated().primaryCtxRetain(context, behind());
}
FAKE CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return emulated().primaryCtxRelease(behind()); }
FAKE CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  CUresult done = emulated().memGetInfo(free, total);
  if (std::string limit = setting("FAKE_CUDA_FREE"); done == kSuccess && !limit.empty())
    *free = std::stoull(limit);
  return done;
}
FAKE CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  if (lost)
    return lost;
  if (std::string limit = setting("FAKE_CUDA_FREE"); !limit.empty() && bytes > std::stoull(limit))
    return kErrorOutOfMemory;
  return emulated().memAlloc(address, bytes);
}

static void note(const char *what) {
  if (std::FILE *file = std::fopen(setting("FAKE_CUDA_LOG", "/dev/null").c_str(), "a")) {
    std::fprintf(file, "%s\n", what);
    std::fclose(file);
  }
}

FAKE CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values) {
  const char *text = static_cast<const char *>(image);
  bool cubin = std::strncmp(text, "\177ELF", 4) == 0;
  note(cubin ? "cubin" : "ptx");
  if (CUresult wanted = result(cubin ? "FAKE_CUDA_CUBIN" : "FAKE_CUDA_JIT")) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == kJitErrorLogBuffer && !cubin)
        std::strcpy(static_cast<char *>(values[i]), "ptxas application ptx input, line 7; error   : Unknown symbol 'nonsense'\n");
    return wanted;
  }
  static int nothing;
  if (isHollow())
    return *module = reinterpret_cast<CUmodule>(&nothing), kSuccess;
  // What the fake nvJitLink makes is the PTX behind the letters of an ELF file.
  constexpr size_t kHeader = 8;
  return emulated().moduleLoadDataEx(module, cubin ? text + kHeader : text, count, options, values);
}

FAKE CUresult cuTensorMapEncodeTiled(void *tensorMap, int dataType, uint32_t rank, void *globalAddress, const uint64_t *globalDim,
                                    const uint64_t *globalStrides, const uint32_t *boxDim, const uint32_t *elementStrides,
                                    int interleave, int swizzle, int l2Promotion, int oobFill) {
  return emulated().tensorMapEncodeTiled(tensorMap, dataType, rank, globalAddress, globalDim, globalStrides, boxDim, elementStrides,
                                         interleave, swizzle, l2Promotion, oobFill);
}
FAKE CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                             unsigned blockY, unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params,
                             void **extra) {
  if (isHollow())
    return kSuccess;
  if (CUresult wanted = result("FAKE_CUDA_LAUNCH"))
    lost = wanted;
  return lost ? lost
              : emulated().launchKernel(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream,
                                        params, extra);
}
FAKE CUresult cuLaunchKernelEx(const LaunchConfig *config, CUfunction function, void **params, void **extra) {
  return lost ? lost : emulated().launchKernelEx(config, function, params, extra);
}
FAKE CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                                        unsigned blockY, unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params) {
  return lost ? lost
              : emulated().launchCooperativeKernel(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, params);
}
FAKE CUresult cuStreamSynchronize(CUstream stream) { return lost ? lost : emulated().streamSynchronize(stream); }
FAKE CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  return lost ? lost : emulated().streamCreate(stream, flags);
}

// The rest goes through unchanged.
FAKE CUresult cuCtxSetCurrent(CUcontext context) { return emulated().ctxSetCurrent(context); }
FAKE CUresult cuCtxGetCurrent(CUcontext *context) { return emulated().ctxGetCurrent(context); }
FAKE CUresult cuCtxSynchronize() { return lost ? lost : emulated().ctxSynchronize(); }
FAKE CUresult cuModuleUnload(CUmodule module) { return isHollow() ? kSuccess : emulated().moduleUnload(module); }
FAKE CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  if (isHollow())
    return *function = reinterpret_cast<CUfunction>(module), kSuccess;
  return emulated().moduleGetFunction(function, module, name);
}
FAKE CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name) {
  return emulated().moduleGetGlobal(address, bytes, module, name);
}
FAKE CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  if (isHollow())
    return *value = 0, kSuccess;
  return emulated().funcGetAttribute(value, attribute, function);
}
FAKE CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  return isHollow() ? kSuccess : emulated().funcSetAttribute(function, attribute, value);
}
FAKE CUresult cuMemFree_v2(CUdeviceptr address) { return emulated().memFree(address); }
FAKE CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  return lost ? lost : emulated().memcpyHtoDAsync(to, from, bytes, stream);
}
FAKE CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return lost ? lost : emulated().memcpyDtoHAsync(to, from, bytes, stream);
}
FAKE CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return lost ? lost : emulated().memcpyDtoDAsync(to, from, bytes, stream);
}
FAKE CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  return lost ? lost : emulated().memsetD8Async(to, value, bytes, stream);
}
FAKE CUresult cuStreamDestroy_v2(CUstream stream) { return emulated().streamDestroy(stream); }
FAKE CUresult cuEventCreate(CUevent *event, unsigned flags) { return emulated().eventCreate(event, flags); }
FAKE CUresult cuEventDestroy_v2(CUevent event) { return emulated().eventDestroy(event); }
FAKE CUresult cuEventRecord(CUevent event, CUstream stream) { return emulated().eventRecord(event, stream); }
FAKE CUresult cuEventSynchronize(CUevent event) { return emulated().eventSynchronize(event); }
FAKE CUresult cuEventElapsedTime(float *milliseconds, CUevent, CUevent) {
  // A number that only an event can have given.
  *milliseconds = 0.125f;
  return kSuccess;
}
