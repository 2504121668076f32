// mma.sp against plain loops over the dense matrix that its metadata describes, with values whose sums are exact; mma.m8n8k4 of f16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

struct Sparse {
  const char *name, *types; // of the instruction: shape and types
  int k, bits;              // of an element
  bool isInteger;
};

class SparseMma : public ::testing::TestWithParam<Sparse> {
protected:
  std::mt19937 random{7};
  std::vector<std::vector<float>> a{16}, b{8}; // dense
  std::array<std::vector<float>, 16> kept;
  std::array<std::vector<uint32_t>, 16> runs; // four bits each

  void fill() {
    const Sparse &shape = GetParam();
    int k = shape.k, run = shape.bits == 32 ? 2 : shape.bits == 4 ? 8 : 4, unit = shape.bits == 4 ? 2 : 1;
    auto value = [&] { return static_cast<float>(static_cast<int>(random() % 9) - 4); };
    for (int row = 0; row < 16; ++row) {
      a[row].assign(static_cast<size_t>(k), 0);
      for (int start = 0; start < k; start += run) {
        uint32_t first = random() % (shape.bits == 32 ? 2 : 3), second = first + 1 + random() % (3 - first);
        if (shape.bits == 32) { // the halves of the element that is kept
          first *= 2;
          second = first + 1;
        }
        runs[row].push_back(first | second << 2);
        for (uint32_t place : {first, second})
          for (int i = 0; i < unit; ++i) {
            if (shape.bits == 32 && place % 2)
              continue;
            int at = start + (shape.bits == 32 ? static_cast<int>(place) / 2 : static_cast<int>(place) * unit + i);
            a[row][at] = value();
            kept[row].push_back(a[row][at]);
          }
      }
    }
    for (auto &column : b)
      for (int i = 0; i < k; ++i)
        column.push_back(value());
  }

  uint32_t encode(float value) const {
    switch (GetParam().bits) {
    case 32:
      return numerics::floatBits(value);
    case 16:
      return std::string(GetParam().types).find("bf16") != std::string::npos ? numerics::encodeBF16(value) : numerics::encodeF16(value);
    case 8:
      return GetParam().isInteger ? static_cast<uint32_t>(static_cast<int>(value)) & 0xff : numerics::encodeE4M3(value);
    default:
      return static_cast<uint32_t>(static_cast<int>(value)) & 0xf;
    }
  }

  /// Registers of a lane: A as the dense step of half of K has them, B of all of K (PTX ISA 9.7.14.6.3).
  std::vector<uint32_t> fragments(int lane) const {
    const Sparse &shape = GetParam();
    int perRegister = 32 / shape.bits, numRegisters = shape.k / perRegister / 4;
    std::vector<uint32_t> words;
    auto word = [&](const std::vector<float> &line, int start) {
      uint32_t bits = 0;
      for (int i = 0; i < perRegister; ++i)
        bits |= encode(line[static_cast<size_t>(start + i)]) << (i * shape.bits);
      return bits;
    };
    for (int r = 0; r < numRegisters; ++r)
      words.push_back(word(kept[static_cast<size_t>(lane / 4 + 8 * (r & 1))], perRegister * (lane % 4 + 4 * (r >> 1))));
    for (int r = 0; r < numRegisters; ++r)
      words.push_back(word(b[static_cast<size_t>(lane / 4)], perRegister * (lane % 4 + 4 * r)));
    return words;
  }

  /// As CUTLASS orders metadata for the device: see MmaSparse.cpp.
  uint32_t metadata(int lane, int selector) const {
    const Sparse &shape = GetParam();
    auto bits = [&](int row, size_t first, size_t count) {
      uint32_t word = 0;
      for (size_t i = 0; i < count; ++i)
        word |= runs[static_cast<size_t>(row)][first + i] << (4 * i);
      return word;
    };
    int row = lane / 4, t = lane % 4;
    size_t numRuns = runs[0].size();
    if (numRuns == 4)
      return t == selector ? bits(row, 0, 4) | bits(row + 8, 0, 4) << 16 : 0xdeadbeef;
    if (numRuns == 8 && t / 2 != selector)
      return 0xdeadbeef;
    if (numRuns == 8 && shape.bits >= 16)
      return bits(row, t % 2 * 4u, 4) | bits(row + 8, t % 2 * 4u, 4) << 16;
    if (numRuns == 8)
      return bits(row + t % 2 * 8, 0, 8);
    return bits(row + t % 2 * 8, t / 2 * 8u, 8);
  }
};

