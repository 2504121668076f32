// One pre-norm transformer block: attention and a SwiGLU MLP, each added to the residual stream.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_BLOCK_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_BLOCK_H

#include "Attention.h"
#include "BlockLinear.h"
#include "Norm.h"

namespace traingpt {

struct ModelShape {
  int64_t vocabulary = 1024, layers = 4, width = 128, heads = 4, hidden = 384, context = 128;
  bool tied = false;
  /// A coherent mean on purpose: one fixed random vector is added to every embedding (meanBias times the initial embedding's rms), and one
  /// of its own to the output of every block norm (normBias times its initial rms, 1).
  double meanBias = 0.0, normBias = 0.0;
};

/// Activations that only live inside one call; blocks share them.
struct Scratch {
  std::vector<float> a, b, c;
};

class Block {
public:
  Block(ParameterList &parameters, LinearFactory &factory, const ModelShape &shape, int64_t index, uint64_t seed);
  /// x[sequences * length x width] in place; keeps what backward needs.
  void forward(float *x, int64_t sequences, int64_t length, Scratch &scratch);
  /// dx in place, for the last forward.
  void backward(float *dx, int64_t sequences, int64_t length, Scratch &scratch);
  /// Gives the linears their masters; after every change of the parameters.
  void refreshWeights();
  std::vector<BlockLinear *> linears() { return {qkv.layer.get(), out.layer.get(), gateUp.layer.get(), down.layer.get()}; }

private:
  struct Linear {
    std::unique_ptr<BlockLinear> layer;
    Parameter *weight;
    void backward(const float *dy, float *dx) { layer->backward(dy, dx, weight->grad.data()); }
  };
  Linear makeLinear(ParameterList &parameters, LinearFactory &factory, const std::string &name, int64_t rows,
                    int64_t columns, float spread, uint32_t part, uint64_t seed);

  int64_t width, hidden;
  Norm norm1, norm2;
  Attention attention;
  Linear qkv, out, gateUp, down;
  std::vector<float> input, middle, qkvRows, gateUpRows;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_BLOCK_H
