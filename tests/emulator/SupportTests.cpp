// A module in which some kernels use what the emulated device has not: those are refused when they are launched, the others run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

constexpr const char *kHead = ".version 8.7\n.target sm_100a\n.address_size 64\n";
constexpr const char *kMissing = "  tcgen05.shift.cta_group::1.down [%r1];\n";

std::string function(const std::string &name, const std::string &body) {
  return ".func (.param .b32 result) " + name + "(.param .b32 n)\n{\n.reg .b32 %r<8>;\n.reg .pred %p<2>;\nld.param.b32 %r1, [n];\n" + body +
         "st.param.b32 [result], %r1;\nret;\n}\n";
}

/// A kernel that stores 7, or what is left in %r1.
std::string entry(const std::string &name, const std::string &body) {
  return ".visible .entry " + name +
         "(.param .u64 out, .param .u32 which)\n{\n.reg .b32 %r<8>;\n.reg .b64 %rd<8>;\n.reg .f32 %f<8>;\nld.param.u64 %rd1, [out];\n"
         "ld.param.u32 %r2, [which];\nmov.u32 %r1, 7;\n" +
         body + "st.global.u32 [%rd1], %r1;\nret;\n}\n";
}

std::string call(const std::string &name) {
  return "{\n.param .b32 x;\n.param .b32 y;\nst.param.b32 [x], %r1;\ncall (y), " + name + ", (x);\nld.param.b32 %r1, [y];\n}\n";
}

class Support : public ::testing::Test {
protected:
  Device device{"sm_100a"};

  void load(const std::string &text) { ASSERT_EQ(device.load(kHead + text), kSuccess) << lastFinding(); }
  void runs(const char *name, uint32_t which = 0, uint32_t result = 7) {
    CUdeviceptr out = device.alloc(4);
    ASSERT_EQ(device.launch(name, 1, 1, 0, out, which), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<uint32_t>(out, 1)[0], result) << name;
  }
  void fails(CUresult code, const char *name, const std::vector<std::string> &words, uint32_t which = 0) {
    EXPECT_EQ(device.launch(name, 1, 1, 0, device.alloc(4), which), code) << name << lastFinding();
    for (const std::string &word : words)
      EXPECT_NE(lastFinding().find(word), std::string::npos) << "'" << word << "' is not in: " << lastFinding();
  }
};

TEST_F(Support, OneKernelCannotAnotherCan) {
  load(entry("cannot", std::string(kMissing) + kMissing) + entry("can", ""));
  runs("can");
  fails(kErrorNotSupported, "cannot", {"kernel 'cannot', line 12: `tcgen05.shift", "is not supported", "and 1 other instruction"});
  runs("can"); // nothing sticks
  std::vector<KernelSupport> support = kernelSupport(device.module);
  ASSERT_EQ(support.size(), 2u);
  EXPECT_EQ(support[0].name, "can");
  EXPECT_TRUE(support[0].missing.empty());
  ASSERT_EQ(support[1].missing.size(), 2u);
  EXPECT_NE(support[1].missing[1].find("line 13"), std::string::npos);
}

TEST_F(Support, MatrixStepsOfTwoGenerations) {
  const char *wgmma = "wgmma.fence.sync.aligned;\n", *tcgen05 = "tcgen05.wait::ld.sync.aligned;\n";
  load(entry("both", std::string(wgmma) + tcgen05) + entry("one", wgmma) + entry("other", tcgen05));
  fails(kErrorNotSupported, "both", {"kernel 'both', line", "no GPU has both"});
  std::vector<KernelSupport> support = kernelSupport(device.module);
  ASSERT_EQ(support.size(), 3u);
  for (const KernelSupport &kernel : support)
    EXPECT_EQ(kernel.missing.empty(), kernel.name != "both") << kernel.name;
}

TEST_F(Support, FunctionsThatAreReached) {
  load(function("bad", kMissing) + function("between", call("bad")) + function("good", "add.u32 %r1, %r1, 1;\n") +
       entry("direct", call("bad")) + entry("twice", call("between") + call("between")) + entry("other", call("good")) + entry("none", ""));
  fails(kErrorNotSupported, "direct", {"kernel 'direct', line 9", "tcgen05.shift"});
  fails(kErrorNotSupported, "twice", {"kernel 'twice', line 9"});
  EXPECT_EQ(lastFinding().find("other instruction"), std::string::npos) << lastFinding();
  runs("other", 0, 8);
  runs("none");
}

