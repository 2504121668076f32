// Checks of what a launch asks for beyond a grid of blocks: clusters, and blocks that all run at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Cluster.h"
#include "Device.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

std::string text(const unsigned *sizes) { return fmt::format("({}, {}, {})", sizes[0], sizes[1], sizes[2]); }

} // namespace

unsigned residentBlocks(const DeviceInfo &device, unsigned threads, unsigned sharedBytes) {
  // Threads, blocks and shared memory of a multiprocessor (CUDA C++ programming guide, compute capabilities). A block takes a KiB of shared
  // memory more than it asks for. Registers are not counted: how many ptxas would use is not known here.
  bool isSmall = device.major == 12;
  unsigned warps = (threads + kLanes - 1) / kLanes, mostThreads = isSmall ? 1536 : 2048, mostBlocks = isSmall ? 24 : 32;
  unsigned capacity = static_cast<unsigned>(device.sharedOptin) + 1024;
  return std::min({mostThreads / (warps * kLanes), mostBlocks, capacity / (sharedBytes + 1024)});
}

int checkClusters(const Context &context, const LoadedFunction &function, LaunchShape &shape, std::string &finding) {
  const Kernel &kernel = function.kernel;
  const DeviceInfo &device = kDevices[context.ordinal];
  auto refuse = [&](int code, const std::string &message) {
    finding = fmt::format("launch of '{}': {}", kernel.name, message);
    return code;
  };
  bool isGiven = shape.cluster[0] || shape.cluster[1] || shape.cluster[2], isRequired = kernel.requiredCluster[0];
  if (isGiven && device.major < 9)
    return refuse(device::kErrorNotSupported, fmt::format("{} has no clusters: sm_90 and later do", device.target));
  for (int i = 0; i < 3 && isGiven; ++i)
    if (!shape.cluster[i])
      return refuse(device::kErrorInvalidValue, fmt::format("a dimension of the cluster {} is 0", text(shape.cluster)));
  for (int i = 0; i < 3 && isGiven && isRequired; ++i)
    if (shape.cluster[i] != kernel.requiredCluster[i])
      return refuse(device::kErrorInvalidValue, fmt::format("cluster {} is not the .reqnctapercluster {} of the kernel", text(shape.cluster),
                                                            text(kernel.requiredCluster)));
  if (!isGiven && !isRequired && kernel.needsExplicitCluster)
    return refuse(device::kErrorInvalidClusterSize, "the kernel is .explicitcluster: the launch has to give a cluster dimension");
  shape.hasClusters = isGiven || isRequired;
  for (int i = 0; i < 3; ++i)
    shape.cluster[i] = isGiven ? shape.cluster[i] : isRequired ? kernel.requiredCluster[i] : 1;
  uint64_t size = uint64_t{shape.cluster[0]} * shape.cluster[1] * shape.cluster[2];
  uint64_t most = function.allowsLargeClusters ? kLargestCluster : kPortableCluster;
  if (kernel.maxClusterRank && size > kernel.maxClusterRank)
    return refuse(device::kErrorInvalidClusterSize,
                  fmt::format("cluster {} of {} blocks is above the .maxclusterrank of the kernel, {}", text(shape.cluster), size, kernel.maxClusterRank));
  if (size > most)
    return refuse(device::kErrorInvalidClusterSize,
                  fmt::format("cluster {} of {} blocks is above the limit: 8, or 16 after cuFuncSetAttribute(NON_PORTABLE_CLUSTER_SIZE_ALLOWED)",
                              text(shape.cluster), size));
  for (int i = 0; i < 3 && kernel.countsClusters; ++i)
    shape.grid[i] *= shape.cluster[i];
  for (int i = 0; i < 3; ++i)
    if (shape.grid[i] % shape.cluster[i])
      return refuse(device::kErrorInvalidValue,
                    fmt::format("grid {} is not a multiple of the cluster {}", text(shape.grid), text(shape.cluster)));
  if (!shape.isCooperative)
    return device::kSuccess;
  uint64_t blocks = uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2];
  unsigned each = residentBlocks(device, shape.block[0] * shape.block[1] * shape.block[2],
                                 kernel.staticSharedEnd - kSharedStart + shape.sharedBytes);
  if (blocks > uint64_t{each} * static_cast<unsigned>(device.smCount))
    return refuse(device::kErrorCooperativeLaunchTooLarge,
                  fmt::format("{} blocks of a cooperative launch do not run at once: {} multiprocessors take {} each", blocks, device.smCount, each));
  return device::kSuccess;
}

} // namespace emulator
} // namespace fourfold
