// AdamW and the learning rate's schedule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Optimizer.h"

#include "Kernels.h"
#include "Parallel.h"

#include <cmath>

namespace traingpt {
namespace {

constexpr int64_t kRange = 1 << 14;

} // namespace

double learningRateAt(const OptimizerSettings &settings, int64_t step) {
  if (step <= settings.warmup)
    return settings.learningRate * static_cast<double>(step) / static_cast<double>(settings.warmup);
  int64_t span = std::max<int64_t>(1, settings.steps - settings.warmup);
  double done = std::min(1.0, static_cast<double>(step - settings.warmup) / static_cast<double>(span));
  double share = settings.minimumShare + (1.0 - settings.minimumShare) * 0.5 * (1.0 + std::cos(M_PI * done));
  return settings.learningRate * share;
}

double gradientNorm(const ParameterList &parameters) {
  double total = 0.0;
  for (const auto &parameter : parameters) {
    const float *grad = parameter->grad.data();
    int64_t count = static_cast<int64_t>(parameter->size());
    for (int64_t begin = 0; begin < count; begin += kRange)
      total += static_cast<double>(sumOfSquares(grad + begin, std::min(kRange, count - begin)));
  }
  return std::sqrt(total);
}

void adamwStep(ParameterList &parameters, const OptimizerSettings &settings, int64_t step, double gradNorm) {
  AdamStep adam;
  adam.learningRate = static_cast<float>(learningRateAt(settings, step));
  adam.beta1 = static_cast<float>(settings.beta1);
  adam.beta2 = static_cast<float>(settings.beta2);
  adam.epsilon = static_cast<float>(settings.epsilon);
  adam.correction1 = static_cast<float>(1.0 / (1.0 - std::pow(settings.beta1, static_cast<double>(step))));
  adam.correction2 = static_cast<float>(1.0 / (1.0 - std::pow(settings.beta2, static_cast<double>(step))));
  adam.gradScale = settings.clip > 0.0 && gradNorm > settings.clip ? static_cast<float>(settings.clip / gradNorm) : 1.0f;
  for (auto &parameter : parameters) {
    adam.decay = parameter->decays ? static_cast<float>(settings.weightDecay) : 0.0f;
    Parameter &p = *parameter;
    parallelChunks(static_cast<int64_t>(p.size()), kRange, [&](int64_t begin, int64_t end) {
      adamwRange(p.value.data() + begin, p.m.data() + begin, p.v.data() + begin, p.grad.data() + begin, adam, end - begin);
    });
  }
}

} // namespace traingpt
