// Occupancy against the rules of CUDA's calculator, worked out by hand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/Occupancy.h"

#include <gtest/gtest.h>

using namespace fourfold::model;

namespace {

Occupancy on(const char *name, const LaunchShape &shape) {
  const Gpu *gpu = nullptr;
  EXPECT_TRUE(findGpu(name, &gpu).ok());
  return occupancyOf(*gpu, shape);
}

TEST(Occupancy, RegistersLimit) {
  // 64 registers of 32 lanes are 2048, 32 warps have 65536: four blocks of eight warps, half of 64.
  Occupancy result = on("a100", {1000, 256, 0, 64});
  EXPECT_EQ(result.byRegisters, 4u);
  EXPECT_EQ(result.blocks, 4u);
  EXPECT_STREQ(result.limit, "registers");
  EXPECT_DOUBLE_EQ(result.fraction, 0.5);
}

TEST(Occupancy, RegistersComeInUnits) {
  // 33 registers: 1056, five units of 256 = 1280; 51 warps have them, which four partitions make 48.
  EXPECT_EQ(on("h100", {1, 32, 0, 33}).byRegisters, 48u);
  EXPECT_EQ(on("h100", {1, 32, 0, 32}).byRegisters, 64u);
  EXPECT_EQ(on("h100", {1, 96, 0, 128}).byRegisters, 5u); // 16 warps, three a block
}

TEST(Occupancy, SharedMemoryLimits) {
  // With the system's KiB: 50176 of 167936 bytes.
  Occupancy result = on("a100", {1000, 128, 49152, 32});
  EXPECT_EQ(result.byShared, 3u);
  EXPECT_EQ(result.blocks, 3u);
  EXPECT_STREQ(result.limit, "shared memory");
  EXPECT_EQ(on("rtx5090", {1, 128, 73728, 32}).byShared, 1u);
  EXPECT_EQ(on("rtx5090", {1, 128, 50176, 32}).byShared, 2u); // 2 * 51200 = 102400, all there is
  EXPECT_EQ(on("rtx5090", {1, 128, 50177, 32}).byShared, 1u);
}

TEST(Occupancy, WhatDoesNotFitHasNoBlocks) {
  EXPECT_EQ(on("rtx5090", {1, 128, 99 * 1024 + 1, 32}).blocks, 0u);
  EXPECT_EQ(on("rtx5090", {1, 128, 99 * 1024, 32}).blocks, 1u);
  EXPECT_EQ(on("a100", {1, 1024, 0, 128}).blocks, 0u); // 16 warps of 32
}

TEST(Occupancy, SmallBlocksAreLimitedInNumber) {
  Occupancy result = on("h100", {100000, 32, 0, 16});
  EXPECT_EQ(result.blocks, 32u);
  EXPECT_STREQ(result.limit, "blocks");
  EXPECT_EQ(on("rtx4090", {100000, 32, 0, 16}).blocks, 24u);
}

TEST(Occupancy, WavesAndTheirTail) {
  // 8 blocks of 256 threads in 132 multiprocessors: a wave is 1056 blocks.
  Occupancy full = on("h100", {1056, 256, 0, 32});
  EXPECT_EQ(full.waves, 1u);
  EXPECT_DOUBLE_EQ(full.tail, 1);
  EXPECT_DOUBLE_EQ(full.used, 132);
  Occupancy more = on("h100", {1057, 256, 0, 32});
  EXPECT_EQ(more.waves, 2u);
  EXPECT_DOUBLE_EQ(more.tail, 1.0 / 1056);
  EXPECT_EQ(more.busiest, 9u);
  EXPECT_DOUBLE_EQ(more.used, 1057.0 / 9);
  Occupancy few = on("h100", {10, 64, 0, 32});
  EXPECT_DOUBLE_EQ(few.used, 10);
  EXPECT_EQ(few.warps, 2u); // one block in each of ten
}

TEST(Occupancy, UnknownRegistersAreNoLimit) {
  Occupancy result = on("a100", {1, 256, 0, 0});
  EXPECT_EQ(result.byRegisters, 0u);
  EXPECT_EQ(result.blocks, 8u);
}

} // namespace
