// RMS normalization.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Norm.h"

#include "Kernels.h"
#include "Parallel.h"

namespace traingpt {

Norm::Norm(ParameterList &parameters, const std::string &name, int64_t width, std::vector<float> bias)
    : width(width), gain(addParameter(parameters, name, 1, width, false)), bias(std::move(bias)) {
  gain.value.assign(gain.size(), 1.0f);
}

void Norm::forward(const float *x, float *y, int64_t tokens) {
  factors.resize(static_cast<size_t>(tokens));
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      factors[static_cast<size_t>(t)] = rmsNormRow(x + t * width, gain.value.data(), y + t * width, width, 1e-5f);
      if (!bias.empty())
        addScaled(y + t * width, bias.data(), 1.0f, width);
    }
  });
}

void Norm::backward(const float *x, const float *dy, float *dx, int64_t tokens) {
  int64_t chunks = (tokens + kRowsPerTask - 1) / kRowsPerTask;
  partialGains.assign(static_cast<size_t>(chunks * width), 0.0f);
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    float *partial = &partialGains[static_cast<size_t>(begin / kRowsPerTask * width)];
    for (int64_t t = begin; t < end; ++t)
      rmsNormRowBackward(x + t * width, gain.value.data(), dy + t * width, factors[static_cast<size_t>(t)],
                         dx + t * width, partial, width);
  });
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    addScaled(gain.grad.data(), &partialGains[static_cast<size_t>(chunk * width)], 1.0f, width);
}

} // namespace traingpt
