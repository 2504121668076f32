// How many blocks of a kernel a multiprocessor holds at a time, and in how many waves a grid goes through.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_MODEL_OCCUPANCY_H
#define FOURFOLD_RUNTIME_MODEL_OCCUPANCY_H

#include "runtime/model/Gpu.h"

namespace fourfold {
namespace model {

struct LaunchShape {
  uint64_t blocks = 1;
  unsigned threads = 32;    // of a block
  unsigned sharedBytes = 0; // of a block, static and dynamic
  unsigned registers = 0;   // of a thread; 0: not known, and no limit
};

struct Occupancy {
  unsigned byWarps = 0, byBlocks = 0, byShared = 0, byRegisters = 0; // blocks; byRegisters 0: not known
  unsigned blocks = 0;                                              // the least of them
  const char *limit = "";                                           // "registers"
  unsigned warps = 0;                                               // resident
  double fraction = 0;                                              // of the most warps
  uint64_t waves = 0;
  double tail = 0;          // how full the last wave is
  uint64_t busiest = 0;     // blocks that one multiprocessor gets at least
  double used = 0;          // multiprocessors that are at work on average until the last block ends
};

/// Of blocks that all take the same time. `blocks` is 0 where not even one fits.
Occupancy occupancyOf(const Gpu &gpu, const LaunchShape &launch);

} // namespace model
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_MODEL_OCCUPANCY_H
