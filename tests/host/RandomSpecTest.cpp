// Specs put together at random, on odd shapes: every value the evaluator's, bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/dialect/SpecRunner.h"
#include "tests/host/SpecMaker.h"

#include <gtest/gtest.h>

#include <random>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

OwnedTensor numbers(const std::string &type, std::vector<int64_t> shape, uint32_t seed, bool nonFinite) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values;
  int64_t size = 1;
  for (int64_t extent : shape)
    size *= extent;
  for (int64_t i = 0; i < size; ++i) {
    float value = normal(random) * (random() % 40 ? 1.0f : 30.0f);
    if (nonFinite && random() % 500 == 0)
      value = random() % 2 ? -INFINITY : NAN;
    values.push_back(random() % 50 ? value : -0.0f);
  }
  return type == "bf16" ? bf16(shape, values) : type == "f16" ? f16(shape, values) : f32(shape, values);
}

class RandomSpec : public ::testing::TestWithParam<uint32_t> {};

TEST_P(RandomSpec, EveryValueIsTheEvaluators) {
  SpecMaker maker(GetParam());
  std::string text = maker.make();
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {70, 300}, {150, 16}}) {
    uint32_t seed = GetParam() * 7 + static_cast<uint32_t>(rows);
    std::vector<int8_t> mask;
    for (int64_t i = 0; i < rows; ++i)
      mask.push_back(static_cast<int8_t>(i % 4 != 2));
    Outcome outcome = runSpec(text,
                              {{"x", numbers(maker.type, {rows, columns}, seed, GetParam() % 3 == 0)},
                               {"mask", ownedTensor("i8", {rows}, mask)},
                               {"row", numbers("bf16", {columns}, seed + 1, false)},
                               {"col", numbers("f32", {rows}, seed + 2, false)},
                               {"seed", ownedTensor("i64", {}, std::vector<int64_t>{seed})},
                               {"offset", ownedTensor("i64", {}, std::vector<int64_t>{int64_t(seed) << 33})}},
                              /*intermediates=*/true);
    ASSERT_TRUE(outcome.ok) << outcome.errors << "\n" << text;
    if (HasFailure())
      FAIL() << rows << "x" << columns << "\n" << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSpec, ::testing::Range(0u, 60u));

} // namespace
