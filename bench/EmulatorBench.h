// What checking costs: the emulated device's rates by check level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_BENCH_EMULATORBENCH_H
#define FOURFOLD_BENCH_EMULATORBENCH_H

#include <CLI/CLI.hpp>

namespace fourfold {
namespace bench {

/// Adds the subcommand `emulator`; its exit status lands in `*result`, which stays as it is without it.
void addEmulatorBench(CLI::App &app, int *result);

} // namespace bench
} // namespace fourfold

#endif // FOURFOLD_BENCH_EMULATORBENCH_H
