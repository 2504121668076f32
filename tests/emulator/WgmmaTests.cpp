// Matrix steps of a warpgroup: CUTLASS's layouts, against products computed here; and the mistakes that are found.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

/// A program of corpus/wgmma.cu: 64 x n = a (64 x k) times b (n x k) transposed.
struct Program {
  const char *name;
  const char *typeA, *typeB, *typeOut;
  int n, k, shared;
};

/// Small integers, which all of these types hold.
uint32_t encode(int value, const std::string &type) {
  if (type == "s8" || type == "u8" || type == "s32")
    return static_cast<uint32_t>(value) & (type == "s32" ? ~0u : 0xffu);
  if (type == "bf16")
    return numerics::floatBits(static_cast<float>(value)) >> 16;
  if (type == "f32" || type == "tf32")
    return numerics::floatBits(static_cast<float>(value));
  bool isE5M2 = type == "e5m2";
  int mantissa = type == "f16" ? 10 : isE5M2 ? 2 : 3, bias = type == "f16" || isE5M2 ? 15 : 7, signAt = type == "f16" ? 15 : 7;
  if (value == 0)
    return 0;
  uint32_t magnitude = static_cast<uint32_t>(std::abs(value));
  int exponent = 31 - __builtin_clz(magnitude);
  uint32_t fraction = (magnitude << mantissa >> exponent) & ((1u << mantissa) - 1);
  return static_cast<uint32_t>(value < 0) << signAt | static_cast<uint32_t>(exponent + bias) << mantissa | fraction;
}

size_t bytesOf(const std::string &type) {
  return type == "bf16" || type == "f16" ? 2 : type == "s8" || type == "u8" || type == "e4m3" || type == "e5m2" ? 1 : 4;
}

std::vector<uint8_t> pack(const std::vector<int> &values, const std::string &type) {
  std::vector<uint8_t> bytes;
  for (int value : values) {
    uint32_t bits = encode(value, type);
    for (size_t i = 0; i < bytesOf(type); ++i)
      bytes.push_back(static_cast<uint8_t>(bits >> (8 * i)));
  }
  return bytes;
}

class Wgmma : public ::testing::TestWithParam<Program> {};

TEST_P(Wgmma, IsTheProduct) {
  const Program &program = GetParam();
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/wgmma_O3.ptx")), kSuccess) << lastFinding();
  std::mt19937 random{5};
  int low = std::string(program.typeA) == "u8" ? 0 : -3;
  std::vector<int> a(static_cast<size_t>(64 * program.k)), b(static_cast<size_t>(program.n * program.k)),
      expected(static_cast<size_t>(64 * program.n));
  for (int &value : a)
    value = low + static_cast<int>(random() % 7);
  for (int &value : b)
    value = (std::string(program.typeB) == "u8" ? 0 : -3) + static_cast<int>(random() % 7);
  for (int row = 0; row < 64; ++row)
    for (int column = 0; column < program.n; ++column)
      for (int i = 0; i < program.k; ++i)
        expected[static_cast<size_t>(row * program.n + column)] +=
            a[static_cast<size_t>(row * program.k + i)] * b[static_cast<size_t>(column * program.k + i)];
  CUdeviceptr deviceA = device.upload(pack(a, program.typeA)), deviceB = device.upload(pack(b, program.typeB));
  std::vector<uint8_t> expectedBytes = pack(expected, program.typeOut);
  CUdeviceptr out = device.alloc(expectedBytes.size());
  ASSERT_EQ(device.d.funcSetAttribute(device.function(program.name), kFunctionMaxDynamicSharedBytes, program.shared), kSuccess);
  ASSERT_EQ(device.launch(program.name, 1, 128, static_cast<unsigned>(program.shared), deviceA, deviceB, out), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint8_t>(out, expectedBytes.size()), expectedBytes);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, Wgmma,
    ::testing::Values(Program{"bf16_kk_none", "bf16", "bf16", "f32", 64, 128, 49152}, Program{"bf16_kk_32", "bf16", "bf16", "f32", 64, 128, 49152},
                      Program{"bf16_kk_64", "bf16", "bf16", "f32", 64, 128, 49152}, Program{"bf16_kk_128", "bf16", "bf16", "f32", 64, 128, 49152},
                      Program{"bf16_mn_none", "bf16", "bf16", "f32", 64, 64, 49152}, Program{"bf16_mn_32", "bf16", "bf16", "f32", 64, 64, 49152},
                      Program{"bf16_mn_64", "bf16", "bf16", "f32", 64, 64, 49152}, Program{"bf16_mn_128", "bf16", "bf16", "f32", 64, 64, 49152},
                      Program{"bf16_wide_mixed", "bf16", "bf16", "f32", 256, 64, 65536},
                      Program{"bf16_registers", "bf16", "bf16", "f32", 128, 64, 49152}, Program{"f16_half", "f16", "f16", "f16", 32, 64, 49152},
                      Program{"tf32_kk", "tf32", "tf32", "f32", 32, 64, 49152}, Program{"s8_u8", "s8", "u8", "s32", 96, 128, 49152},
                      Program{"e4m3_e5m2", "e4m3", "e5m2", "f32", 16, 128, 49152}),
    [](const auto &info) { return std::string(info.param.name); });

