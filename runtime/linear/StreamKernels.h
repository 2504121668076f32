// The layer's own small kernels, which no spec describes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_LINEAR_STREAMKERNELS_H
#define FOURFOLD_RUNTIME_LINEAR_STREAMKERNELS_H

#include "runtime/device/DeviceImpl.h"

namespace fourfold {

/// Loaded once a device and used by many threads.
class StreamKernels {
public:
  StreamKernels() = default;
  StreamKernels(const StreamKernels &) = delete;
  StreamKernels &operator=(const StreamKernels &) = delete;
  ~StreamKernels();

  Status load(const Device &device);
  /// The 64-bit number at `address` += by.
  Status advance(void *stream, uint64_t address, uint64_t by) const;
  /// to[i] = from[i], or with `keep` to[i] += from[i], for `count` f32 values, at most 2^31 - 1.
  Status add(void *stream, uint64_t to, uint64_t from, uint64_t count, bool keep) const;
  /// Sets memory to zero.
  Status clear(void *stream, uint64_t address, uint64_t bytes) const;

private:
  Status launch(const char *what, device::CUfunction function, unsigned blocks, unsigned threads, void *stream,
                void **params) const;

  std::shared_ptr<const Device::Impl> device;
  device::CUmodule module = nullptr;
  device::CUfunction advanceFunction = nullptr, addFunction = nullptr;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_LINEAR_STREAMKERNELS_H
