// Runs spec text on the emulated device and compares every value with the evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_SPEC_SPECHARNESS_H
#define FOURFOLD_TESTS_SPEC_SPECHARNESS_H

#include "fourfold/Fourfold.h"
#include "plan/Plan.h"

#include <string>
#include <vector>

namespace fourfold {
namespace tests {

/// What a run gave. `error` is empty if everything agrees with the evaluator; else the first message or the table of differences.
struct SpecRun {
  std::string error;
  std::vector<Tensor> outputs;
  int partsChecked = 0;
  plan::Plan plan;
  /// Contents of the plan's buffers.
  std::vector<std::vector<uint8_t>> buffers;
};

/// Where a spec runs: an emulated device, and how it sums where that has no FP4 tensor cores.
struct Place {
  std::string target = "sm_120a", mode;
};

/// Compiles for the target, runs on its emulated device, evaluates, compares.
SpecRun runSpec(const std::string &text, const std::vector<Tensor> &inputs, const Place &place = {});
/// The same without the evaluator, which is slow.
SpecRun runSpecUnchecked(const std::string &text, const std::vector<Tensor> &inputs, const Place &place);

/// The specs of a recipe's folder in the source tree, linked.
std::string linkedRecipe(const std::string &folder, const std::vector<std::string> &absent, bool distributed,
                         std::string *error);

/// A file of the source tree.
std::string readFile(const std::string &path);

/// An f32 tensor of zeros.
Tensor makeTensor(const std::string &name, std::vector<int64_t> shape);
/// A 0-d i64 tensor.
Tensor integerTensor(const std::string &name, int64_t value);
/// Roughly normal values with outliers around `mean`, rounded to the type; the same for the same seed on every machine.
Tensor randomTensor(const std::string &name, std::vector<int64_t> shape, ElementType type, uint32_t seed, float mean);
/// A linear congruential step; returns 24 random bits.
uint32_t nextRandom(uint32_t &state);
/// Element access, f32, bf16 or f16.
float element(const Tensor &tensor, int64_t index);
void setElement(Tensor &tensor, int64_t index, float value);

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_SPEC_SPECHARNESS_H
