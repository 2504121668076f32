// The video instructions, and fragments of wmma with 4-bit integers and single bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include <fmt/format.h>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// What the instruction makes of a, b and c: `%r3` of `%r0`, `%r1` and `%r2`.
uint32_t run(const std::string &instruction, uint32_t a, uint32_t b, uint32_t c) {
  Device device;
  EXPECT_EQ(device.load(kernel(1, fmt::format("mov.b32 %r0, {};\nmov.b32 %r1, {};\nmov.b32 %r2, {};\n{}\nst.global.u32 [%rd0], %r3;\n", a, b, c, instruction))),
            kSuccess)
      << lastFinding();
  CUdeviceptr out = device.alloc(4);
  EXPECT_EQ(device.launch("k", 1, 1, 0, out), kSuccess) << lastFinding();
  return device.download<uint32_t>(out, 1)[0];
}

TEST(Video, Scalars) {
  constexpr uint32_t kA = 0x80ff7f01, kB = 0xfffe0010, kC = 0x11223344;
  EXPECT_EQ(run("vadd.s32.u32.u32 %r3, %r0.b2, %r1.h0;", kA, kB, kC), 0x10fu);
  EXPECT_EQ(run("vadd.s32.s32.s32 %r3, %r0.b2, %r1.h1;", kA, kB, kC), 0xfffffffdu);
  EXPECT_EQ(run("vsub.u32.u32.u32.sat %r3, %r0.b0, %r1.b0;", kA, kB, kC), 0u);
  EXPECT_EQ(run("vadd.s32.s32.s32.sat %r3, %r0, %r0;", kA, kB, kC), 0x80000000u);
  EXPECT_EQ(run("vabsdiff.u32.s32.s32 %r3, %r0.b3, %r1.h0;", kA, kB, kC), 144u);
  EXPECT_EQ(run("vmin.s32.s32.s32.add %r3, %r0.b3, %r1.b0, %r2;", kA, kB, 1000), 872u);
  EXPECT_EQ(run("vmax.u32.u32.u32.min %r3, %r0.b3, %r1.b0, %r2;", kA, kB, 100), 100u);
  EXPECT_EQ(run("vadd.u32.u32.u32.sat %r3.b1, %r0.b2, %r1.b0, %r2;", kA, kB, kC), 0x1122ff44u);
  EXPECT_EQ(run("vadd.u32.u32.u32 %r3.h1, %r0.b2, %r1.b0, %r2;", kA, kB, kC), 0x010f3344u);
  EXPECT_EQ(run("vshl.u32.u32.u32.wrap %r3, %r0.b0, %r1.b0;", kA, 0x24, kC), 16u);
  EXPECT_EQ(run("vshr.s32.s32.u32.clamp %r3, %r0, %r1;", kA, 0x24, kC), 0xffffffffu);
  EXPECT_EQ(run("vset.s32.u32.lt %r3, %r0, %r1;", kA, 5, kC), 1u);
}

TEST(Video, Parts) {
  constexpr uint32_t kA = 0x80ff7f01, kB = 0x01010203, kC = 0x11223344;
  EXPECT_EQ(run("vabsdiff4.u32.u32.u32 %r3, %r0, %r1, %r2;", kA, kB, kC), 0x7ffe7d02u);
  EXPECT_EQ(run("vabsdiff4.u32.u32.u32.add %r3, %r0, %r1, %r2;", kA, kB, 1000), 1000u + 0x7f + 0xfe + 0x7d + 2);
  EXPECT_EQ(run("vabsdiff4.s32.s32.s32.add %r3, %r0, %r1, %r2;", kA, kB, 0), 2u);
  EXPECT_EQ(run("vadd4.s32.s32.s32.sat %r3, %r0, %r1, %r2;", kA, kB, kC), 0x81007f04u);
  EXPECT_EQ(run("vadd4.u32.u32.u32 %r3.b20, %r0, %r1, %r2;", kA, kB, kC), 0x11003304u);
  EXPECT_EQ(run("vmax2.s32.s32.s32 %r3, %r0, %r1, %r2;", kA, kB, kC), 0x01017f01u);
  EXPECT_EQ(run("vavrg4.u32.u32.u32 %r3, %r0, %r1, %r2;", kA, kB, kC), 0x41804102u);
  EXPECT_EQ(run("vadd4.u32.u32.u32 %r3, %r0.b0123, %r1.b4444, %r2;", kA, kB, kC), 0x04820283u);
  EXPECT_EQ(run("vset4.u32.u32.gt %r3, %r0, %r1, %r2;", kA, kB, kC), 0x01010100u);
}

