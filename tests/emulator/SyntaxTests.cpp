// What PTX allows and compilers of today rarely write: constant expressions, vector registers, parameters in registers, aliases, directives
// that share a line with instructions; and registers wider than an instruction's types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const char *const kStart = ".version 8.7\n.target sm_120a\n.address_size 64\n";

/// Runs kernel `k(p0)` with one thread; p0 has room for `count` words.
std::vector<uint32_t> runModule(const std::string &ptx, size_t count) {
  Device device;
  EXPECT_EQ(device.load(ptx), kSuccess) << lastFinding();
  CUdeviceptr out = device.upload(std::vector<uint32_t>(count, 0));
  EXPECT_EQ(device.launch("k", 1, 1, 0, out), kSuccess) << lastFinding();
  return device.download<uint32_t>(out, count);
}

using Words = std::vector<uint32_t>;

std::string refusal(const std::string &ptx) {
  Device device;
  return device.loadAndLaunch(ptx) == kSuccess ? "" : lastFinding();
}

TEST(Syntax, ConstantExpressions) {
  EXPECT_EQ(runModule(kernel(1,
                             "ld.global.u32 %r1, [table + 2 * 4 - 4];\nst.global.u32 [%rd0], %r1;\n"
                             "mov.u32 %r1, 3 * 4 + (1 << 2);\nst.global.u32 [%rd0 + 2 * 2], %r1;\n"
                             "mov.u32 %r1, -(7 - 2) & 0xff | 0x100;\nst.global.u32 [%rd0 + 0x8], %r1;\n"
                             "add.u32 %r1, %r1, 10 > 3 ? 5 : 6;\nst.global.u32 [%rd0 + 12], %r1;\n"
                             "mov.u32 %r1, (-8 >> 1) + 17 % 5 * WARP_SZ;\nst.global.u32 [%rd0+16], %r1;\n"
                             "mov.u64 %rd1, (.u64)(-8) >> 60U;\nst.global.u32 [%rd0+20], %rd1;\n",
                             ".global .u32 table[1 + 1] = {!0 + 1, ~0 ^ 0xf};\n"),
                      6),
            (Words{0xfffffff0u, 16, 0x1fb, 0x200, 60, 15}));
  EXPECT_EQ(refusal(kernel(0, "mov.u32 %r1, 1 / (2 - 2);\n")), "line 13: a constant expression divides by 0");
}

TEST(Syntax, VectorRegisters) {
  EXPECT_EQ(runModule(kernel(1,
                             ".reg .v4 .b32 v;\n.reg .v2 .f32 w;\nld.const.v4.b32 v, [four];\nmov.b32 v.x, v.w;\nadd.u32 v.g, v.y, 5;\n"
                             "st.global.v4.b32 [%rd0], v;\nmov.f32 w.x, 0f3f800000;\nmov.f32 w.y, w.x;\nst.global.v2.f32 [%rd0 + 16], w;\n",
                             ".const .align 16 .b32 four[4] = {1, 2, 3, 4};\n"),
                      6),
            (Words{4, 7, 3, 4, 0x3f800000, 0x3f800000}));
}

TEST(Syntax, ParametersInRegisters) {
  const char *functions = ".func (.reg .b32 sum, .reg .b64 wide) both(.reg .b32 a, .reg .b32 b)\n{\n.reg .pred p;\nsetp.gt.u32 p, a, 100;\n"
                          "add.u32 sum, a, b;\nmul.wide.u32 wide, a, b;\n@p ret;\nadd.u32 sum, sum, 1000;\n}\n"
                          ".func (.reg .b32 r) down(.reg .b32 n)\n{\n.reg .pred p;\n.reg .b32 m;\nsetp.eq.u32 p, n, 0;\nmov.b32 r, 0;\n@p ret;\n"
                          "sub.u32 m, n, 1;\ncall (r), down, (m);\nadd.u32 r, r, n;\nret;\n}\n";
  EXPECT_EQ(runModule(kernel(1,
                             "mov.u32 %r1, 7;\ncall (%r2, %rd1), both, (%r1, 3 + 3);\nst.global.u32 [%rd0], %r2;\nst.global.u32 [%rd0+4], %rd1;\n"
                             "call (%r2, %rd1), both, (200, %r1);\nst.global.u32 [%rd0+8], %r2;\nst.global.u32 [%rd0+12], %rd1;\n"
                             "call (%r2), down, (9);\nst.global.u32 [%rd0+16], %r2;\n",
                             functions),
                      5),
            (Words{1013, 42, 207, 1400, 45}));
}