/// A step whose A is in registers: B are 8 rows of 32 bytes from `base` on, written by the block.
std::string step(const std::string &beforeStep, const std::string &afterStep) {
  return R"(
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, memory;
    shl.b32 %r3, %r1, 2;
    add.u32 %r3, %r3, %r2;
    mov.b32 %r4, 0x3f803f80;
    st.shared.b32 [%r3], %r4;
    fence.proxy.async.shared::cta;
    bar.sync 0;
    shr.u32 %r5, %r2, 4;
    cvt.u64.u32 %rd2, %r5;
    or.b64 %rd2, %rd2, 0x0000001000080000;
    add.f32 %f0, 0f00000000, 0f00000000;
    add.f32 %f1, %f0, %f0;
    add.f32 %f2, %f0, %f0;
    add.f32 %f3, %f0, %f0;
    add.u32 %r10, %r4, 0;
    add.u32 %r11, %r4, 0;
    add.u32 %r12, %r4, 0;
    add.u32 %r13, %r4, 0;
)" + beforeStep + R"(
    wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f0, %f1, %f2, %f3}, {%r10, %r11, %r12, %r13}, %rd2, 1, 1, 1, 0;
)" + afterStep + R"(
    mul.wide.u32 %rd3, %r1, 4;
    add.u64 %rd3, %rd3, %rd0;
    st.global.f32 [%rd3], %f0;
    ret;
)";
}

std::string run(const std::string &beforeStep, const std::string &afterStep, std::vector<float> *result = nullptr,
                CheckLevel checks = CheckLevel::Full, const std::string &body = "") {
  Device device("sm_90a", checks);
  std::string ptx = kernel(1, body.empty() ? step(beforeStep, afterStep) : body, ".shared .align 128 .b8 memory[1024];", "sm_90a", "8.0");
  if (device.load(ptx) != kSuccess)
    return lastFinding();
  CUdeviceptr out = device.alloc(512);
  if (device.launch("k", 1, 128, 0, out) != kSuccess)
    return lastFinding();
  if (result)
    *result = device.download<float>(out, 128);
  return "";
}

void expectIn(const std::string &part, const std::string &text) {
  EXPECT_NE(text.find(part), std::string::npos) << "expected: " << part << "\nfound: " << text;
}

const char kFence[] = "wgmma.fence.sync.aligned;\n";
const char kEnd[] = "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n";

TEST(WgmmaFindings, RightProgram) {
  std::vector<float> result;
  ASSERT_EQ(run(kFence, kEnd, &result), "");
  EXPECT_EQ(result, std::vector<float>(128, 16.0f)); // sixteen products of ones
}

