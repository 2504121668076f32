// One line of progress on stderr: redrawn on a terminal, a line now and then elsewhere.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_PROGRESS_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_PROGRESS_H

#include "Metrics.h"

#include <chrono>

namespace traingpt {

class Progress {
public:
  Progress(int64_t firstStep, int64_t steps, bool quiet);
  ~Progress();
  /// After every step. Rows with a validation loss get a line of their own.
  void update(const MetricsRow &row, int64_t tokensPerStep);

private:
  void clear();
  using Clock = std::chrono::steady_clock;
  int64_t firstStep, steps;
  bool quiet, terminal, drawn = false;
  Clock::time_point start, lastDraw;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_PROGRESS_H