TEST(Syntax, AliasesAndVariablesOfFunctions) {
  std::string functions = ".func (.param .b32 o) real(.param .b32 i)\n{\n.reg .b32 t;\n.global .b32 count = 40;\n.const .b32 step[2] = {1, 2};\n"
                          "ld.global.b32 t, [count];\nst.global.b32 [count], 50;\n.reg .b32 s;\nld.const.b32 s, [step + 4];\nadd.u32 t, t, s;\n"
                          "st.param.b32 [o], t;\nret;\n}\n.func (.param .b32 o) other(.param .b32 i);\n";
  std::string body = "{\n.param .b32 a;\n.param .b32 b;\nst.param.b32 [a], 1;\ncall (b), real, (a);\nld.param.b32 %r1, [b];\ncall (b), other, (a);\n"
                     "ld.param.b32 %r2, [b];\n}\nst.global.v2.u32 [%rd0], {%r1, %r2};\n";
  EXPECT_EQ(runModule(kernel(1, body, functions + ".alias other, real;\n"), 2), (Words{42, 52}));
  EXPECT_EQ(refusal(kernel(1, body, functions + ".alias other, unreal;\n")),
            "line 18: the alias 'other' is of 'unreal', which is no function that the module defines");
}

TEST(Syntax, DirectivesShareLinesWithInstructions) {
  std::string text = std::string("\xef\xbb\xbf# 1 \"a.cu\"\n") + kStart +
                     ".file 1 \"\xc3\xa4.cu\", 12, 34\n@@DWARF .byte 0x10\n.visible .entry k(.param .u64 p) .maxntid 32, 1, 1 .pragma \"nounroll\";\n"
                     "{ .reg .b64 %a; .reg .b32 %b; .pragma \"nounroll\"; ld.param.u64 %a, [p];\n"
                     ".loc 1 2 3 mov.b32 %b, 5; .loc 1 2 3, function_name $L + 4, inlined_at 1 2 3 st.global.b32 [%a], %b;\n$L$: ret; }\n";
  EXPECT_EQ(runModule(text, 1), Words{5});
  EXPECT_EQ(refusal(std::string(kStart) + "#define X 1\n"),
            "line 4: the directive '#define' of a preprocessor is not supported: preprocess the PTX before it is loaded");
}

TEST(Syntax, NewerVersionsLoad) {
  EXPECT_EQ(runModule(kernel(1, "st.global.u32 [%rd0], 1;\n", "", "sm_90", "9.4"), 1), Words{1});
  EXPECT_NE(refusal(kernel(1, "", "", "sm_90", "10.0")), "");
  // What they add: 1.5 and 2.25.
  EXPECT_EQ(runModule(kernel(1, "mov.b16 %h1, 0x3c41;\ncvt.rn.bf16x2.e4m3x2 %r1, %h1;\nst.global.b32 [%rd0], %r1;\n", "", "sm_120a", "9.4"), 1), Words{0x3fc04010});
}

/// PTX ISA 9.4.1: cvt takes and gives registers wider than its types.
TEST(Syntax, ConversionsOfWiderRegisters) {
  EXPECT_EQ(runModule(kernel(1, "mov.u64 %rd1, 0x12345678fedcba98;\n"
                                "cvt.s64.s32 %rd2, %rd1;\nst.global.u64 [%rd0], %rd2;\n"
                                "cvt.u32.u16 %r1, %rd1;\nst.global.u32 [%rd0+8], %r1;\n"
                                "cvt.s8.s64 %rd2, %rd1;\nst.global.u64 [%rd0+16], %rd2;\n"
                                "cvt.u8.u32 %rd2, 0x1ff;\nst.global.u64 [%rd0+24], %rd2;\n"
                                "cvt.rn.f32.s32 %f1, %rd1;\nst.global.f32 [%rd0+32], %f1;\n"
                                "cvt.rzi.s32.f32 %rd2, 0fc0600000;\nst.global.u64 [%rd0+40], %rd2;\n"
                                "cvt.sat.u8.s32 %rd2, %rd1;\nst.global.u64 [%rd0+48], %rd2;\n"),
                      14),
            (Words{0xfedcba98u, 0xffffffffu, 0xba98u, 0, 0xffffff98u, 0xffffffffu, 0xffu, 0, 0xcb91a2b4u, 0, 0xfffffffdu, 0xffffffffu, 0, 0}));
}

TEST(Syntax, WideIntegersRoundAsTold) {
  EXPECT_EQ(runModule(kernel(1, "mov.u64 %rd1, 0xffffffffffffffff;\ncvt.rz.f64.u64 %fd1, %rd1;\nst.global.f64 [%rd0], %fd1;\n"
                                "cvt.rn.f64.u64 %fd1, %rd1;\nst.global.f64 [%rd0+8], %fd1;\n"
                                "mov.u64 %rd1, -9007199254740993;\ncvt.rm.f64.s64 %fd1, %rd1;\nst.global.f64 [%rd0+16], %fd1;\n"),
                      6),
            (Words{0xffffffffu, 0x43efffffu, 0, 0x43f00000u, 1, 0xc3400000u}));
}

} // namespace
