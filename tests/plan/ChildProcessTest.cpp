// Work in a child process: results, errors, and every way not to come back.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/ChildProcess.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace fourfold;

static ChildEnd run(const std::function<bool(std::string *)> &work, std::string *text) {
  ChildLimits limits;
  limits.seconds = 1;
  limits.bytes = uint64_t{512} << 20;
  limits.outputBytes = 1 << 20;
  return runInChild(work, text, limits);
}

TEST(ChildProcess, GivesResultsAndErrors) {
  std::string text;
  // Larger than a pipe holds, and with zeros in it.
  std::string large(300000, '\0');
  EXPECT_EQ(run([&](std::string *result) { return *result = large + "x", true; }, &text), ChildEnd::Success);
  EXPECT_EQ(text, large + "x");
  EXPECT_EQ(run([](std::string *result) { return *result = "no such thing", false; }, &text), ChildEnd::Failure);
  EXPECT_EQ(text, "no such thing");
  EXPECT_EQ(run([](std::string *) { return true; }, &text), ChildEnd::Success);
  EXPECT_EQ(text, "");
}

TEST(ChildProcess, SignalsAreNamed) {
  std::string text;
  EXPECT_EQ(run([](std::string *) { return std::raise(SIGSEGV) != 0; }, &text), ChildEnd::Crash);
  EXPECT_EQ(text, "was ended by signal 11 (Segmentation fault)");
  EXPECT_EQ(run([](std::string *) -> bool { std::abort(); }, &text), ChildEnd::Crash);
  EXPECT_EQ(text, "was ended by signal 6 (Aborted)");
}

TEST(ChildProcess, AnExitIsNoResult) {
  std::string text = "from before";
  EXPECT_EQ(run([](std::string *) -> bool { _exit(0); }, &text), ChildEnd::Crash);
  EXPECT_EQ(text, "ended with status 0 and no result");
  EXPECT_EQ(run([](std::string *) -> bool { _exit(3); }, &text), ChildEnd::Crash);
  EXPECT_EQ(text, "ended with status 3 and no result");
}

TEST(ChildProcess, LimitsEndIt) {
  std::string text;
  auto spin = [](std::string *) -> bool {
    for (volatile int i = 0;;)
      i = i + 1;
  };
  EXPECT_EQ(run(spin, &text), ChildEnd::Crash);
  EXPECT_NE(text.find("took more than"), std::string::npos) << text;
  auto sleep = [](std::string *) -> bool {
    for (;;)
      pause();
  };
  EXPECT_EQ(run(sleep, &text), ChildEnd::Crash);
  EXPECT_EQ(text, "took more than 2 s");
  EXPECT_EQ(run([](std::string *result) { return *result = std::string(2 << 20, 'x'), true; }, &text), ChildEnd::Crash);
  EXPECT_EQ(text, "gave more than 1 MiB");
}

TEST(ChildProcess, WritesNothingToTheCallersOutputs) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  std::string text;
  run(
      [](std::string *) {
        std::puts("from the child");
        std::fputs("from the child", stderr);
        std::fflush(stdout);
        return true;
      },
      &text);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}
