// What a run is: everything the command line decides.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_OPTIONS_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_OPTIONS_H

#include "Block.h"
#include "Optimizer.h"

#include <nlohmann/json_fwd.hpp>

namespace traingpt {

struct Options {
  // What decides the losses: a run can only be resumed with the same.
  std::string recipe = "bf16";
  uint64_t seed = 1;
  ModelShape shape;
  OptimizerSettings optimizer;
  int64_t batch = 16, microBatches = 1;
  // What does not.
  std::string text, device = "auto", outDir;
  int64_t checkpointEvery = 200, evalEvery = 50, evalSequences = 64, threads = 0;
  int64_t stopAfter = 0;
  bool resume = false, overwrite = false, health = false, quiet = false;

  /// The part that decides the losses.
  nlohmann::json identity() const;
};

/// Parses the command line. Returns -1, or the exit code of a program that has nothing more to do (after --help or an error, which is
/// printed).
int parseOptions(int argc, char **argv, Options &options);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_OPTIONS_H
