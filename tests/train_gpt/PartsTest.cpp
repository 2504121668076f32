// The trainer's parts: tokenizer, data, schedule, checkpoint, metrics, health.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialect/Numerics.h"
#include "examples/train_gpt/Checkpoint.h"
#include "examples/train_gpt/Curves.h"
#include "examples/train_gpt/Data.h"
#include "examples/train_gpt/Files.h"
#include "examples/train_gpt/Health.h"
#include "examples/train_gpt/Kernels.h"
#include "examples/train_gpt/Metrics.h"
#include "examples/train_gpt/Optimizer.h"

#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace traingpt;

namespace {

const std::string kText = std::string(FOURFOLD_SOURCE_DIR) + "/tests/data/genesis.txt";

/// A folder of this test alone, removed at its end.
struct Folder {
  std::string path;
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "train_gpt.XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char *name) const { return path + "/" + name; }
};

template <typename Fn> std::string messageOf(Fn fn) {
  try {
    fn();
  } catch (const std::runtime_error &error) {
    return error.what();
  }
  return "";
}

TEST(Tokenizer, MergesTheMostFrequentPairFirst) {
  Tokenizer tokenizer = Tokenizer::train("abab abab abx cd cd", 258);
  // "ab" occurs five times; then four pairs twice each, of which (" ", "c") is the smallest.
  EXPECT_EQ(tokenizer.encode("ab"), (std::vector<uint16_t>{256}));
  EXPECT_EQ(tokenizer.encode(" cd"), (std::vector<uint16_t>{257, 'd'}));
}

TEST(Tokenizer, RoundTripsAnyBytes) {
  std::string text = readFile(kText);
  Tokenizer tokenizer = Tokenizer::train(text, 400);
  std::string bytes = "caf\xc3\xa9 \xff\x01  two  blanks\n";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes);
  EXPECT_LT(tokenizer.encode(text).size(), text.size() / 2);
  Tokenizer again = Tokenizer::deserialize(tokenizer.serialize());
  EXPECT_EQ(again.encode(text), tokenizer.encode(text));
  EXPECT_NE(messageOf([] { Tokenizer::deserialize("fourfold-bpe 1\n1\n300 2\n"); }), "");
}

TEST(Data, HoldsOutATenthAndShiftsTargetsByOne) {
  Data data(kText, 256, 32, "");
  std::string text = readFile(kText);
  EXPECT_EQ(data.training.size() + data.validation.size(), text.size());
  EXPECT_EQ(data.tokenizer.decode(data.validation), text.substr(text.size() - text.size() / 10));
  Batch batch = data.trainingBatch(3, 10, 4);
  for (int64_t i = 0; i + 1 < 32; ++i)
    EXPECT_EQ(batch.targets[static_cast<size_t>(i)], batch.ids[static_cast<size_t>(i + 1)]);
  // A sequence depends on its index, not on the batch that it comes in.
  Batch later = data.trainingBatch(3, 12, 2);
  EXPECT_TRUE(std::equal(later.ids.begin(), later.ids.end(), batch.ids.begin() + 64));
  EXPECT_NE(data.trainingBatch(4, 10, 4).ids, batch.ids);
}

TEST(Data, CachedTokenizerIsOfTheSameTextAndVocabulary) {
  Folder folder;
  Data first(kText, 300, 32, folder / "bpe");
  Data second(kText, 320, 32, folder / "bpe");
  EXPECT_EQ(first.tokenizer.vocabulary(), 300);
  EXPECT_EQ(second.tokenizer.vocabulary(), 320);
  EXPECT_NE(messageOf([&] { Data(kText, 300, 2000, ""); }).find("too short"), std::string::npos);
}

TEST(Optimizer, ScheduleWarmsUpAndDecays) {
  OptimizerSettings settings;
  settings.learningRate = 1.0;
  settings.warmup = 10;
  settings.steps = 110;
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 1), 0.1);
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 10), 1.0);
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 60), 0.55);
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 110), 0.1);
}

TEST(Optimizer, FirstStepIsTheLearningRate) {
  ParameterList list;
  Parameter &decaying = addParameter(list, "a", 1, 20, true), &other = addParameter(list, "b", 1, 20, false);
  for (size_t i = 0; i < 20; ++i) {
    decaying.value[i] = other.value[i] = 1.0f;
    decaying.grad[i] = other.grad[i] = i % 2 ? 3.0f : -2.0f;
  }
  OptimizerSettings settings;
  settings.learningRate = 0.01;
  settings.warmup = 0;
  settings.minimumShare = 1.0;
  settings.clip = 0.0;
  adamwStep(list, settings, 1, gradientNorm(list));
  for (size_t i = 0; i < 20; ++i) {
    float moved = i % 2 ? 1.0f - 0.01f : 1.0f + 0.01f;
    EXPECT_NEAR(other.value[i], moved, 1e-6f);
    EXPECT_NEAR(decaying.value[i], moved - 0.01f * 0.1f, 1e-6f);
  }
  EXPECT_NEAR(gradientNorm(list), std::sqrt(20 * (9.0 + 4.0)), 1e-5);
}

struct Saved {
  Folder folder;
  ParameterList parameters;
  nlohmann::json identity = {{"seed", 1}, {"recipe", "bf16"}};
  Saved() {
    Parameter &p = addParameter(parameters, "w", 3, 5, true);
    for (size_t i = 0; i < 15; ++i) {
      p.value[i] = static_cast<float>(i);
      p.m[i] = 0.5f;
      p.v[i] = 0.25f;
    }
    saveCheckpoint(folder / "c", identity, {42, 1.5}, parameters);
  }
  std::string loadMessage(const nlohmann::json &asked) {
    ParameterList other;
    addParameter(other, "w", 3, 5, true);
    std::string message = messageOf([&] { loadCheckpoint(folder / "c", asked, other); });
    EXPECT_EQ(other[0]->value[7], 0.0f) << "a refused checkpoint must change nothing";
    return message;
  }
};

