// Causal multi-head attention with rotary positions: what stands between the qkv and the output linear.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_ATTENTION_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_ATTENTION_H

#include <cstdint>
#include <vector>

namespace traingpt {

/// Products and softmax in float. Rows of qkv are [q | k | v], each of heads x headSize.
class Attention {
public:
  /// `width` is a multiple of 2 * heads.
  Attention(int64_t width, int64_t heads, int64_t context);
  /// Rotates q and k in place (backward needs them so) and writes out[sequences * length x width]; length <= context.
  void forward(float *qkv, float *out, int64_t sequences, int64_t length);
  /// dqkv[sequences * length x 3 width] is written; qkv is what forward left.
  void backward(const float *qkv, const float *dout, float *dqkv, int64_t sequences, int64_t length);

private:
  void rotate(float *rows, int64_t length, float direction) const;

  int64_t width, heads, headSize;
  std::vector<float> cosines, sines;   ///< context x headSize / 2
  std::vector<float> probabilities;    ///< sequences x heads x length x length
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_ATTENTION_H
