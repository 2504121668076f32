// cuBLAS, opened at run time, for a product to compare with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_BENCH_CUBLAS_H
#define FOURFOLD_BENCH_CUBLAS_H

#include "fourfold/Fourfold.h"

namespace fourfold {
namespace bench {

/// y (tokens x out) = x (tokens x in) times w (out x in) transposed, all bf16, fp32 accumulation, on the current device's default stream.
class Cublas {
public:
  Cublas() = default;
  Cublas(const Cublas &) = delete;
  Cublas &operator=(const Cublas &) = delete;
  ~Cublas();

  /// NotFound where there is no libcublas; the message says what was tried.
  Status open(const Device &device);
  Status multiply(uint64_t x, uint64_t w, uint64_t y, int64_t tokens, int64_t in, int64_t out) const;

private:
  Device device;
  void *library = nullptr, *handle = nullptr;
};

} // namespace bench
} // namespace fourfold

#endif // FOURFOLD_BENCH_CUBLAS_H