TEST(Video, RefusedWhereTheFormIsNone) {
  Device device;
  EXPECT_NE(device.loadAndLaunch(kernel(0, "vmad.s32.s32.u32 %r1, %r2, %r3, %r4;\n")), kSuccess);
  EXPECT_NE(lastFinding().find("instruction 'vmad'"), std::string::npos) << lastFinding();
  Device other;
  EXPECT_NE(other.loadAndLaunch(kernel(0, "add.u32 %r1, %r2.b0, %r3;\n")), kSuccess);
  Device third;
  EXPECT_NE(third.loadAndLaunch(kernel(0, "vadd4.u32.u32.u32 %r1, %r2.b01, %r3, %r4;\n")), kSuccess);
  EXPECT_NE(lastFinding().find("'.b01' does not select 4 parts of two registers"), std::string::npos) << lastFinding();
}

class PackedWmma : public ::testing::TestWithParam<const char *> {};

TEST_P(PackedWmma, IsTheProductOfPlainLoops) {
  std::string type = GetParam();
  bool isBits = type == "b1", isSigned = type == "s4";
  int k = isBits ? 128 : 32, bits = isBits ? 1 : 4, pitch = 2 * k; // elements from row to row
  std::mt19937 random{2};
  std::vector<uint32_t> a(static_cast<size_t>(8 * pitch * bits / 32)), b(a.size());
  for (uint32_t &word : a)
    word = random();
  for (uint32_t &word : b)
    word = random();
  auto element = [&](const std::vector<uint32_t> &matrix, int row, int i) {
    int at = (row * pitch + i) * bits;
    uint32_t value = matrix[static_cast<size_t>(at / 32)] >> (at % 32) & ((1u << bits) - 1);
    return isSigned ? static_cast<int>(value << 28) >> 28 : static_cast<int>(value);
  };
  std::string shape = isBits ? "m8n8k128" : "m8n8k32";
  Device device("sm_80");
  ASSERT_EQ(device.load(kernel(3,
                               fmt::format("mov.b32 %r9, {0};\nwmma.load.a.sync.aligned.row.{1}.global.{2} {{%r0}}, [%rd0], %r9;\n"
                                           "wmma.load.b.sync.aligned.col.{1}.global.{2} {{%r1}}, [%rd1], %r9;\nmov.b32 %r2, 5;\n"
                                           "wmma.mma{3}.sync.aligned.row.col.{1}.s32.{2}.{2}.s32 {{%r3, %r4}}, {{%r0}}, {{%r1}}, {{%r2, %r2}};\n"
                                           "wmma.store.d.sync.aligned.row.{1}.global.s32 [%rd2], {{%r3, %r4}};\n",
                                           pitch, shape, type, isBits ? ".xor.popc" : ""),
                               "", "sm_80")),
            kSuccess)
      << lastFinding();
  CUdeviceptr inA = device.upload(a), inB = device.upload(b), out = device.alloc(256);
  ASSERT_EQ(device.launch("k", 1, 32, 0, inA, inB, out), kSuccess) << lastFinding();
  std::vector<int> result = device.download<int>(out, 64);
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = 5;
      for (int i = 0; i < k; ++i)
        sum += isBits ? element(a, row, i) ^ element(b, column, i) : element(a, row, i) * element(b, column, i);
      EXPECT_EQ(result[static_cast<size_t>(8 * row + column)], sum) << row << ", " << column;
    }
}

INSTANTIATE_TEST_SUITE_P(All, PackedWmma, ::testing::Values("s4", "u4", "b1"), [](const auto &info) { return std::string(info.param); });

} // namespace
