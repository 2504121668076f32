// A small GPT.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Model.h"

namespace traingpt {

Model::Model(const ModelShape &shape, LinearFactory &factory, uint64_t seed) : shape(shape) {
  head = std::make_unique<Head>(parameters, shape.vocabulary, shape.width, shape.tied, shape.meanBias, seed);
  for (int64_t i = 0; i < shape.layers; ++i)
    blocks.push_back(std::make_unique<Block>(parameters, factory, shape, i, seed));
  finalNorm = std::make_unique<Norm>(parameters, "final_norm", shape.width);
  refreshWeights(0);
}

double Model::forward(const uint16_t *ids, const uint16_t *targets, int64_t sequences, int64_t length) {
  int64_t tokens = sequences * length;
  stream.resize(static_cast<size_t>(tokens * shape.width));
  normalized.resize(stream.size());
  head->embed(ids, stream.data(), tokens);
  for (auto &block : blocks)
    block->forward(stream.data(), sequences, length, scratch);
  finalNorm->forward(stream.data(), normalized.data(), tokens);
  return head->loss(normalized.data(), targets, tokens);
}

void Model::backward(const uint16_t *ids, const uint16_t *targets, int64_t sequences, int64_t length, float scale) {
  int64_t tokens = sequences * length;
  std::vector<float> headGradient(stream.size());
  head->lossBackward(normalized.data(), targets, tokens, scale, headGradient.data());
  gradient.assign(stream.size(), 0.0f);
  finalNorm->backward(stream.data(), headGradient.data(), gradient.data(), tokens);
  for (size_t i = blocks.size(); i-- > 0;)
    blocks[i]->backward(gradient.data(), sequences, length, scratch);
  head->embedBackward(ids, gradient.data(), tokens);
}

void Model::refreshWeights(uint64_t next) {
  setMicroBatch(next);
  for (auto &block : blocks)
    block->refreshWeights();
}

void Model::zeroGradients() {
  for (auto &parameter : parameters)
    parameter->grad.assign(parameter->size(), 0.0f);
}

std::vector<BlockLinear *> Model::linears() {
  std::vector<BlockLinear *> all;
  for (auto &block : blocks)
    for (BlockLinear *linear : block->linears())
      all.push_back(linear);
  return all;
}

void Model::setMicroBatch(uint64_t index) {
  std::vector<BlockLinear *> all = linears();
  for (size_t i = 0; i < all.size(); ++i)
    all[i]->setRandomOffset(index * all.size() + i);
}

void Model::setObserver(LinearObserver *observer) {
  for (BlockLinear *linear : linears())
    linear->setObserver(observer);
}

int64_t Model::parameterCount() const {
  int64_t count = 0;
  for (const auto &parameter : parameters)
    count += static_cast<int64_t>(parameter->size());
  return count;
}

} // namespace traingpt
