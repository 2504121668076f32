// --check must see every single wrong nibble, byte and bit, padding included.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/Check.h"
#include "dialect/Numerics.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstring>
#include <limits>

using namespace fourfold;
using namespace fourfold::tools;

namespace {

/// A value of 130 rows by 70 (5 blocks of 16, the last ragged), as the evaluator reports it and as a device stores it.
struct Quantized {
  static constexpr int64_t kRows = 130, kK = 70, kBlocks = 5;
  plan::Plan plan;
  std::vector<std::vector<uint8_t>> buffers;
  std::vector<Tensor> inputs;
  std::vector<EvaluatedValue> values;

  Quantized() {
    plan.buffers.resize(3);
    for (auto part : {plan::Contents::Part::Codes, plan::Contents::Part::Scales, plan::Contents::Part::Amax}) {
      plan::Contents &contents = plan.buffers[static_cast<size_t>(part) - 1].contents;
      contents.value = "q";
      contents.part = part;
      contents.rows = kRows;
      contents.k = kK;
      contents.blockSize = 16;
    }
    int64_t pitch = numerics::codesPitch(kK);
    buffers = {std::vector<uint8_t>(static_cast<size_t>(kRows * pitch), 0),
               std::vector<uint8_t>(static_cast<size_t>(numerics::scaleBytes(kRows, kK, 16)), 0),
               {0, 0, 0x80, 0x3f}};
    EvaluatedValue codes{"codes", {"q", ElementType::I8, {kRows, kK}, {}}, {}, {}};
    EvaluatedValue scales{"scales", {"q", ElementType::I8, {kRows, kBlocks}, {}}, {}, {}};
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t k = 0; k < kK; ++k) {
        uint8_t code = static_cast<uint8_t>((row * 7 + k * 3) & 15);
        codes.tensor.bytes.push_back(code);
        buffers[0][static_cast<size_t>(row * pitch + k / 2)] |= static_cast<uint8_t>(k & 1 ? code << 4 : code);
      }
      for (int64_t block = 0; block < kBlocks; ++block) {
        uint8_t scale = static_cast<uint8_t>(1 + row + block);
        scales.tensor.bytes.push_back(scale);
        buffers[1][static_cast<size_t>(numerics::scaleTileOffset(row, block, numerics::scaleTilesK(kK, 16)))] = scale;
      }
    }
    values = {codes, scales, {"amax", {"q", ElementType::F32, {}, buffers[2]}, {}, {}}};
  }
  bool passes() const { return allPassed(check(plan, buffers, inputs, values)); }
};

EvaluatedValue floatsOf(std::vector<float> values, std::vector<float> bound) {
  EvaluatedValue value{"tensor", {"y", ElementType::F32, {static_cast<int64_t>(values.size())}, {}}, std::move(bound), {}};
  value.tensor.bytes.resize(values.size() * 4);
  std::memcpy(value.tensor.bytes.data(), values.data(), value.tensor.bytes.size());
  return value;
}

CheckedPart compare(std::vector<float> device, const EvaluatedValue &reference) {
  plan::Plan plan;
  plan.buffers.resize(1);
  plan.buffers[0].contents.value = "y";
  std::vector<CheckedPart> parts = check(plan, {floatsOf(std::move(device), {}).tensor.bytes}, {}, {reference});
  EXPECT_EQ(parts.size(), 1u);
  return parts[0];
}

} // namespace

TEST(Check, EqualValuesPass) {
  Quantized value;
  std::vector<CheckedPart> parts = check(value.plan, value.buffers, {}, value.values);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].elements, 130 * 70);
  EXPECT_EQ(parts[1].elements, 130 * 5);
  EXPECT_EQ(parts[2].elements, 1);
  EXPECT_TRUE(allPassed(parts)) << checkTable(parts);
}

