// The bf16 border of the block linears.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlockLinear.h"

#include "Kernels.h"
#include "Parallel.h"

namespace traingpt {
namespace {

constexpr int64_t kElementsPerTask = 1 << 16;

void roundAll(const float *x, std::vector<uint16_t> &out, int64_t count) {
  out.resize(static_cast<size_t>(count));
  parallelChunks(count, kElementsPerTask,
                 [&](int64_t begin, int64_t end) { roundToBF16(x + begin, out.data() + begin, end - begin); });
}

void widenAll(const uint16_t *x, float *out, int64_t count) {
  parallelChunks(count, kElementsPerTask,
                 [&](int64_t begin, int64_t end) { widenBF16(x + begin, out + begin, end - begin); });
}

} // namespace

void BF16Linear::setWeights(const float *masters) {
  std::vector<uint16_t> weights;
  roundAll(masters, weights, out * in);
  setWeightsBF16(weights.data());
}

void BF16Linear::forward(const float *x, float *y, int64_t newTokens) {
  tokens = newTokens;
  roundAll(x, savedX, tokens * in);
  if (observer)
    observer->observe(name, "x", savedX.data(), tokens, in);
  result.resize(static_cast<size_t>(tokens * std::max(out, in)));
  forwardBF16(savedX.data(), result.data(), tokens);
  widenAll(result.data(), y, tokens * out);
}

void BF16Linear::backward(const float *dy, float *dx, float *dw) {
  roundAll(dy, incoming, tokens * out);
  if (observer)
    observer->observe(name, "dy", incoming.data(), tokens, out);
  backwardBF16(savedX.data(), incoming.data(), tokens, dx ? result.data() : nullptr, dw);
  if (dx)
    widenAll(result.data(), dx, tokens * in);
}

} // namespace traingpt
