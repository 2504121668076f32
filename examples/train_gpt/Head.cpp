// Token embedding, output head and loss.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Head.h"

#include "Gemm.h"
#include "Kernels.h"
#include "Parallel.h"
#include "Random.h"

#include <cmath>

namespace traingpt {

Head::Head(ParameterList &parameters, int64_t vocabulary, int64_t width, bool tied, double meanBias, uint64_t seed)
    : vocabulary(vocabulary), width(width),
      table(addParameter(parameters, tied ? "embedding_head" : "embedding", vocabulary, width, false)),
      output(tied ? table : addParameter(parameters, "head", vocabulary, width, false)) {
  float spread = 1.0f / std::sqrt(3.0f * static_cast<float>(width));
  for (size_t i = 0; i < table.size(); ++i)
    table.value[i] = spread * randomNormal(seed, Stream::Parameters, 0, i);
  if (!tied)
    for (size_t i = 0; i < output.size(); ++i)
      output.value[i] = spread * randomNormal(seed, Stream::Parameters, 1, i);
  bias.resize(static_cast<size_t>(width));
  for (size_t i = 0; i < bias.size(); ++i)
    bias[i] = static_cast<float>(meanBias) * spread * randomNormal(seed, Stream::MeanBias, 0, i);
}

void Head::embed(const uint16_t *ids, float *x, int64_t tokens) const {
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float *row = &table.value[static_cast<size_t>(ids[t] * width)];
      for (int64_t i = 0; i < width; ++i)
        x[t * width + i] = row[i] + bias[static_cast<size_t>(i)];
    }
  });
}

void Head::embedBackward(const uint16_t *ids, const float *dx, int64_t tokens) {
  for (int64_t t = 0; t < tokens; ++t) // in the order of tokens: the sums must not depend on threads
    addScaled(&table.grad[static_cast<size_t>(ids[t] * width)], dx + t * width, 1.0f, width);
}

double Head::loss(const float *x, const uint16_t *targets, int64_t tokens) {
  probabilities.resize(static_cast<size_t>(tokens * vocabulary));
  std::vector<double> partial(static_cast<size_t>((tokens + kRowsPerTask - 1) / kRowsPerTask));
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    float *rows = &probabilities[static_cast<size_t>(begin * vocabulary)];
    gemmSerial(end - begin, vocabulary, width, {x + begin * width, width}, {output.value.data(), width, Transpose::Yes},
               0.0f, rows, vocabulary);
    double sum = 0.0;
    for (int64_t t = begin; t < end; ++t) {
      float *row = rows + (t - begin) * vocabulary;
      float score = row[targets[t]];
      sum += static_cast<double>(softmaxRow(row, vocabulary, vocabulary, 1.0f)) - static_cast<double>(score);
    }
    partial[static_cast<size_t>(begin / kRowsPerTask)] = sum;
  });
  double total = 0.0;
  for (double sum : partial)
    total += sum;
  return total;
}

void Head::lossBackward(const float *x, const uint16_t *targets, int64_t tokens, float scale, float *dx) {
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    float *rows = &probabilities[static_cast<size_t>(begin * vocabulary)];
    for (int64_t t = begin; t < end; ++t) {
      float *row = rows + (t - begin) * vocabulary;
      row[targets[t]] -= 1.0f;
      for (int64_t i = 0; i < vocabulary; ++i)
        row[i] *= scale;
    }
    gemmSerial(end - begin, width, vocabulary, {rows, vocabulary}, {output.value.data(), width}, 0.0f,
               dx + begin * width, width);
  });
  gemm(vocabulary, width, tokens, {probabilities.data(), vocabulary, Transpose::Yes}, {x, width}, 1.0f,
       output.grad.data(), width);
}

} // namespace traingpt