TEST(Checkpoint, ComesBack) {
  Saved saved;
  ParameterList other;
  addParameter(other, "w", 3, 5, true);
  RunState state = loadCheckpoint(saved.folder / "c", saved.identity, other);
  EXPECT_EQ(state.step, 42);
  EXPECT_EQ(state.seconds, 1.5);
  EXPECT_EQ(other[0]->value, saved.parameters[0]->value);
  EXPECT_EQ(other[0]->m, saved.parameters[0]->m);
  EXPECT_EQ(other[0]->v, saved.parameters[0]->v);
  EXPECT_FALSE(std::filesystem::exists(saved.folder / "c.new"));
}

TEST(Checkpoint, RefusesWhatIsDamagedOrForeign) {
  Saved saved;
  std::string bytes = readFile(saved.folder / "c");
  for (size_t size : {bytes.size() - 1, bytes.size() / 2, size_t{20}, size_t{12}, size_t{8}}) {
    replaceFile(saved.folder / "c", bytes.substr(0, size));
    EXPECT_NE(saved.loadMessage(saved.identity).find("truncated or damaged"), std::string::npos) << size;
  }
  for (size_t position : {size_t{9}, size_t{17}, size_t{30}, bytes.size() - 5}) {
    std::string flipped = bytes;
    flipped[position] = static_cast<char>(flipped[position] ^ 0x40);
    replaceFile(saved.folder / "c", flipped);
    EXPECT_NE(saved.loadMessage(saved.identity).find("truncated or damaged"), std::string::npos) << position;
  }
  replaceFile(saved.folder / "c", "PK\x03\x04 something else");
  EXPECT_NE(saved.loadMessage(saved.identity).find("is not a checkpoint"), std::string::npos);
  replaceFile(saved.folder / "c", bytes);
  EXPECT_NE(saved.loadMessage({{"seed", 2}, {"recipe", "bf16"}}).find("seed = 1, and now it is 2"), std::string::npos);
}

TEST(Metrics, RowsPastTheCheckpointGo) {
  Folder folder;
  replaceFile(folder / "m", std::string(kMetricsHeader) + "\n1,10,5.5,,0.1,1,0.1\n2,20,5.25,5.5,0.1,1,0.2\n3,30,5,,0.1,1,0.3\n4,4");
  CsvFile(folder / "m", kMetricsHeader, 2).append("3,30,4.5,,0.1,1,0.9");
  std::vector<MetricsRow> rows = readMetrics(folder / "m");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].validationLoss, 5.5);
  EXPECT_TRUE(std::isnan(rows[0].validationLoss));
  EXPECT_EQ(rows[2].trainLoss, 4.5);
  EXPECT_NE(drawCurves(rows, "a < b").find("a &lt; b"), std::string::npos);
  EXPECT_NE(messageOf([&] { CsvFile(folder / "m", "step,other", 2); }), "");
}

/// One coherent mean: the share is known, and centring takes most of the error off.
TEST(Health, KnowsTheMean) {
  constexpr int64_t rows = 512, columns = 64;
  std::vector<uint16_t> values(rows * columns);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) // the mean is 3.3 or -3.3, the rest +-1 in turn
      values[static_cast<size_t>(r * columns + c)] =
          fourfold::numerics::encodeBF16((c % 2 ? 3.3f : -3.3f) + ((r + c / 2) % 2 ? 1.0f : -1.0f) * (c % 16 ? 1.0f : 0.9f));
  MatrixHealth health = measureMatrix(values.data(), rows, columns);
  EXPECT_NEAR(health.meanShare, 0.917, 0.004);
  EXPECT_GT(health.plain.relativeError, 0.015);
  EXPECT_LT(health.centred.relativeError, 0.5 * health.plain.relativeError);
  EXPECT_EQ(health.plain.flushedValues, 0.0);
  EXPECT_NEAR(health.amax, 4.3, 0.02);
  EXPECT_EQ(health.plain.saturatedBlocks, 1.0);
}

TEST(Kernels, RoundingIsTheContracts) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0xffffe000u; bits += 0x1357u)
    values.push_back(fourfold::numerics::floatFromBits(bits));
  std::vector<uint16_t> rounded(values.size());
  roundToBF16(values.data(), rounded.data(), static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(rounded[i], fourfold::numerics::encodeBF16(values[i])) << i;
}

TEST(Kernels, SoftmaxIsExp) {
  std::vector<float> x, kept;
  for (int i = 0; i < 100; ++i)
    x.push_back(0.37f * static_cast<float>((i * 37) % 100) - 20.0f);
  kept = x;
  float logSum = softmaxRow(x.data(), 90, 100, 0.7f);
  double sum = 0.0;
  for (int i = 0; i < 90; ++i)
    sum += std::exp(0.7 * static_cast<double>(kept[static_cast<size_t>(i)]));
  EXPECT_NEAR(logSum, std::log(sum), 1e-5);
  for (int i = 0; i < 100; ++i) {
    double expected = i < 90 ? std::exp(0.7 * static_cast<double>(kept[static_cast<size_t>(i)])) / sum : 0.0;
    EXPECT_NEAR(x[static_cast<size_t>(i)], expected, 4e-6 * expected);
  }
}

} // namespace
