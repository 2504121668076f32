// Token embedding, output head and loss, all in float.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_HEAD_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_HEAD_H

#include "Parameter.h"

namespace traingpt {

/// Embeds tokens and scores them; the two tables are one if `tied`.
class Head {
public:
  /// `meanBias` A adds one fixed vector, drawn once from N(0, (A * rms of the initial embedding)^2), to every token.
  Head(ParameterList &parameters, int64_t vocabulary, int64_t width, bool tied, double meanBias, uint64_t seed);
  /// x[tokens x width] = the rows of the table, plus the fixed vector.
  void embed(const uint16_t *ids, float *x, int64_t tokens) const;
  /// Adds the gradient of embed.
  void embedBackward(const uint16_t *ids, const float *dx, int64_t tokens);
  /// The sum of the tokens' cross-entropies in nats for x[tokens x width]; keeps what backward needs.
  double loss(const float *x, const uint16_t *targets, int64_t tokens);
  /// dx[tokens x width] is written and the table's gradient added to, for `scale` times the last loss.
  void lossBackward(const float *x, const uint16_t *targets, int64_t tokens, float scale, float *dx);

private:
  int64_t vocabulary, width;
  Parameter &table;
  Parameter &output;
  std::vector<float> bias, probabilities;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_HEAD_H
