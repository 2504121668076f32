// Tensor maps for tests: the arguments of cuTensorMapEncodeTiled by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_EMULATOR_TENSORMAPS_H
#define FOURFOLD_TESTS_EMULATOR_TENSORMAPS_H

#include "Harness.h"

namespace fourfold {
namespace emulator {
namespace test {

/// Values of CUtensorMapDataType.
enum : int { kUint8 = 0, kUint16 = 1, kInt32 = 3, kInt64 = 5, kFloat16 = 6, kFloat32 = 7, kPacked4 = 13 };

struct Tensor {
  int type;
  CUdeviceptr address;
  std::vector<uint64_t> dims, strides;
  std::vector<uint32_t> box, steps = {}; // no steps: ones
  int swizzle = 0, fill = 0, interleave = 0, promotion = 0;
};

struct alignas(64) Map {
  uint8_t bytes[128] = {};

  CUresult encode(Device &device, const Tensor &tensor) {
    std::vector<uint32_t> steps = tensor.steps.empty() ? std::vector<uint32_t>(tensor.box.size(), 1) : tensor.steps;
    return device.d.tensorMapEncodeTiled(this, tensor.type, static_cast<uint32_t>(tensor.dims.size()),
                                         reinterpret_cast<void *>(tensor.address), tensor.dims.data(), tensor.strides.data(),
                                         tensor.box.data(), steps.data(), tensor.interleave, tensor.swizzle, tensor.promotion, tensor.fill);
  }
};

} // namespace test
} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_TESTS_EMULATOR_TENSORMAPS_H