/// A value without a reference is named with the reason, and proves nothing.
TEST(Check, WhatHasNoReferenceIsNeverEqual) {
  EvaluatedValue unknown = floatsOf({1, 2}, {});
  unknown.unchecked = "it depends on 'gelu'";
  CheckedPart part = compare({3, 4}, unknown);
  EXPECT_EQ(part.notChecked, "it depends on 'gelu'");
  EXPECT_EQ(part.elements, 0);
  EXPECT_FALSE(allPassed({part}));
  CheckedPart equal = compare({1, 2}, floatsOf({1, 2}, {}));
  EXPECT_TRUE(allPassed({equal, part}));
  EXPECT_NE(checkTable({equal, part}).find("y      tensor  not checked: it depends on 'gelu'\n"
                                           "check passed: 1 parts agree with the evaluator, 1 not checked\n"),
            std::string::npos)
      << checkTable({equal, part});
  EXPECT_EQ(checkJson({part})["values"][0]["bitEqual"], false);
  EXPECT_EQ(checkJson({part})["values"][0]["notChecked"], "it depends on 'gelu'");
}

TEST(Check, EveryFlippedBitOfCodesScalesAndAmaxFails) {
  Quantized value;
  for (std::vector<uint8_t> &buffer : value.buffers)
    for (size_t i = 0; i<buffer.size(); i += buffer.size()> 4 ? 37 : 1)
      for (int bit : {0, 3, 4, 7}) {
        uint8_t saved = buffer[i];
        buffer[i] = static_cast<uint8_t>(saved ^ (1 << bit));
        ASSERT_FALSE(value.passes()) << "byte " << i << " bit " << bit;
        buffer[i] = saved;
      }
  EXPECT_TRUE(value.passes());
}

TEST(Check, TheFirstMismatchIsNamedWithBothValues) {
  Quantized value;
  value.buffers[1][static_cast<size_t>(numerics::scaleTileOffset(129, 4, 2))] = 0x11;
  CheckedPart part = check(value.plan, value.buffers, {}, value.values)[1];
  EXPECT_EQ(part.mismatches, 1);
  EXPECT_EQ(part.detail, "first at [129, 4]: device 0x11, evaluator 0x86");
  value = Quantized();
  value.buffers[1][static_cast<size_t>(numerics::scaleTileOffset(130, 0, 2))] = 0x11;
  EXPECT_EQ(check(value.plan, value.buffers, {}, value.values)[1].detail,
            "first at [130, 0] (padding): device 0x11, evaluator 0x00");
}

TEST(Check, SizesAndShapesThatDisagreeFail) {
  Quantized value;
  value.values[0].tensor.shape = {70, 130};
  EXPECT_FALSE(value.passes());
  value = Quantized();
  value.buffers[0].pop_back();
  EXPECT_FALSE(value.passes());
  value = Quantized();
  value.values.pop_back();
  EXPECT_EQ(check(value.plan, value.buffers, {}, value.values)[2].detail, "the evaluator did not report this value");
  EXPECT_FALSE(allPassed({}));
}

TEST(Check, TensorsAreBitEqualUnlessThereIsABound) {
  float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(compare({1, nan, inf}, floatsOf({1, -nan, inf}, {})).passed());
  EXPECT_FALSE(compare({1, 0.0f}, floatsOf({1, -0.0f}, {})).passed());
  EXPECT_FALSE(compare({std::nextafterf(1, 2)}, floatsOf({1}, {})).passed());
  EXPECT_TRUE(compare({1.5f, 2}, floatsOf({1, 2}, {0.5f, 0})).passed());
  EXPECT_FALSE(compare({1.5001f, 2}, floatsOf({1, 2}, {0.5f, 0})).passed());
  EXPECT_FALSE(compare({nan}, floatsOf({1}, {0.5f})).passed());
  EXPECT_FALSE(compare({1}, floatsOf({nan}, {0.5f})).passed());
  EXPECT_FALSE(compare({1}, floatsOf({inf}, {0.5f})).passed());
  CheckedPart part = compare({3, 2}, floatsOf({1, 2}, {inf, 0}));
  EXPECT_TRUE(part.passed());
  EXPECT_EQ(part.unbounded, 1);
  CheckedPart off = compare({1.75f, 5}, floatsOf({1, 2}, {0.5f, 0.25f}));
  EXPECT_EQ(off.mismatches, 2);
  EXPECT_EQ(off.maxError, 3);
  EXPECT_EQ(off.bound, 0.5);
  EXPECT_EQ(off.detail, "first at [0]: device 1.75 (0x3fe00000), evaluator 1 (0x3f800000)");
}
