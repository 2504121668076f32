// Causal multi-head attention with rotary positions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Attention.h"

#include "Gemm.h"
#include "Kernels.h"
#include "Parallel.h"

#include <cmath>

namespace traingpt {

Attention::Attention(int64_t width, int64_t heads, int64_t context)
    : width(width), heads(heads), headSize(width / heads) {
  int64_t half = headSize / 2;
  for (int64_t position = 0; position < context; ++position)
    for (int64_t i = 0; i < half; ++i) {
      double angle = static_cast<double>(position) *
                     std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
}

/// Rotates one head of one sequence; rows stand 3 * width apart.
void Attention::rotate(float *rows, int64_t length, float direction) const {
  int64_t half = headSize / 2;
  for (int64_t t = 0; t < length; ++t)
    rotateHalves(rows + t * 3 * width, &cosines[static_cast<size_t>(t * half)], &sines[static_cast<size_t>(t * half)],
                 half, direction);
}

void Attention::forward(float *qkv, float *out, int64_t sequences, int64_t length) {
  probabilities.resize(static_cast<size_t>(sequences * heads * length * length));
  float scale = 1.0f / std::sqrt(static_cast<float>(headSize));
  int64_t pitch = 3 * width;
  parallelTasks(sequences * heads, [&](int64_t task) {
    int64_t sequence = task / heads, head = task % heads;
    float *q = qkv + sequence * length * pitch + head * headSize, *k = q + width, *v = k + width;
    float *p = &probabilities[static_cast<size_t>(task * length * length)];
    rotate(q, length, 1.0f);
    rotate(k, length, 1.0f);
    gemmSerial(length, length, headSize, {q, pitch}, {k, pitch, Transpose::Yes}, 0.0f, p, length);
    for (int64_t t = 0; t < length; ++t)
      softmaxRow(p + t * length, t + 1, length, scale);
    gemmSerial(length, headSize, length, {p, length}, {v, pitch}, 0.0f,
               out + sequence * length * width + head * headSize, width);
  });
}

void Attention::backward(const float *qkv, const float *dout, float *dqkv, int64_t sequences, int64_t length) {
  float scale = 1.0f / std::sqrt(static_cast<float>(headSize));
  int64_t pitch = 3 * width;
  parallelTasks(sequences * heads, [&](int64_t task) {
    thread_local std::vector<float> scores;
    scores.resize(static_cast<size_t>(length * length));
    int64_t sequence = task / heads, head = task % heads, at = sequence * length * pitch + head * headSize;
    const float *q = qkv + at, *k = q + width, *v = k + width;
    float *dq = dqkv + at, *dk = dq + width, *dv = dk + width;
    const float *p = &probabilities[static_cast<size_t>(task * length * length)];
    const float *dy = dout + sequence * length * width + head * headSize;
    gemmSerial(length, headSize, length, {p, length, Transpose::Yes}, {dy, width}, 0.0f, dv, pitch);
    gemmSerial(length, length, headSize, {dy, width}, {v, pitch, Transpose::Yes}, 0.0f, scores.data(), length);
    for (int64_t t = 0; t < length; ++t)
      softmaxRowBackward(p + t * length, &scores[static_cast<size_t>(t * length)], t + 1, length, scale);
    gemmSerial(length, headSize, length, {scores.data(), length}, {k, pitch}, 0.0f, dq, pitch);
    gemmSerial(length, headSize, length, {scores.data(), length, Transpose::Yes}, {q, pitch}, 0.0f, dk, pitch);
    rotate(dq, length, -1.0f);
    rotate(dk, length, -1.0f);
  });
}

} // namespace traingpt
