// One pre-norm transformer block.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Block.h"

#include "Kernels.h"
#include "Parallel.h"
#include "Random.h"

#include <cmath>

namespace traingpt {
namespace {

void resize(std::vector<float> &values, int64_t count) {
  if (static_cast<int64_t>(values.size()) < count)
    values.resize(static_cast<size_t>(count));
}

/// sum[i] = a[i] + b[i]
void add(const float *a, const float *b, float *sum, int64_t count) {
  parallelChunks(count, 1 << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      sum[i] = a[i] + b[i];
  });
}

/// The fixed vector behind norm `which` of a block.
std::vector<float> fixedBias(const ModelShape &shape, int64_t block, uint32_t which, uint64_t seed) {
  std::vector<float> bias(shape.normBias != 0.0 ? static_cast<size_t>(shape.width) : 0);
  for (size_t i = 0; i < bias.size(); ++i)
    bias[i] = static_cast<float>(shape.normBias) *
              randomNormal(seed, Stream::MeanBias, 1 + 2 * static_cast<uint32_t>(block) + which, i);
  return bias;
}

} // namespace

Block::Linear Block::makeLinear(ParameterList &parameters, LinearFactory &factory, const std::string &name,
                                int64_t rows, int64_t columns, float spread, uint32_t part, uint64_t seed) {
  Parameter &weight = addParameter(parameters, name, rows, columns, true);
  for (size_t i = 0; i < weight.size(); ++i)
    weight.value[i] = spread * randomNormal(seed, Stream::Parameters, part, i);
  return {factory.create(name, rows, columns), &weight};
}

Block::Block(ParameterList &parameters, LinearFactory &factory, const ModelShape &shape, int64_t index, uint64_t seed)
    : width(shape.width), hidden(shape.hidden), norm1(parameters, "block" + std::to_string(index) + ".norm1", width, fixedBias(shape, index, 0, seed)),
      norm2(parameters, "block" + std::to_string(index) + ".norm2", width, fixedBias(shape, index, 1, seed)),
      attention(width, shape.heads, shape.context) {
  std::string prefix = "block" + std::to_string(index) + ".";
  uint32_t part = 16 + 4 * static_cast<uint32_t>(index);
  // What is added to the residual stream is scaled down by the number of additions, as GPT-2 does.
  float residual = 1.0f / std::sqrt(2.0f * static_cast<float>(shape.layers));
  float spread = 1.0f / std::sqrt(3.0f * static_cast<float>(width));
  float spreadHidden = 1.0f / std::sqrt(3.0f * static_cast<float>(hidden));
  qkv = makeLinear(parameters, factory, prefix + "qkv", 3 * width, width, spread, part, seed);
  out = makeLinear(parameters, factory, prefix + "out", width, width, spread * residual, part + 1, seed);
  gateUp = makeLinear(parameters, factory, prefix + "gate_up", 2 * hidden, width, spread, part + 2, seed);
  down = makeLinear(parameters, factory, prefix + "down", width, hidden, spreadHidden * residual, part + 3, seed);
}

void Block::refreshWeights() {
  for (Linear *linear : {&qkv, &out, &gateUp, &down})
    linear->layer->setWeights(linear->weight->value.data());
}

void Block::forward(float *x, int64_t sequences, int64_t length, Scratch &scratch) {
  int64_t tokens = sequences * length;
  resize(scratch.a, tokens * std::max(width, hidden));
  resize(scratch.b, tokens * width);
  resize(qkvRows, tokens * 3 * width);
  resize(gateUpRows, tokens * 2 * hidden);
  resize(middle, tokens * width);
  input.assign(x, x + tokens * width);

  norm1.forward(x, scratch.a.data(), tokens);
  qkv.layer->forward(scratch.a.data(), qkvRows.data(), tokens);
  attention.forward(qkvRows.data(), scratch.a.data(), sequences, length);
  out.layer->forward(scratch.a.data(), scratch.b.data(), tokens);
  add(x, scratch.b.data(), middle.data(), tokens * width);

  norm2.forward(middle.data(), scratch.a.data(), tokens);
  gateUp.layer->forward(scratch.a.data(), gateUpRows.data(), tokens);
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float *gate = &gateUpRows[static_cast<size_t>(t * 2 * hidden)];
      swigluRow(gate, gate + hidden, &scratch.a[static_cast<size_t>(t * hidden)], hidden);
    }
  });
  down.layer->forward(scratch.a.data(), scratch.b.data(), tokens);
  add(middle.data(), scratch.b.data(), x, tokens * width);
}

void Block::backward(float *dx, int64_t sequences, int64_t length, Scratch &scratch) {
  int64_t tokens = sequences * length;
  resize(scratch.c, tokens * std::max(3 * width, 2 * hidden));

  down.backward(dx, scratch.a.data());
  parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float *gate = &gateUpRows[static_cast<size_t>(t * 2 * hidden)];
      float *dgate = &scratch.c[static_cast<size_t>(t * 2 * hidden)];
      swigluRowBackward(gate, gate + hidden, &scratch.a[static_cast<size_t>(t * hidden)], dgate, dgate + hidden, hidden);
    }
  });
  gateUp.backward(scratch.c.data(), scratch.b.data());
  norm2.backward(middle.data(), scratch.b.data(), dx, tokens);

  out.backward(dx, scratch.a.data());
  attention.backward(qkvRows.data(), scratch.a.data(), scratch.c.data(), sequences, length);
  qkv.backward(scratch.c.data(), scratch.b.data());
  norm1.backward(input.data(), scratch.b.data(), dx, tokens);
}

} // namespace traingpt
