// Compares what a device computed with the reference evaluator, buffer by buffer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_CHECK_H
#define FOURFOLD_RUNTIME_TOOLS_CHECK_H

#include "fourfold/Fourfold.h"
#include "plan/Plan.h"

#include <nlohmann/json_fwd.hpp>

namespace fourfold {
namespace tools {

/// The verdict on one part of one value.
struct CheckedPart {
  std::string value;
  /// "tensor", "codes", "scales" or "amax".
  std::string part;
  int64_t elements = 0, mismatches = 0;
  /// Elements that the evaluator cannot pin down: rounded from a result of a matmul.
  int64_t unbounded = 0;
  double maxError = 0;
  /// The largest bound that was used; negative if every element had to be bit-equal.
  double bound = -1;
  /// The first element that differs, and both values; or why nothing could be compared.
  std::string detail;
  /// Why there was nothing to compare with: what CUDA C++ computes has no reference. Never counted as equal.
  std::string notChecked;

  bool passed() const { return mismatches == 0 && detail.empty(); }
};

/// Compares every buffer that holds a value of the spec. `buffers` are the bytes of the plan's, by index; `inputs` are
/// what was passed in, which must not have changed.
std::vector<CheckedPart> check(const plan::Plan &plan, const std::vector<std::vector<uint8_t>> &buffers,
                               const std::vector<Tensor> &inputs, const std::vector<EvaluatedValue> &values);

bool allPassed(const std::vector<CheckedPart> &parts);
/// A table for people.
std::string checkTable(const std::vector<CheckedPart> &parts);
nlohmann::ordered_json checkJson(const std::vector<CheckedPart> &parts);

} // namespace tools
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_CHECK_H