TEST(WgmmaFindings, MissingFence) {
  expectIn("wgmma.fence is missing", run("", kEnd));
  expectIn("wgmma.fence is missing: a register of A was written at line", run(std::string(kFence) + "add.u32 %r12, %r12, 0;\n", kEnd));
}

TEST(WgmmaFindings, MissingProxyFence) {
  std::string body = step(kFence, kEnd), fence = "fence.proxy.async.shared::cta;";
  size_t at = body.find(fence);
  ASSERT_EQ(run("", "", nullptr, CheckLevel::Full, body), "");
  body.replace(at, fence.size(), "");
  expectIn("fence.proxy.async is missing: the async proxy accesses shared address", run("", "", nullptr, CheckLevel::Full, body));
  body.insert(body.find("bar.sync 0;") + 11, "\n" + fence); // after the barrier will do, too
  EXPECT_EQ(run("", "", nullptr, CheckLevel::Full, body), "");
}

TEST(WgmmaFindings, MissingWait) {
  expectIn("which has not been waited for (wgmma.wait_group)", run(kFence, ""));
  expectIn("reads an accumulator of the wgmma", run(kFence, "wgmma.commit_group.sync.aligned;\n"));
  expectIn("reads an accumulator of the wgmma", run(kFence, "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 1;\n"));
  // Not committed: wait_group waits for groups.
  expectIn("reads an accumulator of the wgmma", run(kFence, "wgmma.wait_group.sync.aligned 0;\n"));
}

TEST(WgmmaFindings, OperandsChangedTooEarly) {
  expectIn("writes a register of A of the wgmma", run(kFence, std::string("add.u32 %r10, %r10, 1;\n") + kEnd));
  // The shared operand of all warps, by some of them before they wait.
  std::string store = "bar.sync 0;\nmov.b32 %r20, 5;\nst.shared.b32 [%r3], %r20;\n";
  expectIn("shared-memory race", run(kFence, store + kEnd));
  expectIn("B of the wgmma at line 36 was changed in shared memory before the step was waited for", run(kFence, store + kEnd, nullptr, CheckLevel::Fast));
  EXPECT_EQ(run(kFence, std::string(kEnd) + store), "");
}

TEST(WgmmaFindings, WarpsDisagree) {
  expectIn("the warps of a warpgroup must execute the same wgmma", run(std::string(kFence) + "shr.u32 %r30, %r1, 5;\ncvt.u64.u32 %rd9, %r30;\nadd.u64 %rd2, %rd2, %rd9;\n", kEnd));
  expectIn("it must be the same in all lanes", run(std::string(kFence) + "and.b32 %r30, %r1, 1;\ncvt.u64.u32 %rd9, %r30;\nadd.u64 %rd2, %rd2, %rd9;\n", kEnd));
}

TEST(WgmmaFindings, UnwrittenOperand) {
  expectIn("which was never written", run(std::string(kFence) + "add.u64 %rd2, %rd2, 48;\n", kEnd));
}

TEST(WgmmaFindings, Refused) {
  auto message = [](const std::string &line) {
    Device device("sm_90a");
    EXPECT_EQ(device.loadAndLaunch(kernel(1, line, "", "sm_90a", "8.0")), kErrorNotSupported);
    return lastFinding();
  };
  expectIn("no wgmma.mma_async has these types and this shape", message("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.f16 {%f0,%f1,%f2,%f3}, %rd1, %rd2, 1, 1, 1, 0, 0;"));
  expectIn("the result must be a vector of 8 registers", message("wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%f0,%f1,%f2,%f3}, %rd1, %rd2, 1, 1, 1, 0, 0;"));
  expectIn("sparse wgmma is not supported", message("wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.bf16.bf16 {%f0,%f1,%f2,%f3}, %rd1, %rd2, %r1, 0, 1, 1, 1, 0, 0;"));
}

} // namespace
