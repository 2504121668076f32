// The trainer as a program: resumed runs, signals, exit codes and messages.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "examples/train_gpt/Files.h"
#include "examples/train_gpt/Metrics.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace traingpt;

namespace {

const std::string kProgram = std::string(FOURFOLD_BINARY_DIR) + "/bin/train_gpt";
const std::string kText = std::string(FOURFOLD_SOURCE_DIR) + "/tests/data/genesis.txt";

class TrainProgram : public ::testing::Test {
protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "train_gpt.XXXXXX").string();
    folder = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  /// A tiny model; later options win over earlier ones nowhere: none is given twice.
  std::vector<std::string> small(const std::string &out, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"--text", kText, "--out", folder + "/" + out, "--layers", "2", "--width", "32",
                                          "--heads", "2", "--context", "32", "--vocabulary", "300", "--batch", "4",
                                          "--warmup", "2", "--eval-sequences", "4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  pid_t start(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), kProgram);
    std::vector<char *> argv;
    for (std::string &argument : arguments)
      argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    std::string log = folder + "/log";
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child = -1;
    EXPECT_EQ(posix_spawn(&child, kProgram.c_str(), &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return child;
  }

  static int wait(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  int run(const std::vector<std::string> &arguments) const { return wait(start(arguments)); }
  std::string log() const { return readFile(folder + "/log"); }

  /// The metrics without the last column, the seconds.
  std::string losses(const std::string &out) const {
    std::string text;
    for (MetricsRow row : readMetrics(folder + "/" + out + "/metrics.csv")) {
      row.seconds = 0.0;
      text += formatRow(row) + "\n";
    }
    return text;
  }
  std::string parametersOf(const std::string &out) const {
    std::string bytes = readFile(folder + "/" + out + "/checkpoint.bin");
    uint64_t headSize = 0; // the head holds the seconds; before it stand magic, checksum and its size
    std::memcpy(&headSize, bytes.data() + 16, sizeof(headSize));
    return bytes.substr(24 + headSize);
  }

  std::string folder;
};

TEST_F(TrainProgram, ResumedRunIsTheSameRun) {
  std::vector<std::string> common = {"--steps", "12", "--eval-every", "5", "--checkpoint-every", "4", "--micro-batches", "2"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), common.begin(), common.end());
    return more;
  };
  ASSERT_EQ(run(small("whole", with({"--threads", "1"}))), 0) << log();
  ASSERT_EQ(run(small("parts", with({"--stop-after", "3", "--threads", "2"}))), 130) << log();
  EXPECT_FALSE(std::filesystem::exists(folder + "/parts/result.json"));
  ASSERT_EQ(run(small("parts", with({"--stop-after", "9", "--resume", "--health"}))), 130) << log();
  // As if the program had been killed after rows that no checkpoint knows.
  CsvFile(folder + "/parts/metrics.csv", kMetricsHeader, 9).append("10,1280,1,1,1,1,1");
  ASSERT_EQ(run(small("parts", with({"--resume"}))), 0) << log();
  EXPECT_EQ(losses("whole"), losses("parts"));
  EXPECT_TRUE(parametersOf("whole") == parametersOf("parts")); // megabytes are not to be printed
  EXPECT_EQ(readMetrics(folder + "/whole/metrics.csv").size(), 12u);
  EXPECT_TRUE(std::filesystem::exists(folder + "/parts/result.json"));
  EXPECT_NE(readFile(folder + "/parts/curves.svg").find("</svg>"), std::string::npos);
}

#ifdef FOURFOLD_HAS_COMPILER
/// Random bits are a function of the step; averis_v1 draws them for weights, activations and gradients.
TEST_F(TrainProgram, ResumedRunDrawsTheSameBits) {
  std::vector<std::string> recipe = {"--recipe", "averis_v1", "--device", "host", "--steps", "6", "--eval-every", "2", "--micro-batches", "2"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), recipe.begin(), recipe.end());
    return more;
  };
  ASSERT_EQ(run(small("whole", with({"--threads", "1"}))), 0) << log();
  ASSERT_EQ(run(small("parts", with({"--stop-after", "3"}))), 130) << log();
  ASSERT_EQ(run(small("parts", with({"--resume"}))), 0) << log();
  EXPECT_EQ(losses("whole"), losses("parts"));
  EXPECT_TRUE(parametersOf("whole") == parametersOf("parts"));
}
#endif

