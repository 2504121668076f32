// Lanes that a branch parts meet at the instructions that name them, also where one side may leave the kernel before.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const std::string kShared = ".shared .align 4 .b32 word;\n";

/// Lane 0 leaves where p0[0] is 77, else it writes 5 for all; then `body`, then `%r9` to p1 by thread.
std::string early(const std::string &body) {
  return kernel(2,
                "mov.u32 %r0, %tid.x;\nmov.u32 %r9, 0;\nsetp.eq.u32 %p0, %r0, 0;\n@%p0 st.shared.b32 [word], 3;\n@!%p0 bra join;\n"
                "ld.global.u32 %r1, [%rd0];\nsetp.eq.u32 %p1, %r1, 77;\n@%p1 bra out;\nst.shared.b32 [word], 5;\njoin:\n" +
                    body + "mul.wide.u32 %rd2, %r0, 4;\nadd.u64 %rd2, %rd1, %rd2;\nst.global.u32 [%rd2], %r9;\nout: ret;\n",
                kShared);
}

std::vector<uint32_t> run(const std::string &body, uint32_t flag, unsigned threads = 32) {
  Device device;
  EXPECT_EQ(device.load(early(body)), kSuccess) << lastFinding();
  CUdeviceptr in = device.upload(std::vector<uint32_t>{flag}), out = device.upload(std::vector<uint32_t>(threads, 1000));
  EXPECT_EQ(device.launch("k", 1, threads, 0, in, out), kSuccess) << lastFinding();
  return device.download<uint32_t>(out, threads);
}

TEST(Converge, WarpBarriersWaitForTheOtherSide) {
  std::string body = "bar.warp.sync -1;\nld.shared.b32 %r9, [word];\n";
  EXPECT_EQ(run(body, 0), std::vector<uint32_t>(32, 5));
  std::vector<uint32_t> without(32, 3);
  without[0] = 1000;
  EXPECT_EQ(run(body, 77), without);
}

TEST(Converge, ShufflesAndVotesDoToo) {
  EXPECT_EQ(run("add.u32 %r2, %r0, 40;\nshfl.sync.idx.b32 %r9, %r2, 0, 31, -1;\n", 0), std::vector<uint32_t>(32, 40));
  EXPECT_EQ(run("setp.lt.u32 %p2, %r0, 3;\nvote.sync.ballot.b32 %r9, %p2, -1;\n", 0), std::vector<uint32_t>(32, 7));
  EXPECT_EQ(run("setp.lt.u32 %p2, %r0, 3;\nvote.sync.ballot.b32 %r9, %p2, -1;\n", 77)[1], 6u);
}

TEST(Converge, BarriersOfTheBlockToo) {
  EXPECT_EQ(run("bar.sync 0;\nld.shared.b32 %r9, [word];\n", 0, 96), std::vector<uint32_t>(96, 5));
  EXPECT_EQ(run("bar.sync 0;\nld.shared.b32 %r9, [word];\n", 77, 96)[95], 3u);
}

TEST(Converge, SidesWithinSides) {
  // Lanes 1 to 7 part once more, and may leave as well; all meet twice.
  std::string body = "setp.gt.u32 %p3, %r0, 7;\n@%p3 bra meet;\nsetp.eq.u32 %p4, %r0, 100;\n@%p4 bra out;\nsetp.gt.u32 %p3, %r0, 3;\n@%p3 bra meet;\n"
                     "setp.eq.u32 %p4, %r0, 101;\n@%p4 bra out;\nmeet:\nadd.u32 %r2, %r0, 1;\nshfl.sync.bfly.b32 %r3, %r2, 16, 31, -1;\n"
                     "bar.warp.sync -1;\nshfl.sync.idx.b32 %r4, %r3, 31, 31, -1;\nadd.u32 %r9, %r3, %r4;\n";
  std::vector<uint32_t> expected;
  for (uint32_t lane = 0; lane < 32; ++lane)
    expected.push_back((lane ^ 16) + 1 + 16);
  EXPECT_EQ(run(body, 0), expected);
}

TEST(Converge, WhoCannotComeIsNamed) {
  // Lane 0 waits at another instruction, for the same lanes.
  Device device;
  ASSERT_EQ(device.load(kernel(0, "mov.u32 %r0, %tid.x;\nsetp.eq.u32 %p0, %r0, 0;\n@%p0 bra first;\nshfl.sync.idx.b32 %r1, %r0, 0, 31, -1;\nbra end;\n"
                                  "first: shfl.sync.idx.b32 %r1, %r0, 1, 31, -1;\nend: ret;\n")),
            kSuccess);
  EXPECT_EQ(device.d.launchKernel(device.function("k"), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr), kErrorLaunchFailed);
  EXPECT_NE(lastFinding().find("do not execute the instruction"), std::string::npos) << lastFinding();
}

} // namespace
