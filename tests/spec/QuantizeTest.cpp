// Quantization by different kernels: one read for both directions, square blocks, stochastic rounding, traffic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Numerics.h"
#include "runtime/emulator/Emulator.h"
#include "tests/spec/SpecHarness.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

constexpr const char *kTypes[] = {"f8E4M3FN", "f8E8M0FNU"};

/// block_scale, quantize and dequantize of %x as %q<axis>, %v<axis>.
std::string direction(const std::string &format, const std::string &block, int axis, const std::string &rounding) {
  std::string a = std::to_string(axis), scale = kTypes[format == "mxfp4"];
  bool isNVFP4 = format == "nvfp4";
  std::string type = "!fp4.quantized<?x?, " + format + ", block = " + block + ", axis = " + a + ">";
  return "%s" + a + (isNVFP4 ? ", %a" + a : "") + " = fp4.block_scale %x " + format + " block = " + block + " axis = " + a +
         " : tensor<?x?xf32> -> tensor<?x?x" + scale + ">" + (isNVFP4 ? ", tensor<f32>" : "") + "\n%q" + a +
         " = fp4.quantize %x scales(%s" + a + " : tensor<?x?x" + scale + ">)" + (isNVFP4 ? " amax(%a" + a + ")" : "") +
         rounding + " : tensor<?x?xf32> -> " + type + "\n%v" + a + " = fp4.dequantize %q" + a + " : " + type +
         " -> tensor<?x?xf32>\n";
}

std::string quantizeSpec(const std::string &body, const std::vector<std::string> &results) {
  std::string values, types;
  for (const std::string &result : results) {
    values += (values.empty() ? "%" : ", %") + result;
    types += (types.empty() ? "" : ", ") + std::string("tensor<?x?xf32>");
  }
  return "func.func @f(%x: tensor<?x?xf32>, %seed: tensor<i64>, %offset: tensor<i64>) -> (" + types + ") {\n" + body +
         "return " + values + " : " + types + "\n}";
}

const char kStochastic[] = " stochastic seed(%seed) offset(%offset)";

/// The bytes of a buffer of the run.
const std::vector<uint8_t> &bytesOf(const SpecRun &run, const std::string &name) {
  for (size_t i = 0; i < run.plan.buffers.size(); ++i)
    if (run.plan.buffers[i].name == name)
      return run.buffers[i];
  static const std::vector<uint8_t> none;
  return none;
}

/// The kernel along rows and the one through shared memory tile a tensor differently: same seed, same codes.
TEST(QuantizeKernels, TileShapesDrawTheSameBits) {
  for (const char *format : {"nvfp4", "mxfp4"}) {
    std::string block = std::string(format) == "nvfp4" ? "1x16" : "1x32";
    std::vector<Tensor> inputs = {randomTensor("x", {203, 170}, ElementType::F32, 3, 0.25f), integerTensor("seed", 99),
                                  integerTensor("offset", 12)};
    SpecRun rows = runSpec(quantizeSpec(direction(format, block, 1, kStochastic), {"v1"}), inputs);
    SpecRun both = runSpec(
        quantizeSpec(direction(format, block, 1, kStochastic) + direction(format, block, 0, kStochastic), {"v1", "v0"}),
        inputs);
    ASSERT_EQ(rows.error, "");
    ASSERT_EQ(both.error, "");
    EXPECT_FALSE(bytesOf(rows, "q1.codes").empty());
    EXPECT_EQ(bytesOf(rows, "q1.codes"), bytesOf(both, "q1.codes")) << format;
    EXPECT_EQ(bytesOf(rows, "q1.scales"), bytesOf(both, "q1.scales")) << format;
  }
}

TEST(QuantizeKernels, SquareBlocksDecodeToTheSameValuesBothWays) {
  std::vector<Tensor> inputs = {randomTensor("x", {150, 91}, ElementType::F32, 5, 0.0f), integerTensor("seed", 0),
                                integerTensor("offset", 0)};
  SpecRun run = runSpec(
      quantizeSpec(direction("nvfp4", "16x16", 1, "") + direction("nvfp4", "16x16", 0, ""), {"v1", "v0"}), inputs);
  ASSERT_EQ(run.error, "");
  EXPECT_EQ(run.outputs[0].bytes, run.outputs[1].bytes);
  // One launch wrote both.
  int quantizations = 0;
  for (const plan::Launch &launch : run.plan.launches)
    quantizations += launch.label.find("quantize") == 0;
  EXPECT_EQ(quantizations, 1);
}

