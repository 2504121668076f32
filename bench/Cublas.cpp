// Three entry points of libcublas.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "bench/Cublas.h"

#include "cuda/Nvrtc.h"
#include "runtime/device/DeviceImpl.h"

#include <dlfcn.h>

namespace fourfold {
namespace bench {

// cublas_api.h and library_types.h.
static constexpr int kTranspose = 1, kNoTranspose = 0, kBF16 = 14, kCompute32F = 68, kDefaultAlgorithm = -1;
using Create = int (*)(void **);
using Destroy = int (*)(void *);
using GemmEx = int (*)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int,
                       const void *, void *, int, int, int, int);

Cublas::~Cublas() {
  if (handle)
    if (auto destroy = reinterpret_cast<Destroy>(dlsym(library, "cublasDestroy_v2")))
      destroy(handle);
}

Status Cublas::open(const Device &opened) {
  device = opened;
  std::string tried;
  for (const std::string &path : {cuda::toolkitHome() + "/lib64/libcublas.so", std::string("libcublas.so.13"),
                                  std::string("libcublas.so.12"), std::string("libcublas.so")}) {
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library)
      break;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  if (!library)
    return {StatusCode::NotFound, "no cuBLAS; tried " + tried};
  auto create = reinterpret_cast<Create>(dlsym(library, "cublasCreate_v2"));
  CurrentContext current(*DeviceAccess::of(device));
  if (int result = create ? create(&handle) : -1; result != 0)
    return {StatusCode::DeviceError, "cublasCreate fails: status " + std::to_string(result)};
  return {};
}

Status Cublas::multiply(uint64_t x, uint64_t w, uint64_t y, int64_t tokens, int64_t in, int64_t out) const {
  auto gemm = reinterpret_cast<GemmEx>(dlsym(library, "cublasGemmEx"));
  CurrentContext current(*DeviceAccess::of(device));
  float one = 1, zero = 0;
  auto pointer = [](uint64_t address) { return reinterpret_cast<void *>(address); };
  auto size = [](int64_t extent) { return static_cast<int>(extent); };
  // Column-major: y^T (out x tokens) = w (out x in) x^T (in x tokens).
  int result = gemm ? gemm(handle, kTranspose, kNoTranspose, size(out), size(tokens), size(in), &one, pointer(w), kBF16, size(in),
                           pointer(x), kBF16, size(in), &zero, pointer(y), kBF16, size(out), kCompute32F, kDefaultAlgorithm)
                    : -1;
  return result ? Status(StatusCode::DeviceError, "cublasGemmEx fails: status " + std::to_string(result)) : Status();
}

} // namespace bench
} // namespace fourfold
