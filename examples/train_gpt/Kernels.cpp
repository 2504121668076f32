// The trainer's loops over rows of floats: one source, compiled for three vector widths and chosen when the program starts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernels.h"

#include "dialect/Numerics.h"

#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define TRAIN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRAIN_CLONES
#endif

namespace traingpt {
namespace {

using fourfold::numerics::floatBits;
using fourfold::numerics::floatFromBits;

/// e^x to about 2 ulp, by a polynomial that vectorizes; x is clamped to [-87, 88].
__attribute__((always_inline)) inline float fastExp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kRound = 12582912.0f; // 1.5 * 2^23: adding and taking it off rounds to the nearest integer
  float n = (x * 1.44269504088896341f + kRound) - kRound;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * floatFromBits(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

__attribute__((always_inline)) inline float sigmoid(float x) { return 1.0f / (1.0f + fastExp(-x)); }

} // namespace

TRAIN_CLONES void roundToBF16(const float *x, uint16_t *out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits = floatBits(x[i]);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    out[i] = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
  }
}

TRAIN_CLONES void widenBF16(const uint16_t *x, float *out, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    out[i] = floatFromBits(static_cast<uint32_t>(x[i]) << 16);
}

TRAIN_CLONES float sumOfSquares(const float *x, int64_t count) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i)
    sum += x[i] * x[i];
  return sum;
}

TRAIN_CLONES float dot(const float *a, const float *b, int64_t count) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i)
    sum += a[i] * b[i];
  return sum;
}

TRAIN_CLONES void addScaled(float *a, const float *b, float factor, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    a[i] += factor * b[i];
}

TRAIN_CLONES float rmsNormRow(const float *x, const float *gain, float *y, int64_t count, float eps) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i)
    sum += x[i] * x[i];
  float factor = 1.0f / std::sqrt(sum / static_cast<float>(count) + eps);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    y[i] = x[i] * factor * gain[i];
  return factor;
}

TRAIN_CLONES void rmsNormRowBackward(const float *x, const float *gain, const float *dy, float factor, float *dx,
                                     float *dgain, int64_t count) {
  // y = x f(x) g with f = (mean(x^2) + eps)^-1/2, so dx = f (g dy) - x f^3 mean(x g dy).
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i)
    sum += x[i] * gain[i] * dy[i];
  float shared = factor * factor * factor * (sum / static_cast<float>(count));
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    dx[i] += factor * gain[i] * dy[i] - x[i] * shared;
    dgain[i] += x[i] * factor * dy[i];
  }
}

TRAIN_CLONES float softmaxRow(float *x, int64_t live, int64_t count, float scale) {
  float maximum = x[0];
#pragma omp simd reduction(max : maximum)
  for (int64_t i = 0; i < live; ++i)
    maximum = x[i] > maximum ? x[i] : maximum;
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < live; ++i) {
    x[i] = fastExp((x[i] - maximum) * scale);
    sum += x[i];
  }
  float inverse = 1.0f / sum;
#pragma omp simd
  for (int64_t i = 0; i < live; ++i)
    x[i] *= inverse;
  for (int64_t i = live; i < count; ++i)
    x[i] = 0.0f;
  return maximum * scale + std::log(sum);
}

TRAIN_CLONES void softmaxRowBackward(const float *p, float *dp, int64_t live, int64_t count, float scale) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < live; ++i)
    sum += p[i] * dp[i];
#pragma omp simd
  for (int64_t i = 0; i < live; ++i)
    dp[i] = p[i] * (dp[i] - sum) * scale;
  for (int64_t i = live; i < count; ++i)
    dp[i] = 0.0f;
}

TRAIN_CLONES void swigluRow(const float *gate, const float *up, float *h, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    h[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

TRAIN_CLONES void swigluRowBackward(const float *gate, const float *up, const float *dh, float *dgate, float *dup,
                                    int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    float s = sigmoid(gate[i]), silu = gate[i] * s;
    dup[i] = dh[i] * silu;
    dgate[i] = dh[i] * up[i] * (s + silu * (1.0f - s));
  }
}

TRAIN_CLONES void rotateHalves(float *x, const float *cosines, const float *sines, int64_t half, float direction) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    float a = x[i], b = x[i + half], s = sines[i] * direction;
    x[i] = a * cosines[i] - b * s;
    x[i + half] = a * s + b * cosines[i];
  }
}

TRAIN_CLONES void adamwRange(float *value, float *m, float *v, const float *grad, const AdamStep &step, int64_t count) {
  const AdamStep s = step;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    float g = grad[i] * s.gradScale;
    m[i] = s.beta1 * m[i] + (1.0f - s.beta1) * g;
    v[i] = s.beta2 * v[i] + (1.0f - s.beta2) * g * g;
    float update = (m[i] * s.correction1) / (std::sqrt(v[i] * s.correction2) + s.epsilon);
    value[i] -= s.learningRate * (update + s.decay * value[i]);
  }
}

} // namespace traingpt
