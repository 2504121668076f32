// clusterlaunchcontrol: blocks that take over clusters of the grid that have not started.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_LAUNCHCONTROL_H
#define FOURFOLD_RUNTIME_EMULATOR_LAUNCHCONTROL_H

#include "Decoder.h"

#include <atomic>
#include <cstdint>

namespace fourfold {
namespace emulator {

/// The clusters of a launch that wait, in the order in which they start.
struct ClusterQueue {
  std::atomic<uint64_t> *next;
  uint64_t total; // clusters; 1 where the whole grid starts at once
  bool isDescending = false;

  /// The number of a cluster that has not started, which the caller starts or cancels; `total` if there is none.
  uint64_t take() const {
    uint64_t turn = (*next)++;
    return turn >= total ? total : isDescending ? total - 1 - turn : turn;
  }
};

/// Of the launch that this thread of the host works on.
void setClusterQueue(ClusterQueue *queue);

bool decodeLaunchControl(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_LAUNCHCONTROL_H
