// A training step of a linear layer, for measuring.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_BENCH_LINEARSTEP_H
#define FOURFOLD_BENCH_LINEARSTEP_H

#include "fourfold/Fourfold.h"

namespace fourfold {
namespace bench {

/// Quantizing the weight, forward, backward; on tensors of the device's own.
class LinearStep {
public:
  LinearStep() = default;
  LinearStep(const LinearStep &) = delete;
  LinearStep &operator=(const LinearStep &) = delete;
  ~LinearStep();

  Status create(const Device &device, const Compiler &compiler, const std::string &recipe, int64_t tokens, int64_t in,
                int64_t out);
  /// One step, waited for. On the emulated device also the bytes that its kernels asked for.
  Status run(double *milliseconds, double *bytes);
  /// Milliseconds a pass, over `count` passes that are waited for together: forward alone, or with backward. Weights are quantized
  /// once before.
  Status time(bool backward, int count, double *milliseconds);
  /// What a step must move at least if nothing stays on the chip between kernels: x, w, d read and y, dx, dw written once, the six
  /// quantized operands of the three products written and read once.
  double minimumBytes() const;

private:
  Status allocate(uint64_t *address, uint64_t bytes, const std::vector<uint8_t> &contents = {});

  Device device;
  Linear layer;
  LinearPlan plan;
  LinearTensors tensors;
  std::vector<uint64_t> memory;
};

} // namespace bench
} // namespace fourfold

#endif // FOURFOLD_BENCH_LINEARSTEP_H
