// A small GPT: embedding, blocks, final norm, head.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_MODEL_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_MODEL_H

#include "Block.h"
#include "Head.h"

namespace traingpt {

class Model {
public:
  /// Initial values depend on the seed and the shape alone, not on the recipe.
  Model(const ModelShape &shape, LinearFactory &factory, uint64_t seed);

  /// The sum of cross-entropies in nats of sequences x length tokens `ids` (row-major) with their `targets`.
  double forward(const uint16_t *ids, const uint16_t *targets, int64_t sequences, int64_t length);
  /// Adds the gradients of `scale` times the last forward's sum.
  void backward(const uint16_t *ids, const uint16_t *targets, int64_t sequences, int64_t length, float scale);

  /// Gives the linears their masters, after every change of the parameters; micro-batch `next` comes next.
  void refreshWeights(uint64_t next);
  void zeroGradients();
  /// The offset of stochastic rounding for micro-batch `index`, counted from the start of training.
  void setMicroBatch(uint64_t index);
  void setObserver(LinearObserver *observer);

  ParameterList parameters;
  int64_t parameterCount() const;

private:
  std::vector<BlockLinear *> linears();

  ModelShape shape;
  std::unique_ptr<Head> head;
  std::vector<std::unique_ptr<Block>> blocks;
  std::unique_ptr<Norm> finalNorm;
  Scratch scratch;
  std::vector<float> stream, normalized, gradient;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_MODEL_H
