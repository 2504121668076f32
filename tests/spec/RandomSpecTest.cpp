// Specs put together at random, compiled for every target: each value that a kernel writes is the evaluator's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/host/SpecMaker.h"
#include "tests/spec/SpecHarness.h"

#include <gtest/gtest.h>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

class RandomSpec : public ::testing::TestWithParam<uint32_t> {};

TEST_P(RandomSpec, EveryTargetAgreesWithTheEvaluator) {
  const Place places[] = {{"sm_120a", ""}, {"sm_80", "fast"}, {"sm_90a", "fast"}, {"sm_80", "faithful"}, {"sm_90a", "faithful"}};
  SpecMaker maker(GetParam());
  std::string text = maker.make();
  ElementType type = maker.type == "bf16" ? ElementType::BF16 : maker.type == "f16" ? ElementType::F16 : ElementType::F32;
  // One place a seed besides sm_120a: compiling takes longest.
  for (const Place &place : {places[0], places[1 + GetParam() % 4]})
    for (auto [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {130, 70}}) {
      uint32_t seed = GetParam() * 7 + static_cast<uint32_t>(rows);
      Tensor mask;
      mask.name = "mask";
      mask.type = ElementType::I8;
      mask.shape = {rows};
      for (int64_t i = 0; i < rows; ++i)
        mask.bytes.push_back(i % 4 != 2);
      SpecRun run = runSpec(text,
                            {randomTensor("x", {rows, columns}, type, seed, 0.5f), mask,
                             randomTensor("row", {columns}, ElementType::BF16, seed + 1, 0.0f),
                             randomTensor("col", {rows}, ElementType::F32, seed + 2, 0.0f), integerTensor("seed", seed),
                             integerTensor("offset", int64_t{seed} << 33)},
                            place);
      ASSERT_EQ(run.error, "") << place.target << " " << place.mode << " " << rows << "x" << columns << "\n" << text;
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSpec, ::testing::Range(100u, 106u));

} // namespace