/// The mean over seeds of what the device rounds to is the value, within four standard deviations, in every interval of codes.
TEST(QuantizeKernels, StochasticRoundingIsUnbiasedOnTheDevice) {
  constexpr int kColumns = 16 * 16, kOffsets = 400;
  // A second row holds the tensor's amax: S is 256, blocks with amax 6 have the scale 256, and codes stand for the values themselves.
  Tensor x = makeTensor("x", {2, kColumns});
  std::vector<float> values;
  for (int i = 0; i < kColumns; ++i) {
    static const float ends[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    int interval = i % 7;
    float fraction = static_cast<float>(i / 7 % 15 + 1) / 16.0f;
    float value = i % 16 == 0 ? 6.0f : ends[interval] + fraction * (ends[interval + 1] - ends[interval]);
    values.push_back(i % 3 ? value : -value);
    setElement(x, i, values.back());
  }
  setElement(x, kColumns, 10.5f);
  std::string text = quantizeSpec(direction("nvfp4", "1x16", 1, kStochastic), {"v1"});
  std::vector<double> sums(kColumns), squares(kColumns);
  for (int offset = 0; offset < kOffsets; ++offset) {
    SpecRun run = runSpec(text, {x, integerTensor("seed", 17), integerTensor("offset", offset)});
    ASSERT_EQ(run.error, "");
    for (int i = 0; i < kColumns; ++i) {
      double value = element(run.outputs[0], i);
      sums[i] += value;
      squares[i] += value * value;
    }
  }
  for (int i = 0; i < kColumns; ++i) {
    double mean = sums[i] / kOffsets, variance = squares[i] / kOffsets - mean * mean;
    // Random bits have 16 places: the probability is that much off at most.
    EXPECT_LE(std::fabs(mean - values[i]), 4 * std::sqrt(variance / kOffsets) + 2.0 / 65536) << i << ": " << values[i];
  }
}

/// Streams and both directions draw bits of their own.
TEST(QuantizeKernels, StreamsDiffer) {
  Tensor x = makeTensor("x", {16, 16});
  for (int64_t i = 0; i < 256; ++i)
    setElement(x, i, i % 17 == 0 ? 6.0f : 2.5f);
  std::vector<Tensor> inputs = {x, integerTensor("seed", 1), integerTensor("offset", 2)};
  SpecRun one = runSpec(quantizeSpec(direction("nvfp4", "1x16", 1, kStochastic), {"v1"}), inputs);
  SpecRun other = runSpec(
      quantizeSpec(direction("nvfp4", "1x16", 1, std::string(kStochastic) + " stream = 3"), {"v1"}), inputs);
  ASSERT_EQ(one.error, "");
  ASSERT_EQ(other.error, "");
  EXPECT_NE(one.outputs[0].bytes, other.outputs[0].bytes);
}

/// Bytes that the launches of a recipe's forward phase that read X ask for, less what is not X: fp32 means and tensor amaxes.
uint64_t bytesOfXRead(const std::string &recipe, int64_t tokens, int64_t in, int *launches) {
  std::string error, text = linkedRecipe("kernels_spec/" + recipe, {"mask", "dw_in", "bias"}, false, &error);
  EXPECT_EQ(error, "");
  std::vector<Tensor> inputs = {randomTensor("x", {tokens, in}, ElementType::BF16, 1, 0.5f),
                                randomTensor("w", {64, in}, ElementType::BF16, 2, 0.0f),
                                randomTensor("d", {tokens, 64}, ElementType::BF16, 3, 0.0f), integerTensor("seed", 0),
                                integerTensor("offset", 0)};
  emulator::resetCounters();
  SpecRun run = runSpec(text, inputs);
  EXPECT_EQ(run.error, "");
  std::vector<emulator::KernelRecord> records = emulator::kernelRecords();
  uint64_t bytes = 0;
  size_t record = 0;
  *launches = 0;
  for (const plan::Launch &launch : run.plan.launches) {
    if (launch.kind != plan::Launch::Kind::Kernel)
      continue;
    EXPECT_LT(record, records.size());
    const emulator::KernelRecord &kernel = records[record++];
    auto reads = [&](const char *name) {
      for (const plan::Argument &argument : launch.args)
        if (argument.kind == plan::Argument::Kind::Pointer && run.plan.buffers[argument.buffer].name == name)
          return true;
      return false;
    };
    if (!reads("x"))
      continue;
    ++*launches;
    // An atomic maximum, by one lane, reads its four bytes too.
    uint64_t threads = kernel.counters.blocks * 256, other = kernel.counters[emulator::InstrClass::Atomic] * 4;
    bool quantizes = launch.label.find("quantize") == 0;
    if (quantizes && reads("mu"))
      other += static_cast<uint64_t>(tokens * in) * 4; // a mean for each element
    if (quantizes)
      other += threads * 4 * 2; // both directions' tensor amax, a thread
    bytes += kernel.counters.globalBytesRead - other;
  }
  return bytes;
}

TEST(Traffic, CentredQuantizationReadsItsSourceAsOftenAsPlain) {
  constexpr int64_t kTokens = 256, kIn = 384;
  int launches;
  EXPECT_EQ(bytesOfXRead("nvfp4", kTokens, kIn, &launches), 2u * kTokens * kIn * 2);
  EXPECT_EQ(launches, 2);
  EXPECT_EQ(bytesOfXRead("averis", kTokens, kIn, &launches), 2u * kTokens * kIn * 2);
  EXPECT_EQ(launches, 2);
}

} // namespace
