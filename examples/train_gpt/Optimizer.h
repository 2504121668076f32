// AdamW on fp32 masters, with clipping by the global norm, and the learning rate's schedule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_OPTIMIZER_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_OPTIMIZER_H

#include "Parameter.h"

namespace traingpt {

struct OptimizerSettings {
  double learningRate = 4e-3, minimumShare = 0.1, weightDecay = 0.1, clip = 1.0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  int64_t warmup = 50, steps = 1000;
};

/// Linear warm-up to the peak, then a half cosine to minimumShare of it at the last step. `step` counts from 1.
double learningRateAt(const OptimizerSettings &settings, int64_t step);

/// The square root of the sum of all squared gradients.
double gradientNorm(const ParameterList &parameters);

/// Step number `step` (from 1). Parameters that do not decay (embeddings, norms) are spared the decay.
void adamwStep(ParameterList &parameters, const OptimizerSettings &settings, int64_t step, double gradNorm);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_OPTIMIZER_H
