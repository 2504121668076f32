// The state of a run in one file.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_CHECKPOINT_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_CHECKPOINT_H

#include "Parameter.h"

#include <nlohmann/json.hpp>

namespace traingpt {

/// Everything that changes while a run goes on; data order and random offsets are functions of the step.
struct RunState {
  int64_t step = 0;     ///< optimizer steps done
  double seconds = 0.0; ///< time spent on them
};

/// Replaces the file in one go; throws std::runtime_error.
void saveCheckpoint(const std::string &path, const nlohmann::json &identity, const RunState &state,
                    const ParameterList &parameters);

/// Fills parameters and their moments. Throws std::runtime_error, and changes nothing, if the file is no checkpoint, is truncated or
/// damaged, or belongs to a run whose identity differs (the first difference is named).
RunState loadCheckpoint(const std::string &path, const nlohmann::json &identity, ParameterList &parameters);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_CHECKPOINT_H
