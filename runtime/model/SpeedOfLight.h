// The least time that a GPU needs for what a launch was counted to do, and which part of it that is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_MODEL_SPEEDOFLIGHT_H
#define FOURFOLD_RUNTIME_MODEL_SPEEDOFLIGHT_H

#include "runtime/emulator/Counters.h"
#include "runtime/model/Occupancy.h"

#include <string>
#include <vector>

namespace fourfold {
namespace model {

/// One bound: what it would take if nothing else took time.
struct Term {
  std::string name;   // "tensor"
  double seconds = 0;
  std::string detail; // "fp4: 134217728 operations at 1676 T/s"
};

struct Estimate {
  std::vector<Term> terms; // of which there is work, the longest first
  double seconds = 0;      // of the longest: all overlap perfectly
  double matrixOperations = 0; // of MMAs, all kinds
  double memoryBytes = 0;      // of the footprint
  std::string binds() const { return terms.empty() ? "nothing" : terms[0].name; }
  double operationsASecond() const { return seconds > 0 ? matrixOperations / seconds : 0; }
  double bytesASecond() const { return seconds > 0 ? memoryBytes / seconds : 0; }
};

/// The terms of issue, each pipe, tensor cores, shared memory, L2 and memory. InvalidArgument: the counters have MMAs of a kind that the GPU
/// does not have.
Status estimate(const Gpu &gpu, const emulator::Counters &counters, const Occupancy &occupancy, Estimate *result);

} // namespace model
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_MODEL_SPEEDOFLIGHT_H
