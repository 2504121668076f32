// The emulated libcuda.so.1: modules, libraries, kernels and what is known of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Entry.h"
#include "FatBinary.h"

#include "runtime/emulator/Device.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <iterator>

using namespace fourfold::libcuda;
using namespace fourfold::device;

namespace {

CUresult load(const char *name, CUmodule *module, const void *image, unsigned numOptions = 0, int *options = nullptr, void **values = nullptr) {
  if (!module || !image)
    return refuse(name, kErrorInvalidValue, module ? "the image is null" : "module is null");
  std::string ptx, why;
  const fourfold::emulator::DeviceInfo &device = fourfold::emulator::kDevices[shownOrdinal()];
  if (!ptxOfImage(image, device.major * 10 + device.minor, &ptx, &why))
    return refuse(name, kErrorNoBinaryForGpu, why);
  return told(name, table().moduleLoadDataEx(module, ptx.c_str(), numOptions, options, values));
}

CUresult loadFile(const char *name, CUmodule *module, const char *path) {
  if (!path)
    return refuse(name, kErrorInvalidValue, "the file's name is null");
  constexpr CUresult kErrorFileNotFound = 301;
  std::ifstream file(path, std::ios::binary);
  std::string image{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad())
    return refuse(name, kErrorFileNotFound, fmt::format("cannot read '{}'", path));
  image.append(16, '\0'); // a terminated text, and no header beyond the end
  return load(name, module, image.data());
}

/// Blocks that a multiprocessor holds: by threads and shared memory. Registers are the PTX's, which say nothing of those of machine code.
CUresult resident(const char *name, CUfunction function, int threads, size_t dynamicBytes, unsigned *blocks) {
  int fixedBytes = 0;
  CUresult result = told(name, table().funcGetAttribute(&fixedBytes, kFunctionSharedBytes, function));
  if (result != kSuccess)
    return result;
  if (threads < 1 || threads > 1024)
    return refuse(name, kErrorInvalidValue, fmt::format("a block of {} threads; 1 to 1024 are possible", threads));
  *blocks = fourfold::emulator::residentBlocks(fourfold::emulator::kDevices[shownOrdinal()], static_cast<unsigned>(threads),
                                               static_cast<unsigned>(dynamicBytes) + static_cast<unsigned>(fixedBytes));
  return kSuccess;
}

} // namespace

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuModuleLoad(CUmodule *module, const char *path) { return loadFile("cuModuleLoad", module, path); }
FOURFOLD_ENTRY cuModuleLoadData(CUmodule *module, const void *image) { return load("cuModuleLoadData", module, image); }
FOURFOLD_ENTRY cuModuleLoadFatBinary(CUmodule *module, const void *image) { return load("cuModuleLoadFatBinary", module, image); }
FOURFOLD_ENTRY cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned numOptions, int *options, void **values) {
  return load("cuModuleLoadDataEx", module, image, numOptions, options, values);
}
FOURFOLD_ENTRY cuModuleUnload(CUmodule module) { return told("cuModuleUnload", table().moduleUnload(module)); }
FOURFOLD_ENTRY cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  return told("cuModuleGetFunction", table().moduleGetFunction(function, module, name));
}
FOURFOLD_ENTRY cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name) {
  return told("cuModuleGetGlobal", table().moduleGetGlobal(address, bytes, module, name));
}
FOURFOLD_ENTRY cuModuleGetLoadingMode(int *mode) {
  constexpr int kEager = 1;
  if (mode)
    *mode = kEager;
  return mode ? kSuccess : refuse("cuModuleGetLoadingMode", kErrorInvalidValue, "mode is null");
}

