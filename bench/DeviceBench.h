// What a device does: layers, kernels, and the ceilings they are measured against.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_BENCH_DEVICEBENCH_H
#define FOURFOLD_BENCH_DEVICEBENCH_H

#include <CLI/CLI.hpp>

namespace fourfold {
namespace bench {

/// Adds the subcommand `device`; its exit status lands in `*result`, which stays as it is without it.
void addDeviceBench(CLI::App &app, int *result);

} // namespace bench
} // namespace fourfold

#endif // FOURFOLD_BENCH_DEVICEBENCH_H
