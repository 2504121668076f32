// The emulated libcuda.so.1: entry points by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Entry.h"

#include <dlfcn.h>
#include <string>

using namespace fourfold::libcuda;
using namespace fourfold::device;

namespace {

/// This library's own symbol: another libcuda may be in the process.
void *own(const std::string &name) {
  static void *library = [] {
    Dl_info info;
    void *handle = nullptr;
    if (dladdr(reinterpret_cast<void *>(&own), &info) && info.dli_fname)
      handle = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    return handle;
  }();
  return library ? dlsym(library, name.c_str()) : nullptr;
}

/// "cuMemAlloc" is the newest of cuMemAlloc_v4 ... cuMemAlloc, as cuda.h's macros have it.
void *newest(const std::string &name) {
  for (const char *version : {"_v4", "_v3", "_v2", ""})
    if (void *found = own(name + version))
      return found;
  return nullptr;
}

} // namespace

/// `status`: 0 found, 1 not found, which programs that only look what there is are not told about on the standard error.
FOURFOLD_ENTRY cuGetProcAddress_v2(const char *symbol, void **address, int, uint64_t, int *status) {
  if (!symbol || !address)
    return refuse("cuGetProcAddress", kErrorInvalidValue, symbol ? "the address is null" : "the symbol is null");
  *address = newest(symbol);
  if (status)
    *status = *address ? 0 : 1;
  return *address ? kSuccess : kErrorNotFound;
}
FOURFOLD_ENTRY cuGetProcAddress(const char *symbol, void **address, int version, uint64_t flags) {
  return cuGetProcAddress_v2(symbol, address, version, flags, nullptr);
}

/// Private tables of the CUDA runtime, which no document describes.
FOURFOLD_ENTRY cuGetExportTable(const void **exported, const void *) {
  if (exported)
    *exported = nullptr;
  return refuse("cuGetExportTable", kErrorNotSupported,
                "programs of the CUDA runtime API (cudaMalloc, <<<>>>) need tables of the driver that are private to NVIDIA's runtime; use the "
                "driver API (cuda.h), or run the kernels' PTX with fourfold-emulate");
}
