// The driver entry points of the emulated device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Device.h"
#include "TensorMap.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

using namespace device;

// Multiprocessor counts are those of an A100, H100, B200 and RTX 5090.
const DeviceInfo kDevices[] = {
    {"sm_80", 8, 0, false, 163 * 1024, 108},
    {"sm_90a", 9, 0, true, 227 * 1024, 132},
    {"sm_100a", 10, 0, true, 227 * 1024, 148},
    {"sm_120a", 12, 0, true, 99 * 1024, 170},
};
const int kNumDevices = 4;

State::State() {
  for (int i = 0; i < kNumDevices; ++i) {
    contexts.push_back(std::make_unique<Context>());
    contexts.back()->ordinal = i;
  }
}

State &state() {
  // Never destroyed: devices that live in static objects of the program are released after our own would have been.
  static State &instance = *new State;
  return instance;
}

namespace {

using Lock = std::lock_guard<std::mutex>;

thread_local int currentOrdinal = -1;
thread_local std::string finding;
/// Grows with each reset, so that a thread's current context does not outlive it.
uint64_t generation = 0;
thread_local uint64_t currentGeneration = 0;


int failWith(int code, std::string text) {
  finding = std::move(text);
  return code;
}

CUcontext handleOf(int ordinal) {
  return reinterpret_cast<CUcontext>(state().contexts[static_cast<size_t>(ordinal)].get());
}

Context *current(int &error) {
  State &global = state();
  if (!global.initialised) {
    error = failWith(kErrorNotInitialized, "cuInit was not called");
    return nullptr;
  }
  if (currentOrdinal < 0 || currentGeneration != generation) {
    error = failWith(kErrorInvalidContext, "the thread has no current context");
    return nullptr;
  }
  Context *context = global.contexts[static_cast<size_t>(currentOrdinal)].get();
  error = context->sticky;
  if (error) {
    finding = context->stickyFinding;
    return nullptr;
  }
  return context;
}

#define FOURFOLD_CONTEXT(NAME)                                                                                         \
  Lock lock(state().mutex);                                                                                            \
  int error = kSuccess;                                                                                                \
  Context *NAME = current(error);                                                                                      \
  if (!NAME)                                                                                                           \
  return error

bool validDevice(CUdevice ordinal) { return ordinal >= 0 && ordinal < kNumDevices; }
int badDevice(CUdevice ordinal) {
  return failWith(kErrorInvalidDevice,
                  fmt::format("device ordinal {} is not one of the {} emulated devices", ordinal, kNumDevices));
}
int nullArgument(const char *what) { return failWith(kErrorInvalidValue, fmt::format("{} is null", what)); }

CUresult init(unsigned flags) {
  if (flags)
    return failWith(kErrorInvalidValue, "cuInit takes flags 0");
  Lock lock(state().mutex);
  state().initialised = true;
  return kSuccess;
}

CUresult driverGetVersion(int *version) {
  if (!version)
    return nullArgument("version");
  *version = 13000;
  return kSuccess;
}

struct ErrorText {
  int code;
  const char *name, *text;
};
const ErrorText kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kErrorInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kErrorOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kErrorNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kErrorNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kErrorInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kErrorInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {kErrorInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kErrorNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {kErrorInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {kErrorUnsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain"},
    {kErrorInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kErrorNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kErrorIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {kErrorLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {kErrorLaunchTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {kErrorAssert, "CUDA_ERROR_ASSERT", "device-side assert triggered"},
    {kErrorIllegalInstruction, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"},
    {kErrorMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {kErrorLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {kErrorCooperativeLaunchTooLarge, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE", "too many blocks in cooperative launch"},
    {kErrorInvalidClusterSize, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "Invalid cluster size"},
    {kErrorNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
};

CUresult errorText(CUresult code, const char **text, bool name) {
  if (!text)
    return nullArgument("text");
  for (const ErrorText &entry : kErrors)
    if (entry.code == code) {
      *text = name ? entry.name : entry.text;
      return kSuccess;
    }
  *text = nullptr;
  return failWith(kErrorInvalidValue, fmt::format("error code {} is not known", code));
}
CUresult getErrorName(CUresult code, const char **text) { return errorText(code, text, true); }
CUresult getErrorString(CUresult code, const char **text) { return errorText(code, text, false); }

CUresult deviceGetCount(int *count) {
  if (!count)
    return nullArgument("count");
  *count = kNumDevices;
  return kSuccess;
}
CUresult deviceGet(CUdevice *device, int ordinal) {
  if (!device)
    return nullArgument("device");
  if (!validDevice(ordinal))
    return badDevice(ordinal);
  *device = ordinal;
  return kSuccess;
}
CUresult deviceGetName(char *name, int length, CUdevice device) {
  if (!name || length < 1)
    return nullArgument("name");
  if (!validDevice(device))
    return badDevice(device);
  std::string text = fmt::format("Fourfold emulated {}", kDevices[device].target);
  size_t count = std::min(text.size(), static_cast<size_t>(length) - 1);
  std::memcpy(name, text.data(), count);
  name[count] = '\0';
  return kSuccess;
}
CUresult deviceGetAttribute(int *value, int attribute, CUdevice device) {
  if (!value)
    return nullArgument("value");
  if (!validDevice(device))
    return badDevice(device);
  const DeviceInfo &info = kDevices[device];
  switch (attribute) {
  case 1: // MAX_THREADS_PER_BLOCK
    *value = 1024;
    return kSuccess;
  case kAttributeMaxSharedPerBlock:
    *value = 48 * 1024;
    return kSuccess;
  case 10: // WARP_SIZE
    *value = kLanes;
    return kSuccess;
  case kAttributeMultiprocessorCount:
    *value = info.smCount;
    return kSuccess;
  case kAttributeComputeMajor:
    *value = info.major;
    return kSuccess;
  case kAttributeComputeMinor:
    *value = info.minor;
    return kSuccess;
  case kAttributeCooperativeLaunch:
    *value = 1;
    return kSuccess;
  case kAttributeClusterLaunch:
    *value = info.major >= 9;
    return kSuccess;
  case 81: // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    *value = info.sharedOptin + 1024;
    return kSuccess;
  case kAttributeMaxSharedPerBlockOptin:
    *value = info.sharedOptin;
    return kSuccess;
  default:
    return failWith(kErrorInvalidValue,
                    fmt::format("device attribute {} is not known to the emulated device", attribute));
  }
}
CUresult deviceTotalMem(size_t *bytes, CUdevice device) {
  if (!bytes)
    return nullArgument("bytes");
  if (!validDevice(device))
    return badDevice(device);
  *bytes = kTotalMemory;
  return kSuccess;
}

CUresult primaryCtxRetain(CUcontext *context, CUdevice device) {
  Lock lock(state().mutex);
  if (!context)
    return nullArgument("context");
  if (!state().initialised)
    return failWith(kErrorNotInitialized, "cuInit was not called");
  if (!validDevice(device))
    return badDevice(device);
  ++state().contexts[static_cast<size_t>(device)]->references;
  *context = handleOf(device);
  return kSuccess;
}
CUresult primaryCtxRelease(CUdevice device) {
  Lock lock(state().mutex);
  if (!validDevice(device))
    return badDevice(device);
  Context &context = *state().contexts[static_cast<size_t>(device)];
  if (context.references == 0)
    return failWith(kErrorInvalidContext, "the primary context is not retained");
  if (--context.references == 0) {
    context.modules.clear();
    context.memory.clear();
    context.sticky = kSuccess;
  }
  return kSuccess;
}
CUresult ctxSetCurrent(CUcontext context) {
  Lock lock(state().mutex);
  if (!context) {
    currentOrdinal = -1;
    return kSuccess;
  }
  for (int i = 0; i < kNumDevices; ++i)
    if (handleOf(i) == context) {
      currentOrdinal = i;
      currentGeneration = generation;
      return kSuccess;
    }
  return failWith(kErrorInvalidContext, "the context handle is not one of the emulated device");
}
CUresult ctxGetCurrent(CUcontext *context) {
  if (!context)
    return nullArgument("context");
  Lock lock(state().mutex);
  *context = currentOrdinal < 0 || currentGeneration != generation ? nullptr : handleOf(currentOrdinal);
  return kSuccess;
}
CUresult ctxSynchronize() {
  FOURFOLD_CONTEXT(context);
  (void)context;
  return kSuccess;
}

CUresult moduleLoadDataEx(CUmodule *module, const void *image, unsigned numOptions, int *options, void **values) {
  FOURFOLD_CONTEXT(context);
  if (!module || !image)
    return nullArgument("module or image");
  std::unique_ptr<Module> loaded;
  int result =
      loadModule(static_cast<const char *>(image), kDevices[context->ordinal], context->memory, loaded, finding);
  char *buffer = nullptr;
  size_t bytes = 0;
  for (unsigned i = 0; options && values && i < numOptions; ++i) {
    if (options[i] == kJitErrorLogBuffer)
      buffer = static_cast<char *>(values[i]);
    else if (options[i] == kJitErrorLogBufferSize)
      bytes = reinterpret_cast<size_t>(values[i]);
  }
  if (buffer && bytes) {
    size_t count = result ? std::min(finding.size(), bytes - 1) : 0;
    std::memcpy(buffer, finding.data(), count);
    buffer[count] = '\0';
  }
  if (result)
    return result;
  *module = reinterpret_cast<CUmodule>(loaded.get());
  context->modules.push_back(std::move(loaded));
  return kSuccess;
}

Module *findModule(Context &context, CUmodule handle) {
  for (auto &module : context.modules)
    if (reinterpret_cast<CUmodule>(module.get()) == handle)
      return module.get();
  finding = "the module handle is not one of this context";
  return nullptr;
}

LoadedFunction *findFunction(Context &context, CUfunction handle) {
  for (auto &module : context.modules)
    for (auto &[name, function] : module->functions)
      if (reinterpret_cast<CUfunction>(function.get()) == handle)
        return function.get();
  finding = "the function handle is not one of this context";
  return nullptr;
}

CUresult moduleUnload(CUmodule handle) {
  FOURFOLD_CONTEXT(context);
  Module *module = findModule(*context, handle);
  if (!module)
    return kErrorInvalidHandle;
  unloadModule(*module, context->memory);
  auto &modules = context->modules;
  modules.erase(std::find_if(modules.begin(), modules.end(), [&](auto &entry) { return entry.get() == module; }));
  return kSuccess;
}
CUresult moduleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
  FOURFOLD_CONTEXT(context);
  if (!function || !name)
    return nullArgument("function or name");
  Module *module = findModule(*context, handle);
  if (!module)
    return kErrorInvalidHandle;
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return failWith(kErrorNotFound, fmt::format("the module has no kernel '{}'", name));
  *function = reinterpret_cast<CUfunction>(found->second.get());
  return kSuccess;
}
CUresult moduleGetGlobal(CUdeviceptr *address, size_t *bytes, CUmodule handle, const char *name) {
  FOURFOLD_CONTEXT(context);
  if (!name)
    return nullArgument("name");
  Module *module = findModule(*context, handle);
  if (!module)
    return kErrorInvalidHandle;
  auto found = module->variables.find(name);
  if (found == module->variables.end())
    return failWith(kErrorNotFound, fmt::format("the module has no variable '{}'", name));
  if (address)
    *address = found->second.address;
  if (bytes)
    *bytes = found->second.bytes;
  return kSuccess;
}
CUresult funcGetAttribute(int *value, int attribute, CUfunction handle) {
  FOURFOLD_CONTEXT(context);
  if (!value)
    return nullArgument("value");
  LoadedFunction *function = findFunction(*context, handle);
  if (!function)
    return kErrorInvalidHandle;
  const Kernel &kernel = function->kernel;
  switch (attribute) {
  case kFunctionMaxThreadsPerBlock:
    *value = kernel.maxThreads[0] ? static_cast<int>(kernel.maxThreads[0] * kernel.maxThreads[1] * kernel.maxThreads[2])
             : kernel.requiredThreads[0]
                 ? static_cast<int>(kernel.requiredThreads[0] * kernel.requiredThreads[1] * kernel.requiredThreads[2])
                 : 1024;
    return kSuccess;
  case kFunctionSharedBytes:
    *value = static_cast<int>(kernel.staticSharedEnd - kSharedStart);
    return kSuccess;
  case kFunctionLocalBytes:
    *value = static_cast<int>(kernel.localBytes);
    return kSuccess;
  case kFunctionNumRegisters:
    // Virtual registers; what ptxas would allocate is not known here, so it is kept inside the hardware's range.
    *value = static_cast<int>(std::min<uint32_t>(kernel.numSlots, 255));
    return kSuccess;
  case kFunctionMaxDynamicSharedBytes:
    *value = function->maxDynamicShared ? function->maxDynamicShared
                                        : 48 * 1024 - static_cast<int>(kernel.staticSharedEnd - kSharedStart);
    return kSuccess;
  case kFunctionClusterSizeMustBeSet:
    *value = kernel.needsExplicitCluster && !kernel.requiredCluster[0];
    return kSuccess;
  case kFunctionRequiredClusterWidth:
  case kFunctionRequiredClusterHeight:
  case kFunctionRequiredClusterDepth:
    *value = static_cast<int>(kernel.requiredCluster[attribute - kFunctionRequiredClusterWidth]);
    return kSuccess;
  case kFunctionNonPortableClusterSizeAllowed:
    *value = function->allowsLargeClusters;
    return kSuccess;
  case kFunctionClusterSchedulingPolicy:
    *value = 0; // the default
    return kSuccess;
  default:
    return failWith(kErrorInvalidValue,
                    fmt::format("function attribute {} is not known to the emulated device", attribute));
  }
}
CUresult funcSetAttribute(CUfunction handle, int attribute, int value) {
  FOURFOLD_CONTEXT(context);
  LoadedFunction *function = findFunction(*context, handle);
  if (!function)
    return kErrorInvalidHandle;
  if (attribute == 9) // PREFERRED_SHARED_MEMORY_CARVEOUT: a hint
    return kSuccess;
  if (attribute == kFunctionClusterSchedulingPolicy) // where blocks run changes no result
    return kSuccess;
  if (attribute == kFunctionNonPortableClusterSizeAllowed) {
    function->allowsLargeClusters = value != 0;
    return kSuccess;
  }
  if (attribute != kFunctionMaxDynamicSharedBytes)
    return failWith(kErrorInvalidValue, fmt::format("function attribute {} cannot be set", attribute));
  int fixed = static_cast<int>(function->kernel.staticSharedEnd - kSharedStart);
  int most = kDevices[context->ordinal].sharedOptin - fixed;
  if (value < 0 || value > most)
    return failWith(
        kErrorInvalidValue,
        fmt::format(
            "kernel '{}': {} bytes of dynamic shared memory are above the {} that the device has besides {} static",
            function->kernel.name, value, most, fixed));
  function->maxDynamicShared = value;
  return kSuccess;
}

CUresult memGetInfo(size_t *free, size_t *total) {
  FOURFOLD_CONTEXT(context);
  if (!free || !total)
    return nullArgument("free or total");
  *total = kTotalMemory;
  *free = kTotalMemory - std::min<uint64_t>(kTotalMemory, context->memory.bytesInUse());
  return kSuccess;
}
CUresult memAlloc(CUdeviceptr *address, size_t bytes) {
  FOURFOLD_CONTEXT(context);
  if (!address)
    return nullArgument("address");
  if (bytes == 0)
    return failWith(kErrorInvalidValue, "an allocation of 0 bytes");
  if (bytes > kTotalMemory - std::min<uint64_t>(kTotalMemory, context->memory.bytesInUse()))
    return failWith(kErrorOutOfMemory, fmt::format("{} bytes do not fit: {} of {} are in use", bytes,
                                                   context->memory.bytesInUse(), kTotalMemory));
  uint64_t base = context->memory.allocate(bytes, 512, "");
  if (!base)
    return failWith(kErrorOutOfMemory, fmt::format("the host has no memory for {} bytes", bytes));
  *address = base;
  return kSuccess;
}
CUresult memFree(CUdeviceptr address) {
  FOURFOLD_CONTEXT(context);
  if (address == 0 || context->memory.release(address))
    return kSuccess;
  return failWith(kErrorInvalidValue, fmt::format("{:#x} is not the start of a live allocation", address));
}

/// The bytes of a copy on the device, or null with the finding set.
Allocation *range(Context &context, CUdeviceptr address, size_t bytes) {
  Allocation *allocation = context.memory.find(address, bytes);
  if (!allocation)
    finding = fmt::format("copy of {} bytes at {:#x} is out of bounds: {}", bytes, address,
                          context.memory.describe(address, bytes));
  return allocation;
}

CUresult memcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream) {
  FOURFOLD_CONTEXT(context);
  if (bytes == 0)
    return kSuccess;
  if (!from)
    return nullArgument("the source");
  Allocation *allocation = range(*context, to, bytes);
  if (!allocation)
    return kErrorInvalidValue;
  std::memcpy(allocation->at(to), from, bytes);
  std::memset(allocation->shadowAt(to), 1, bytes);
  return kSuccess;
}
CUresult memcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream) {
  FOURFOLD_CONTEXT(context);
  if (bytes == 0)
    return kSuccess;
  if (!to)
    return nullArgument("the destination");
  Allocation *allocation = range(*context, from, bytes);
  if (!allocation)
    return kErrorInvalidValue;
  std::memcpy(to, allocation->at(from), bytes);
  return kSuccess;
}
CUresult memcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) {
  FOURFOLD_CONTEXT(context);
  if (bytes == 0)
    return kSuccess;
  Allocation *source = range(*context, from, bytes), *target = source ? range(*context, to, bytes) : nullptr;
  if (!target)
    return kErrorInvalidValue;
  std::memmove(target->at(to), source->at(from), bytes);
  std::memmove(target->shadowAt(to), source->shadowAt(from), bytes);
  return kSuccess;
}
CUresult memsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream) {
  FOURFOLD_CONTEXT(context);
  if (bytes == 0)
    return kSuccess;
  Allocation *allocation = range(*context, to, bytes);
  if (!allocation)
    return kErrorInvalidValue;
  std::memset(allocation->at(to), value, bytes);
  std::memset(allocation->shadowAt(to), 1, bytes);
  return kSuccess;
}

/// Streams and events are handles to a number each; work is done when the call returns.
template <class Handle>
int destroyHandle(std::vector<std::unique_ptr<uint64_t>> &list, Handle handle) {
  for (auto it = list.begin(); it != list.end(); ++it)
    if (reinterpret_cast<Handle>(it->get()) == handle) {
      list.erase(it);
      return kSuccess;
    }
  return failWith(kErrorInvalidHandle, "the stream or event handle is not live");
}
template <class Handle>
uint64_t *findHandle(std::vector<std::unique_ptr<uint64_t>> &list, Handle handle) {
  for (auto &entry : list)
    if (reinterpret_cast<Handle>(entry.get()) == handle)
      return entry.get();
  finding = "the stream or event handle is not live";
  return nullptr;
}
uint64_t now() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

CUresult streamCreate(CUstream *stream, unsigned) {
  FOURFOLD_CONTEXT(context);
  (void)context;
  if (!stream)
    return nullArgument("stream");
  state().streams.push_back(std::make_unique<uint64_t>(0));
  *stream = reinterpret_cast<CUstream>(state().streams.back().get());
  return kSuccess;
}
CUresult streamDestroy(CUstream stream) {
  Lock lock(state().mutex);
  return destroyHandle(state().streams, stream);
}
CUresult streamSynchronize(CUstream) { return ctxSynchronize(); }
CUresult eventCreate(CUevent *event, unsigned) {
  FOURFOLD_CONTEXT(context);
  (void)context;
  if (!event)
    return nullArgument("event");
  state().events.push_back(std::make_unique<uint64_t>(0));
  *event = reinterpret_cast<CUevent>(state().events.back().get());
  return kSuccess;
}
CUresult eventDestroy(CUevent event) {
  Lock lock(state().mutex);
  return destroyHandle(state().events, event);
}
CUresult eventRecord(CUevent event, CUstream) {
  FOURFOLD_CONTEXT(context);
  (void)context;
  uint64_t *time = findHandle(state().events, event);
  if (!time)
    return kErrorInvalidHandle;
  *time = now();
  return kSuccess;
}
CUresult eventSynchronize(CUevent event) {
  FOURFOLD_CONTEXT(context);
  (void)context;
  return findHandle(state().events, event) ? kSuccess : kErrorInvalidHandle;
}
CUresult eventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  FOURFOLD_CONTEXT(context);
  (void)context;
  if (!milliseconds)
    return nullArgument("milliseconds");
  uint64_t *from = findHandle(state().events, start), *to = findHandle(state().events, end);
  if (!from || !to || !*from || !*to)
    return failWith(kErrorInvalidHandle, "an event was not recorded");
  *milliseconds = static_cast<float>((static_cast<double>(*to) - static_cast<double>(*from)) * 1e-6);
  return kSuccess;
}

CUresult tensorMapEncodeTiled(void *tensorMap, int dataType, uint32_t rank, void *globalAddress, const uint64_t *globalDim,
                              const uint64_t *globalStrides, const uint32_t *boxDim, const uint32_t *elementStrides, int interleave,
                              int swizzle, int l2Promotion, int oobFill) {
  FOURFOLD_CONTEXT(context);
  auto refuse = [](int code, const std::string &text) { return failWith(code, "cuTensorMapEncodeTiled: " + text); };
  if (kDevices[context->ordinal].major < 9)
    return refuse(kErrorNotSupported, fmt::format("{} has no tensor maps: sm_90 and later do", kDevices[context->ordinal].target));
  if (!tensorMap || reinterpret_cast<uintptr_t>(tensorMap) % 64)
    return refuse(kErrorInvalidValue, tensorMap ? "the address of tensorMap is not a multiple of 64" : "tensorMap is null");
  TensorMapRequest request{dataType,       rank,       reinterpret_cast<uint64_t>(globalAddress),
                           globalDim,      globalStrides, boxDim,
                           elementStrides, interleave, swizzle,
                           l2Promotion,    oobFill};
  TensorMap map;
  bool isSupported;
  if (std::string wrong = encodeTensorMap(request, &map, &isSupported); !wrong.empty())
    return refuse(isSupported ? kErrorInvalidValue : kErrorNotSupported, wrong);
  std::memcpy(tensorMap, &map, sizeof(map));
  return kSuccess;
}

CUresult launchShape(CUfunction handle, const LaunchShape &shape, void **params, void **extra) {
  FOURFOLD_CONTEXT(context);
  LoadedFunction *function = findFunction(*context, handle);
  if (!function)
    return kErrorInvalidHandle;
  if (extra)
    return failWith(kErrorNotSupported, "launches with `extra` are not supported; pass `params`");
  int result = launch(*context, *function, shape, params, finding);
  // What the host got wrong is refused at once; what the kernel got wrong stays with the context, as on a GPU.
  if (isSticky(result)) {
    context->sticky = result;
    context->stickyFinding = finding;
  }
  return result;
}

CUresult launchKernel(CUfunction handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                      unsigned blockY, unsigned blockZ, unsigned sharedBytes, CUstream, void **params, void **extra) {
  return launchShape(handle, {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes}, params, extra);
}

CUresult launchCooperativeKernel(CUfunction handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                                 unsigned blockZ, unsigned sharedBytes, CUstream, void **params) {
  LaunchShape shape{{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes};
  shape.isCooperative = true;
  return launchShape(handle, shape, params, nullptr);
}

CUresult launchKernelEx(const LaunchConfig *config, CUfunction handle, void **params, void **extra) {
  if (!config || (config->numAttributes && !config->attributes))
    return nullArgument(config ? "attrs" : "config");
  LaunchShape shape;
  std::copy_n(config->grid, 3, shape.grid);
  std::copy_n(config->block, 3, shape.block);
  shape.sharedBytes = config->sharedBytes;
  for (unsigned i = 0; i < config->numAttributes; ++i) {
    const LaunchAttribute &attribute = config->attributes[i];
    switch (attribute.id) {
    case kLaunchCooperative:
      shape.isCooperative = attribute.value.number != 0;
      break;
    case kLaunchClusterDimension:
      std::copy_n(attribute.value.clusterDim, 3, shape.cluster);
      if (!shape.cluster[0] && !shape.cluster[1] && !shape.cluster[2])
        return failWith(kErrorInvalidValue, "cuLaunchKernelEx: the cluster dimension is (0, 0, 0)");
      break;
    case kLaunchIgnore:
    case kLaunchClusterSchedulingPolicy: // these three change when and where blocks run, which changes no result here: a launch starts when
    case kLaunchPriority:                // all before it have ended
    case kLaunchProgrammaticStreamSerialization:
      break;
    default:
      return failWith(kErrorNotSupported,
                      fmt::format("cuLaunchKernelEx: launch attribute {} is not known to the emulated device: it takes {} (ignore), {} "
                                  "(cooperative), {} (cluster dimension), {} (cluster scheduling policy), {} (programmatic stream "
                                  "serialization) and {} (priority)",
                                  attribute.id, kLaunchIgnore + 0, kLaunchCooperative + 0, kLaunchClusterDimension + 0,
                                  kLaunchClusterSchedulingPolicy + 0, kLaunchProgrammaticStreamSerialization + 0, kLaunchPriority + 0));
    }
  }
  return launchShape(handle, shape, params, extra);
}

} // namespace

const DriverTable &driver() {
  static const DriverTable table = [] {
    DriverTable t;
#define FOURFOLD_SET(member, symbol, params) t.member = emulator::member;
    FOURFOLD_DRIVER_FUNCTIONS(FOURFOLD_SET)
#undef FOURFOLD_SET
    return t;
  }();
  return table;
}

int deviceOrdinal(std::string_view target) {
  for (int i = 0; i < kNumDevices; ++i)
    if (target == kDevices[i].target)
      return i;
  return -1;
}

std::string lastFinding() { return finding; }

void reset() {
  Lock lock(state().mutex);
  State &global = state();
  ++generation;
  for (auto &context : global.contexts) {
    context->modules.clear();
    context->memory.clear();
    context->sticky = kSuccess;
    context->stickyFinding.clear();
    context->references = 0;
  }
  global.streams.clear();
  global.events.clear();
  global.totals = Counters();
  global.records.clear();
  finding.clear();
}

void setOptions(const Options &options) {
  Lock lock(state().mutex);
  state().options = options;
}
Options options() {
  Lock lock(state().mutex);
  return state().options;
}
Counters counters() {
  Lock lock(state().mutex);
  return state().totals;
}
std::vector<KernelSupport> kernelSupport(CUmodule handle) {
  Lock lock(state().mutex);
  std::vector<KernelSupport> result;
  for (auto &context : state().contexts)
    for (auto &module : context->modules) {
      if (reinterpret_cast<CUmodule>(module.get()) != handle)
        continue;
      for (auto &[name, function] : module->functions) {
        KernelSupport support{name, {}, {}};
        for (const MissingPart &part : function->kernel.missing)
          support.missing.push_back(part.message);
        for (const Callee &callee : function->kernel.callees)
          for (const MissingPart &part : callee.missing)
            if (function->kernel.missing.empty())
              support.missingIfCalled.push_back(part.message);
        result.push_back(std::move(support));
      }
    }
  return result;
}
void resetCounters() {
  Lock lock(state().mutex);
  state().totals = Counters();
  state().records.clear();
}
std::vector<KernelRecord> kernelRecords() {
  Lock lock(state().mutex);
  return {state().records.begin(), state().records.end()};
}

} // namespace emulator
} // namespace fourfold
