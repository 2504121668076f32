// Launches with clusters, or of a cooperative grid, for tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_EMULATOR_CLUSTERLAUNCH_H
#define FOURFOLD_TESTS_EMULATOR_CLUSTERLAUNCH_H

#include "Harness.h"

#include <array>

namespace fourfold {
namespace emulator {
namespace test {

using Dims = std::array<unsigned, 3>;

struct Shape {
  Dims grid = {1, 1, 1}, block = {1, 1, 1}, cluster = {0, 0, 0}; // zeros: no attribute
  bool isCooperative = false;
  unsigned shared = 0;
};

template <class... Args>
CUresult launchShape(Device &device, const char *name, const Shape &shape, Args... args) {
  void *params[] = {&args..., nullptr};
  LaunchAttribute attributes[2];
  LaunchConfig config;
  std::copy_n(shape.grid.begin(), 3, config.grid);
  std::copy_n(shape.block.begin(), 3, config.block);
  config.sharedBytes = shape.shared;
  config.attributes = attributes;
  if (shape.cluster[0]) {
    attributes[config.numAttributes].id = kLaunchClusterDimension;
    std::copy_n(shape.cluster.begin(), 3, attributes[config.numAttributes++].value.clusterDim);
  }
  if (shape.isCooperative) {
    attributes[config.numAttributes].id = kLaunchCooperative;
    attributes[config.numAttributes++].value.number = 1;
  }
  return device.d.launchKernelEx(&config, device.function(name), params, nullptr);
}

} // namespace test
} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_TESTS_EMULATOR_CLUSTERLAUNCH_H