TEST_F(Support, FunctionsThatCallThemselves) {
  // Called in earnest: the second activation is not inlined, and what is missing stands in a third function.
  std::string recursive = "setp.eq.u32 %p1, %r1, 0;\n@%p1 bra END;\nsub.u32 %r1, %r1, 1;\n" + call("again") + "END:\n";
  std::string declaration = ".func (.param .b32 result) again(.param .b32 n);\n";
  load(declaration + function("bad", kMissing) + function("again", recursive) + entry("can", call("again")));
  runs("can", 0, 0);
  load(declaration + function("bad", kMissing) + function("again", recursive + call("bad")) + entry("cannot", call("again")));
  fails(kErrorNotSupported, "cannot", {"kernel 'cannot', line 10"});
}

TEST_F(Support, FunctionsThatAreCalledThroughPointers) {
  load(function("good", "add.u32 %r1, %r1, 1;\n") + function("bad", kMissing) + ".global .u64 table[2] = {good, bad};\n" +
       entry("choose", "mul.wide.u32 %rd2, %r2, 8;\nmov.u64 %rd3, table;\nadd.s64 %rd2, %rd2, %rd3;\nld.global.u64 %rd2, [%rd2];\n{\n"
                       ".param .b32 x;\n.param .b32 y;\nst.param.b32 [x], %r1;\nP: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
                       "call (y), %rd2, (x), P;\nld.param.b32 %r1, [y];\n}\n"));
  runs("choose", 0, 8);
  EXPECT_TRUE(kernelSupport(device.module)[0].missing.empty());
  EXPECT_EQ(kernelSupport(device.module)[0].missingIfCalled.size(), 1u);
  fails(kErrorIllegalInstruction, "choose", {"`call (y), %rd2", "function 'bad' cannot be called here", "tcgen05.shift", "line 18"}, 1);
}

TEST_F(Support, TexturesExternalsAndParameters) {
  load(".global .texref picture;\n.extern .global .align 4 .b32 elsewhere;\n.extern .func (.param .b32 r) outside(.param .b32 n);\n"
       ".global .u32 here = 3;\n.extern .global .u32 here;\n" +
       entry("samples", "tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [picture, {%f1, %f2}];\n") +
       entry("separate", "tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%rd1, %rd1, {%f1, %f2}];\n") +
       entry("surface", "suld.b.2d.v2.b32.trap {%r1, %r2}, [%rd1, {%r1, %r2}];\n") + entry("links", "ld.global.u32 %r1, [elsewhere];\n") +
       entry("calls", call("outside")) + entry("can", "ld.global.u32 %r1, [here];\n") +
       ".func inRegisters(.reg .b32 x) { ret; }\n" + entry("negates", "add.f32 %f1, %f2, -%f3;\n"));
  runs("can", 0, 3);
  fails(kErrorNotSupported, "samples", {"tex.2d.v4.f32.f32", "'tex'"});
  fails(kErrorNotSupported, "separate", {"line 29", "textures"});
  fails(kErrorNotSupported, "surface", {"suld"});
  fails(kErrorNotSupported, "links", {"'elsewhere': it is external"});
  fails(kErrorNotSupported, "calls", {"'outside' is not defined"});
  fails(kErrorNotSupported, "negates", {"minus sign"});
}

TEST_F(Support, MistakesFailTheLoad) {
  for (const char *wrong : {"mov.u32 %r1, %nosuch;\n", "bra nowhere;\n", "add.u32 %r1 %r2;\n", "add.u32 %r1, %r1, 1\n", "call missing;\n"}) {
    EXPECT_EQ(device.load(kHead + entry("can", "") + entry("wrong", wrong)), kErrorInvalidPtx) << wrong;
    EXPECT_NE(lastFinding().find("line 2"), std::string::npos) << lastFinding();
  }
}

TEST_F(Support, BytesOfAnAddress) {
  // As LLVM initialises packed structs.
  load(".global .align 4 .u32 here = 9;\n.global .align 1 .b8 packed[9] = {1, 0xff(generic(here)), 0xff00(generic(here)), 0xff0000(generic(here)), "
       "0xff000000(generic(here)), 0xff00000000(generic(here)), 0xff0000000000(generic(here)), 0xff000000000000(generic(here)), "
       "0xff00000000000000(generic(here))};\n" +
       entry("can", ".reg .u64 %a<2>;\nmov.u64 %rd2, packed;\nmov.u64 %a1, 0;\n.reg .pred %q;\nmov.u32 %r3, 8;\n"
                    "NEXT: add.s64 %rd3, %rd2, 8;\nld.global.u8 %rd4, [%rd3];\nshl.b64 %a1, %a1, 8;\nor.b64 %a1, %a1, %rd4;\nsub.s64 %rd2, %rd2, 1;\n"
                    "sub.u32 %r3, %r3, 1;\nsetp.ne.u32 %q, %r3, 0;\n@%q bra NEXT;\nld.u32 %r1, [%a1];\n"));
  runs("can", 0, 9);
}

} // namespace