//===----------------------------------------------------------------------===//
// Libraries and kernels
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuLibraryLoadData(CUlibrary *library, const void *image, int *options, void **values, unsigned numOptions, int *, void **, unsigned) {
  return load("cuLibraryLoadData", library, image, numOptions, options, values);
}
FOURFOLD_ENTRY cuLibraryLoadFromFile(CUlibrary *library, const char *path, int *, void **, unsigned, int *, void **, unsigned) {
  return loadFile("cuLibraryLoadFromFile", library, path);
}
FOURFOLD_ENTRY cuLibraryUnload(CUlibrary library) { return told("cuLibraryUnload", table().moduleUnload(library)); }
FOURFOLD_ENTRY cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name) {
  return told("cuLibraryGetKernel", table().moduleGetFunction(kernel, library, name));
}
FOURFOLD_ENTRY cuLibraryGetModule(CUmodule *module, CUlibrary library) {
  if (!module)
    return refuse("cuLibraryGetModule", kErrorInvalidValue, "module is null");
  *module = library;
  return kSuccess;
}
FOURFOLD_ENTRY cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name) {
  return told("cuLibraryGetGlobal", table().moduleGetGlobal(address, bytes, library, name));
}
FOURFOLD_ENTRY cuKernelGetFunction(CUfunction *function, CUkernel kernel) {
  if (!function)
    return refuse("cuKernelGetFunction", kErrorInvalidValue, "function is null");
  *function = kernel;
  return kSuccess;
}
FOURFOLD_ENTRY cuKernelGetAttribute(int *value, int attribute, CUkernel kernel, CUdevice device) {
  if (CUresult wrong = checkDevice("cuKernelGetAttribute", device))
    return wrong;
  return told("cuKernelGetAttribute", table().funcGetAttribute(value, attribute, kernel));
}
FOURFOLD_ENTRY cuKernelSetAttribute(int attribute, int value, CUkernel kernel, CUdevice device) {
  if (CUresult wrong = checkDevice("cuKernelSetAttribute", device))
    return wrong;
  return told("cuKernelSetAttribute", table().funcSetAttribute(kernel, attribute, value));
}
FOURFOLD_ENTRY cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  return told("cuFuncGetAttribute", table().funcGetAttribute(value, attribute, function));
}
FOURFOLD_ENTRY cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  return told("cuFuncSetAttribute", table().funcSetAttribute(function, attribute, value));
}
FOURFOLD_ENTRY cuFuncSetCacheConfig(CUfunction, int) { return kSuccess; } // a hint

//===----------------------------------------------------------------------===//
// Occupancy
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction function, int threads, size_t dynamicBytes, unsigned) {
  constexpr char name[] = "cuOccupancyMaxActiveBlocksPerMultiprocessor";
  unsigned count = 0;
  if (!blocks)
    return refuse(name, kErrorInvalidValue, "the number of blocks is null");
  if (CUresult wrong = resident(name, function, threads, dynamicBytes, &count))
    return wrong;
  *blocks = static_cast<int>(count);
  return kSuccess;
}
FOURFOLD_ENTRY cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int threads, size_t dynamicBytes) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, dynamicBytes, 0);
}
FOURFOLD_ENTRY cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction function, size_t (*dynamicBytesOf)(int),
                                                         size_t dynamicBytes, int limit, unsigned) {
  constexpr char name[] = "cuOccupancyMaxPotentialBlockSize";
  int most = 0;
  if (!grid || !block)
    return refuse(name, kErrorInvalidValue, "the size of the grid or of the block is null");
  if (CUresult wrong = told(name, table().funcGetAttribute(&most, kFunctionMaxThreadsPerBlock, function)))
    return wrong;
  unsigned best = 0;
  *grid = *block = 0;
  for (int threads = limit > 0 ? std::min(limit, most) : most; threads > 0; threads = (threads - 1) / 32 * 32) {
    unsigned blocks = 0;
    if (CUresult wrong = resident(name, function, threads, dynamicBytesOf ? dynamicBytesOf(threads) : dynamicBytes, &blocks))
      return wrong;
    if (blocks * static_cast<unsigned>(threads) <= best)
      continue;
    best = blocks * static_cast<unsigned>(threads);
    *block = threads;
    *grid = static_cast<int>(blocks) * fourfold::emulator::kDevices[shownOrdinal()].smCount;
  }
  return kSuccess;
}
FOURFOLD_ENTRY cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction function, size_t (*dynamicBytesOf)(int), size_t dynamicBytes,
                                                int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, dynamicBytesOf, dynamicBytes, limit, 0);
}
