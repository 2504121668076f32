// Work shared between the cores of the host; results never depend on how.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_HOST_PARALLEL_H
#define FOURFOLD_COMPILER_HOST_PARALLEL_H

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <cstdint>

namespace fourfold {
namespace host {

/// Calls `work(index)` for each of `count` tasks, of which at least `grain` are worth a thread.
template <typename Work>
void parallelFor(int64_t count, int64_t grain, const Work &work) {
  if (count <= grain) {
    for (int64_t i = 0; i < count; ++i)
      work(i);
    return;
  }
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, count, static_cast<size_t>(grain)), [&](const auto &range) {
    for (int64_t i = range.begin(); i != range.end(); ++i)
      work(i);
  });
}

/// How many tasks of `elements` elements each are worth a thread.
inline int64_t grainFor(int64_t elements) { return elements <= 0 || elements >= 16384 ? 1 : 16384 / elements; }

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_PARALLEL_H
