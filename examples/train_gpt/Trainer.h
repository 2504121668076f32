// A run: steps, evaluations, checkpoints and logs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_TRAINER_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_TRAINER_H

#include "Checkpoint.h"
#include "Data.h"
#include "Health.h"
#include "Metrics.h"
#include "Model.h"
#include "Options.h"

#include <atomic>

namespace traingpt {

class Trainer {
public:
  /// Reads the text, makes the model and, to resume, loads the checkpoint. Throws std::runtime_error.
  explicit Trainer(const Options &options);
  /// Trains to the last step, or until `stop` is set, after which a checkpoint is written. Returns whether the last step was reached.
  bool run(const std::atomic<bool> &stop);

private:
  MetricsRow trainStep(int64_t step);
  double validate();
  bool evaluatesAt(int64_t step) const;
  void finish(const std::vector<MetricsRow> &rows);
  std::string inOut(const char *name) const { return options.outDir + "/" + name; }

  Options options;
  std::unique_ptr<LinearFactory> factory; // before the data: an unknown recipe is known at once
  Data data;
  Model model;
  RunState state;
  std::unique_ptr<CsvFile> metrics;
  std::unique_ptr<Health> health;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_TRAINER_H
