// The trainer's own loops over rows of floats, vectorized for the CPU at hand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums are taken in an order that depends on the CPU's vector width, never on threads: runs repeat bit for bit on the same kind of CPU.

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_KERNELS_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_KERNELS_H

#include <cstdint>

namespace traingpt {

/// out[i] = bf16(x[i]), nearest even.
void roundToBF16(const float *x, uint16_t *out, int64_t count);
/// out[i] = float(x[i]).
void widenBF16(const uint16_t *x, float *out, int64_t count);

float sumOfSquares(const float *x, int64_t count);
float dot(const float *a, const float *b, int64_t count);
/// a[i] += factor * b[i]
void addScaled(float *a, const float *b, float factor, int64_t count);

/// y = x / sqrt(mean(x^2) + eps) * gain; returns the factor 1 / sqrt(...).
float rmsNormRow(const float *x, const float *gain, float *y, int64_t count, float eps);
/// dx += the gradient of rmsNormRow for dy; dgain += this row's share.
void rmsNormRowBackward(const float *x, const float *gain, const float *dy, float factor, float *dx, float *dgain,
                        int64_t count);

/// In place: x = softmax(scale * x) over the first `live` of `count` values, the rest 0. Returns log(sum(exp(scale * x))).
float softmaxRow(float *x, int64_t live, int64_t count, float scale);
/// In place: dp becomes the gradient of the scores before `scale`: p * (dp - dot(p, dp)) * scale.
void softmaxRowBackward(const float *p, float *dp, int64_t live, int64_t count, float scale);

/// h = silu(gate) * up
void swigluRow(const float *gate, const float *up, float *h, int64_t count);
void swigluRowBackward(const float *gate, const float *up, const float *dh, float *dgate, float *dup, int64_t count);

/// Rotates the pairs (x[i], x[i + half]) by the angles given; `direction` 1 is forward, -1 backward.
void rotateHalves(float *x, const float *cosines, const float *sines, int64_t half, float direction);

struct AdamStep {
  float learningRate, beta1, beta2, epsilon, decay;
  float correction1, correction2; ///< 1 / (1 - beta^t)
  float gradScale;                ///< the clipping factor
};
/// One AdamW step of a range of parameters.
void adamwRange(float *value, float *m, float *v, const float *grad, const AdamStep &step, int64_t count);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_KERNELS_H
