// train_gpt: trains a small GPT around Fourfold's linear layer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Gemm.h"
#include "Options.h"
#include "Trainer.h"

#include <csignal>
#include <fmt/format.h>
#include <tbb/global_control.h>

namespace {

std::atomic<bool> stopRequested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

/// The first signal asks for a checkpoint after the step; a second one ends the program at once, as signals do.
void requestStop(int signal) {
  stopRequested = true;
  std::signal(signal, SIG_DFL);
}

int train(const traingpt::Options &options) {
  size_t threads = options.threads ? static_cast<size_t>(options.threads)
                                   : tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
  traingpt::initializeBlas();
  traingpt::Trainer trainer(options);
  std::signal(SIGINT, requestStop);
  std::signal(SIGTERM, requestStop);
  if (trainer.run(stopRequested))
    return 0;
  if (!options.quiet)
    fmt::print(stderr, "train_gpt: stopped; go on with --resume\n");
  return 130;
}

} // namespace

int main(int argc, char **argv) {
  traingpt::Options options;
  if (int code = traingpt::parseOptions(argc, argv, options); code >= 0)
    return code;
  try {
    return train(options);
  } catch (const std::exception &error) {
    fmt::print(stderr, "train_gpt: error: {}\n", error.what());
    return 1;
  }
}