TEST_F(TrainProgram, SeedsAndMeanBiasMatter) {
  ASSERT_EQ(run(small("a", {"--steps", "2"})), 0) << log();
  ASSERT_EQ(run(small("b", {"--steps", "2", "--seed", "2"})), 0) << log();
  ASSERT_EQ(run(small("c", {"--steps", "2", "--mean-bias", "2", "--health"})), 0) << log();
  EXPECT_NE(losses("a"), losses("b"));
  EXPECT_NE(losses("a"), losses("c"));
  // N(0, 2^2) against N(0, 1): the first linear's input is four fifths mean.
  std::string health = readFile(folder + "/c/health.csv");
  size_t row = health.find("\n2,block0.qkv,x,");
  ASSERT_NE(row, std::string::npos) << health;
  EXPECT_NEAR(std::strtod(health.c_str() + row + 16, nullptr), 0.8, 0.12);
  // The norm's own vector is in every block; what attention makes of it adds to it.
  ASSERT_EQ(run(small("d", {"--steps", "2", "--norm-bias", "2", "--health"})), 0) << log();
  health = readFile(folder + "/d/health.csv");
  row = health.find("\n2,block1.gate_up,x,");
  ASSERT_NE(row, std::string::npos) << health;
  EXPECT_GT(std::strtod(health.c_str() + row + 20, nullptr), 0.7);
}

TEST_F(TrainProgram, LearnsTheText) {
  ASSERT_EQ(run(small("a", {"--steps", "80", "--lr", "1e-2"})), 0) << log();
  std::vector<MetricsRow> rows = readMetrics(folder + "/a/metrics.csv");
  EXPECT_GT(rows.front().trainLoss, 5.0);
  EXPECT_LT(rows.back().validationLoss, 4.4);
}

TEST_F(TrainProgram, InterruptLeavesACheckpoint) {
  pid_t child = start(small("a", {"--steps", "1000000", "--eval-every", "0", "--checkpoint-every", "0"}));
  std::string metrics = folder + "/a/metrics.csv";
  for (int i = 0; i < 3000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (std::filesystem::exists(metrics) && readMetrics(metrics).size() >= 3)
      break;
  }
  kill(child, SIGINT);
  EXPECT_EQ(wait(child), 130) << log();
  EXPECT_NE(log().find("--resume"), std::string::npos);
  size_t rows = readMetrics(metrics).size();
  EXPECT_GE(rows, 3u);
  std::vector<std::string> more = {"--steps", "1000000", "--eval-every", "0", "--resume", "--stop-after", std::to_string(rows + 2)};
  EXPECT_EQ(run(small("a", more)), 130) << log();
  EXPECT_NE(log().find(fmt::format("resumed after step {}", rows)), std::string::npos) << log();
  EXPECT_EQ(readMetrics(metrics).size(), rows + 2);
}

TEST_F(TrainProgram, SaysWhatIsWrong) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    const char *message;
  };
  replaceFile(folder + "/short.txt", "too short");
  ASSERT_EQ(run(small("done", {"--steps", "1"})), 0) << log();
  std::filesystem::create_directories(folder + "/rowless");
  std::filesystem::copy(folder + "/done/checkpoint.bin", folder + "/rowless/checkpoint.bin");
  std::filesystem::create_directories(folder + "/foreign");
  replaceFile(folder + "/foreign/checkpoint.bin", "no checkpoint at all");
  std::filesystem::create_directories(folder + "/damaged");
  std::string checkpoint = readFile(folder + "/done/checkpoint.bin");
  replaceFile(folder + "/damaged/checkpoint.bin", checkpoint.substr(0, checkpoint.size() - 100));
  auto textAt = [&](const std::string &path) { return std::vector<std::string>{"--text", path, "--out", folder + "/x"}; };
  std::vector<Case> cases = {
      {{}, 2, "--text"},
      {small("x", {"--stepz", "1"}), 2, "--stepz"},
      {small("x", {"--steps", "0"}), 2, "--steps"},
      {small("x", {"--micro-batches", "3"}), 2, "--batch 4 is not a multiple of --micro-batches 3"},
      {small("x", {"--resume", "--overwrite"}), 2, "choose one"},
      {textAt("/nowhere/text.txt"), 1, "cannot read '/nowhere/text.txt': No such file"},
      {textAt(folder), 1, "it is not a file"},
      {textAt(folder + "/short.txt"), 1, "too short"},
      {small("x", {"--recipe", "fp5", "--device", "blas"}), 1, "recipe 'fp5' is unknown"},
      {small("x", {"--device", "toaster"}), 1, "device 'toaster' is unknown"},
      {small("done", {"--steps", "1"}), 1, "holds a run already"},
      {small("done", {"--steps", "5", "--resume"}), 1, "steps = 1, and now it is 5"},
      {small("rowless", {"--steps", "1", "--resume"}), 1, "ends at step 0, before the checkpoint's step 1"},
      {small("foreign", {"--steps", "1", "--resume"}), 1, "is not a checkpoint"},
      {small("damaged", {"--steps", "1", "--resume"}), 1, "truncated or damaged"},
      {small("x", {"--steps", "20", "--lr", "1e30", "--clip", "0"}), 1, "diverged at step"},
  };
  for (const Case &test : cases) {
    EXPECT_EQ(run(test.arguments), test.code) << test.message << "\n" << log();
    EXPECT_NE(log().find(test.message), std::string::npos) << "wanted: " << test.message << "\ngot: " << log();
  }
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_NE(log().find("--mean-bias"), std::string::npos);
}

} // namespace
