// Work in tasks whose number depends on the data alone, so that results do not depend on the number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_PARALLEL_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_PARALLEL_H

#include <algorithm>
#include <cstdint>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

namespace traingpt {

/// Calls task(i) for i in [0, count), in any order, on any threads. Tasks must write disjoint memory.
template <typename TaskFn> void parallelTasks(int64_t count, TaskFn task) {
  if (count == 1)
    return task(int64_t{0});
  tbb::parallel_for(
      tbb::blocked_range<int64_t>(0, count, 1),
      [&](const tbb::blocked_range<int64_t> &range) {
        for (int64_t i = range.begin(); i < range.end(); ++i)
          task(i);
      },
      tbb::simple_partitioner());
}

/// Calls body(begin, end) for consecutive chunks of at most `chunk` of [0, count).
template <typename BodyFn> void parallelChunks(int64_t count, int64_t chunk, BodyFn body) {
  parallelTasks((count + chunk - 1) / chunk,
                [&](int64_t i) { body(i * chunk, std::min(count, (i + 1) * chunk)); });
}

/// Tokens that one task of a row-wise operation takes.
inline constexpr int64_t kRowsPerTask = 128;

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_PARALLEL_H
