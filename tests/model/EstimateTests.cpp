// The model's terms against arithmetic by hand: counts that take a millisecond each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/SpeedOfLight.h"

#include <gtest/gtest.h>

using namespace fourfold;
using namespace fourfold::model;
using emulator::Counters;
using emulator::Pipe;

namespace {

const Gpu &gpu(const char *name) {
  const Gpu *found = nullptr;
  EXPECT_TRUE(findGpu(name, &found).ok());
  return *found;
}

/// All multiprocessors at work, with warps in all partitions.
Occupancy whole(const char *name) { return occupancyOf(gpu(name), {gpu(name).multiprocessors * uint64_t{8}, 256, 0, 32}); }

Estimate of(const char *name, const Counters &counters, const Occupancy &occupancy) {
  Estimate result;
  Status status = estimate(gpu(name), counters, occupancy, &result);
  EXPECT_TRUE(status.ok()) << status.message();
  return result;
}

double seconds(const Estimate &estimate, const std::string &term) {
  for (const Term &candidate : estimate.terms)
    if (candidate.name == term)
      return candidate.seconds;
  return 0;
}

uint64_t &slots(Counters &counters, Pipe pipe) { return counters.issueSlots[static_cast<size_t>(pipe)]; }

TEST(Estimate, MemoryReadsTheFootprintOnce) {
  Counters counters;
  counters.footprintRead = 63718749; // 32 bytes each: with the one written 2.039e9, of 2.039e12 a second
  counters.footprintWritten = 1;
  Estimate result = of("a100", counters, whole("a100"));
  EXPECT_NEAR(seconds(result, "memory"), 1e-3, 1e-12);
  EXPECT_EQ(result.binds(), "memory");
  EXPECT_DOUBLE_EQ(result.memoryBytes, 2.039e9);
  EXPECT_NEAR(result.bytesASecond(), 2.039e12, 1);
}

TEST(Estimate, L2IsReadOnceABlockAndWrittenThrough) {
  Counters counters;
  counters.sectorsReadOnceABlock = 225000000; // 5120 bytes * 1.41e9 a second = 225.6e6 sectors a millisecond
  counters.globalSectorsWritten = 600000;
  EXPECT_NEAR(seconds(of("a100", counters, whole("a100")), "L2"), 1e-3, 1e-12);
}

TEST(Estimate, AMultiprocessorReadsL2ThroughItsPort) {
  Counters counters;
  counters.sectorsReadOnceABlock = 2000000; // 64e6 bytes at 64 a cycle
  Occupancy one = occupancyOf(gpu("a100"), {1, 256, 0, 32});
  EXPECT_NEAR(seconds(of("a100", counters, one), "L2"), 1e6 / 1.41e9, 1e-12);
}

TEST(Estimate, IssueIsFourWarpsACycle) {
  Counters counters;
  slots(counters, Pipe::Control) = 609120000; // 4 * 108 * 1.41e6 a millisecond
  Estimate result = of("a100", counters, whole("a100"));
  EXPECT_NEAR(seconds(result, "issue"), 1e-3, 1e-12);
  EXPECT_EQ(result.terms.size(), 1u);
}

TEST(Estimate, PipesHaveTheirWidths) {
  Counters counters;
  slots(counters, Pipe::Fma) = 304560000; // 64 results a cycle: two warps
  slots(counters, Pipe::Xu) = 76140000;   // 16: half a warp
  slots(counters, Pipe::Lsu) = 152280000; // 32: one
  Estimate result = of("a100", counters, whole("a100"));
  EXPECT_NEAR(seconds(result, "fma"), 1e-3, 1e-12);
  EXPECT_NEAR(seconds(result, "xu"), 1e-3, 1e-12);
  EXPECT_NEAR(seconds(result, "lsu"), 1e-3, 1e-12);
  EXPECT_NEAR(seconds(result, "issue"), 0.875e-3, 1e-12);
  // Twice as wide on Hopper, which has more multiprocessors and a higher clock.
  EXPECT_NEAR(seconds(of("h100", counters, whole("h100")), "fma"), 304560000.0 / (4 * 132 * 1.98e9), 1e-12);
}

TEST(Estimate, AdditionsGoToTheAluOrTheMultiplier) {
  Counters counters;
  slots(counters, Pipe::Alu) = 304560000;     // alone on the ALU: 1 ms
  slots(counters, Pipe::Multiply) = 152280000; // alone on the multiplier: 0.5 ms, which leaves 0.5 ms for additions
  slots(counters, Pipe::Integer) = 152280000;
  Estimate result = of("a100", counters, whole("a100"));
  EXPECT_NEAR(seconds(result, "alu"), 1e-3, 1e-12);
  EXPECT_NEAR(seconds(result, "multiply"), 0.5e-3, 1e-12);
  EXPECT_NEAR(seconds(result, "integer"), 1e-3, 1e-12);
}

TEST(Estimate, SharedMemoryServesAWavefrontACycle) {
  Counters counters;
  counters.sharedLoads = {100000000, 50000000};
  counters.ldmatrix = {52280000, 52280000}; // together 108 * 1.41e6
  EXPECT_NEAR(seconds(of("a100", counters, whole("a100")), "shared"), 1e-3, 1e-12);
}

TEST(Estimate, TensorCoresOfEachKind) {
  Counters counters;
  counters.mmas["bf16.f32.m16n8k16"] = 76140000; // 4096 operations each: 311.87e9, of 311.87e12 a second
  Estimate result = of("a100", counters, whole("a100"));
  EXPECT_NEAR(seconds(result, "tensor"), 1e-3, 1e-12);
  EXPECT_NEAR(result.operationsASecond(), 108 * 1.41e9 * 2048, 1);
  counters.mmas["s8.s32.m16n8k32"] = 76140000; // twice the operations at twice the rate
  EXPECT_NEAR(seconds(of("a100", counters, whole("a100")), "tensor"), 2e-3, 1e-12);
  Counters fp4;
  fp4.mmas["mxf4nvf4.4x.ue4m3"] = 1048576; // a matmul of 2048^3: 1.7180e10 operations at 1.6760e15
  EXPECT_NEAR(seconds(of("rtx5090", fp4, whole("rtx5090")), "tensor"), 17179869184.0 / (170 * 2.407e9 * 4096), 1e-12);
}

TEST(Estimate, WarpsGetLessOfHopperThanWarpgroups) {
  Counters warps, groups;
  warps.mmas["bf16.f32.m16n8k16"] = 128000;
  groups.mmas["wgmma.bf16.f32.m64n256k16"] = 1000; // as many operations
  double alone = seconds(of("h100", groups, whole("h100")), "tensor");
  EXPECT_NEAR(alone, 524288000.0 / (132 * 1.83e9 * 4096), 1e-15);
  EXPECT_NEAR(seconds(of("h100", warps, whole("h100")), "tensor"), alone / 0.63, 1e-15);
}

TEST(Estimate, IdleMultiprocessorsDoNotHelp) {
  Counters counters;
  slots(counters, Pipe::Control) = 609120000;
  // 54 blocks of eight warps: half of the multiprocessors. 108 blocks of two warps: half of the partitions.
  EXPECT_NEAR(seconds(of("a100", counters, occupancyOf(gpu("a100"), {54, 256, 0, 32})), "issue"), 2e-3, 1e-12);
  EXPECT_NEAR(seconds(of("a100", counters, occupancyOf(gpu("a100"), {108, 64, 0, 32})), "issue"), 2e-3, 1e-12);
  // 109 blocks: one multiprocessor has two of them.
  EXPECT_NEAR(seconds(of("a100", counters, occupancyOf(gpu("a100"), {109, 256, 0, 32})), "issue"), 2e-3 * 108 / 109, 1e-12);
}

TEST(Estimate, TheLongestBinds) {
  Counters counters;
  counters.footprintRead = 63718750;
  slots(counters, Pipe::Control) = 304560000;
  Estimate result = of("a100", counters, whole("a100"));
  EXPECT_EQ(result.binds(), "memory");
  EXPECT_NEAR(result.seconds, 1e-3, 1e-12);
  EXPECT_NEAR(result.terms[1].seconds / result.seconds, 0.5, 1e-9);
  slots(counters, Pipe::Control) *= 4;
  EXPECT_EQ(of("a100", counters, whole("a100")).binds(), "issue");
}

TEST(Estimate, KindsThatTheGpuLacksAreAnError) {
  Counters counters;
  counters.mmas["mxf4nvf4.4x.ue4m3"] = 1;
  Estimate result;
  Status status = estimate(gpu("h100"), counters, whole("h100"), &result);
  EXPECT_EQ(status.message(), "the kernel executes 'mxf4nvf4.4x.ue4m3', and the tensor cores of NVIDIA H100 SXM5 80GB have no fp4: use another --gpu");
  Counters unknown;
  unknown.mmas["q7.f32.m16n8k16"] = 1;
  EXPECT_EQ(estimate(gpu("h100"), unknown, whole("h100"), &result).message(), "the cost model does not know MMAs of kind 'q7.f32.m16n8k16'");
}

TEST(Estimate, NothingTakesNoTime) {
  Estimate result = of("a100", Counters(), whole("a100"));
  EXPECT_EQ(result.seconds, 0);
  EXPECT_EQ(result.binds(), "nothing");
  EXPECT_EQ(result.operationsASecond(), 0);
}

} // namespace