TEST_P(SparseMma, ComputesTheDenseProduct) {
  const Sparse &shape = GetParam();
  fill();
  int numRegisters = shape.k * shape.bits / 128;
  auto list = [&](int first) {
    std::string text = "{";
    for (int i = 0; i < numRegisters; ++i)
      text += fmt::format("{}%r{}", i ? ", " : "", first + i);
    return text + "}";
  };
  for (int selector = 0; selector < (runs[0].size() == 4 ? 4 : runs[0].size() == 8 ? 2 : 1); ++selector) {
    std::vector<uint32_t> words;
    for (int lane = 0; lane < 32; ++lane) {
      std::vector<uint32_t> mine = fragments(lane);
      mine.push_back(metadata(lane, selector));
      mine.resize(16);
      words.insert(words.end(), mine.begin(), mine.end());
    }
    std::string body = "mov.u32 %r40, %tid.x;\nmul.wide.u32 %rd2, %r40, 64;\nadd.u64 %rd2, %rd0, %rd2;\nmul.wide.u32 %rd3, %r40, 16;\n"
                       "add.u64 %rd3, %rd1, %rd3;\n";
    for (int i = 0; i < 2 * numRegisters + 1; ++i)
      body += fmt::format("ld.global.u32 %r{}, [%rd2 + {}];\n", i, 4 * i);
    body += "mov.b32 %r30, 0;\n";
    body += fmt::format("mma.sp::ordered_metadata.sync.aligned.{} {{%r20, %r21, %r22, %r23}}, {}, {}, {{%r30, %r30, %r30, %r30}}, %r{}, {};\n",
                        shape.types, list(0), list(numRegisters), 2 * numRegisters, selector);
    body += "st.global.v4.b32 [%rd3], {%r20, %r21, %r22, %r23};\n";
    Device device("sm_120a");
    ASSERT_EQ(device.load(kernel(2, body)), kSuccess) << lastFinding();
    CUdeviceptr in = device.upload(words), out = device.alloc(512);
    ASSERT_EQ(device.launch("k", 1, 32, 0, in, out), kSuccess) << lastFinding();
    std::vector<uint32_t> result = device.download<uint32_t>(out, 128);
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        float expected = 0;
        for (int i = 0; i < shape.k; ++i)
          expected += a[static_cast<size_t>(row)][static_cast<size_t>(i)] * b[static_cast<size_t>(column)][static_cast<size_t>(i)];
        uint32_t word = result[static_cast<size_t>(4 * (4 * (row % 8) + column / 2) + 2 * (row / 8) + column % 2)];
        EXPECT_EQ(shape.isInteger ? static_cast<float>(static_cast<int32_t>(word)) : numerics::floatFromBits(word), expected)
            << row << ", " << column << ", selector " << selector;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SparseMma,
    ::testing::Values(Sparse{"f16k16", "m16n8k16.row.col.f32.f16.f16.f32", 16, 16, false}, Sparse{"f16k32", "m16n8k32.row.col.f32.f16.f16.f32", 32, 16, false},
                      Sparse{"bf16k32", "m16n8k32.row.col.f32.bf16.bf16.f32", 32, 16, false}, Sparse{"tf32k8", "m16n8k8.row.col.f32.tf32.tf32.f32", 8, 32, false},
                      Sparse{"tf32k16", "m16n8k16.row.col.f32.tf32.tf32.f32", 16, 32, false}, Sparse{"s8k32", "m16n8k32.row.col.s32.s8.s8.s32", 32, 8, true},
                      Sparse{"s8k64", "m16n8k64.row.col.satfinite.s32.s8.s8.s32", 64, 8, true}, Sparse{"s4k64", "m16n8k64.row.col.s32.s4.s4.s32", 64, 4, true},
                      Sparse{"s4k128", "m16n8k128.row.col.s32.s4.s4.s32", 128, 4, true}, Sparse{"e4m3k64", "m16n8k64.row.col.f32.e4m3.e4m3.f32", 64, 8, false}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(SparseMmaFindings, MetadataThatNoFormatHas) {
  auto run = [](const char *metadata) {
    Device device("sm_90a");
    std::string body = fmt::format("mov.b32 %r0, {};\nmov.b32 %r1, 0;\nmma.sp::ordered_metadata.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                                   "{{%f0, %f1, %f2, %f3}}, {{%r1, %r1}}, {{%r1, %r1}}, {{%r1, %r1, %r1, %r1}}, %r0, 1;\n",
                                   metadata);
    EXPECT_EQ(device.load(kernel(0, body, "", "sm_90a")), kSuccess) << lastFinding();
    return device.d.launchKernel(device.function("k"), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr) == kSuccess ? "" : lastFinding();
  };
  EXPECT_EQ(run("0x44444444"), "");
  EXPECT_NE(run("0x44444414").find("the metadata of row 0 is 0x1 for run 1, which the format does not have"), std::string::npos) << lastFinding();
  EXPECT_NE(run("0x44444445"), "");
}

/// Four products of 8 x 8 x 4 in the lanes that PTX ISA 9.7.14.5.1 gives them, with A by columns and B by rows as well.
TEST(QuadPairs, ComputeFourProducts) {
  std::mt19937 random{3};
  float a[4][8][4], b[4][8][4];
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i) {
      a[pair][i / 4][i % 4] = static_cast<float>(static_cast<int>(random() % 15) - 7);
      b[pair][i / 4][i % 4] = static_cast<float>(static_cast<int>(random() % 15) - 7);
    }
  for (bool rowA : {false, true})
    for (bool rowB : {false, true}) {
      std::vector<uint32_t> words;
      for (int lane = 0; lane < 32; ++lane) {
        int pair = lane % 16 / 4, t = lane % 4, upper = lane < 16 ? 0 : 4;
        auto half = [](float value) { return static_cast<uint32_t>(numerics::encodeF16(value)); };
        auto elementA = [&](int i) { return half(rowA ? a[pair][t + upper][i] : a[pair][i + upper][t]); };
        auto elementB = [&](int i) { return half(rowB ? b[pair][i + upper][t] : b[pair][t + upper][i]); };
        for (int i : {0, 2})
          words.push_back(elementA(i) | elementA(i + 1) << 16);
        for (int i : {0, 2})
          words.push_back(elementB(i) | elementB(i + 1) << 16);
      }
      std::string text = fmt::format(
          "mov.u32 %r40, %tid.x;\nmul.wide.u32 %rd2, %r40, 16;\nadd.u64 %rd2, %rd0, %rd2;\nmul.wide.u32 %rd3, %r40, 32;\nadd.u64 %rd3, %rd1, %rd3;\n"
          "ld.global.v4.u32 {{%r0, %r1, %r2, %r3}}, [%rd2];\nmov.f32 %f8, 0f3f800000;\n"
          "mma.sync.aligned.m8n8k4.{}.{}.f32.f16.f16.f32 {{%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7}}, {{%r0, %r1}}, {{%r2, %r3}}, "
          "{{%f8, %f8, %f8, %f8, %f8, %f8, %f8, %f8}};\nst.global.v4.f32 [%rd3], {{%f0, %f1, %f2, %f3}};\n"
          "st.global.v4.f32 [%rd3 + 16], {{%f4, %f5, %f6, %f7}};\n",
          rowA ? "row" : "col", rowB ? "row" : "col");
      Device device("sm_80");
      ASSERT_EQ(device.load(kernel(2, text, "", "sm_80")), kSuccess) << lastFinding();
      CUdeviceptr in = device.upload(words), out = device.alloc(1024);
      ASSERT_EQ(device.launch("k", 1, 32, 0, in, out), kSuccess) << lastFinding();
      std::vector<float> result = device.download<float>(out, 256);
      for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < 8; ++i) {
          int pair = lane % 16 / 4, row = (lane & 1) + (i & 2) + (lane < 16 ? 0 : 4), column = (i & 4) + (lane & 2) + (i & 1);
          float expected = 1;
          for (int j = 0; j < 4; ++j)
            expected += a[pair][row][j] * b[pair][column][j];
          EXPECT_EQ(result[static_cast<size_t>(8 * lane + i)], expected) << lane << ", " << i;
        }
    }
}

} // namespace
