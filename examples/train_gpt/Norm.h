// RMS normalization over the features of each token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_NORM_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_NORM_H

#include "Parameter.h"

namespace traingpt {

/// y = x / sqrt(mean(x^2) + 1e-5) * gain + bias, in float; the bias is fixed, and empty in a usual model.
class Norm {
public:
  Norm(ParameterList &parameters, const std::string &name, int64_t width, std::vector<float> bias = {});
  /// x, y: tokens x width. Keeps only the factors: backward gets x again.
  void forward(const float *x, float *y, int64_t tokens);
  /// dx += the gradient.
  void backward(const float *x, const float *dy, float *dx, int64_t tokens);

private:
  int64_t width;
  Parameter &gain;
  std::vector<float> bias;
  std::vector<float> factors, partialGains;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_NORM_H
