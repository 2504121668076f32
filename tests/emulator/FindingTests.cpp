// What the emulated device reports: each mistake beside a valid twin that differs in little and passes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// Runs `body` with one output buffer of 4 KiB (all zero) and expects `code`; a failure's finding must contain all
/// `words`.
void expect(int code, const std::string &body, const std::vector<std::string> &words = {}, unsigned threads = 32,
            const std::string &globals = "", unsigned shared = 0) {
  Device device;
  ASSERT_EQ(device.load(kernel(2, body, globals)), kSuccess) << lastFinding();
  std::vector<uint32_t> zero(1024, 0);
  CUdeviceptr out = device.upload(zero), fresh = device.alloc(256);
  EXPECT_EQ(device.launch("k", 1, threads, shared, out, fresh), code) << body << "\n" << lastFinding();
  if (code == kSuccess)
    return;
  std::string finding = lastFinding();
  for (const std::string &word : words)
    EXPECT_NE(finding.find(word), std::string::npos) << "'" << word << "' is not in: " << finding;
  EXPECT_NE(finding.find("kernel 'k', line "), std::string::npos) << finding;
}

const char *const kThread =
    "mov.u32 %r0, %tid.x;\nmul.wide.u32 %rd10, %r0, 4;\nadd.s64 %rd11, %rd0, %rd10;\nmov.u32 %r1, 7;\n";

TEST(Findings, OutOfBoundsGlobal) {
  std::string start = kThread;
  expect(kSuccess, start + "st.global.u32 [%rd11+3968], %r1;");
  expect(kErrorIllegalAddress, start + "st.global.u32 [%rd11+3972], %r1;",
         {"block (0, 0, 0), thread (31, 0, 0)", "allocation #1 of 4096 bytes", "out of bounds"});
  expect(kErrorIllegalAddress, start + "ld.global.u32 %r1, [%rd11+-4];", {"thread (0, 0, 0)", "read of 4 bytes"});
}

TEST(Findings, UseAfterFree) {
  Device device;
  ASSERT_EQ(device.load(kernel(1, "ld.global.u32 %r1, [%rd0];")), kSuccess) << lastFinding();
  CUdeviceptr p = device.upload(std::vector<int>{1});
  EXPECT_EQ(device.launch("k", 1, 1, 0, p), kSuccess);
  EXPECT_EQ(device.d.memFree(p), kSuccess);
  EXPECT_EQ(device.launch("k", 1, 1, 0, p), kErrorIllegalAddress);
  EXPECT_NE(lastFinding().find("which was freed"), std::string::npos) << lastFinding();
  // Sticky, as on a GPU.
  EXPECT_EQ(device.d.ctxSynchronize(), kErrorIllegalAddress);
}

TEST(Findings, Misaligned) {
  std::string start = kThread;
  expect(kSuccess, start + "ld.global.v2.u32 {%r1, %r2}, [%rd0+8];");
  expect(kErrorMisalignedAddress, start + "ld.global.v2.u32 {%r1, %r2}, [%rd0+4];", {"read of 8 bytes", "misaligned"});
}

TEST(Findings, SharedBounds) {
  std::string globals = ".shared .align 16 .b8 buffer[128];\n",
              start = std::string(kThread) + "mov.u32 %r2, buffer;\nmov.u32 %r3, 1;\n";
  expect(kSuccess, start + "st.shared.u32 [%r2+124], %r3;", {}, 1, globals);
  expect(kErrorIllegalAddress, start + "st.shared.u32 [%r2+128], %r3;", {"shared address", "out of bounds"}, 1,
         globals);
}

TEST(Findings, UninitialisedRegister) {
  std::string start = kThread;
  expect(kSuccess, start + "mov.u32 %r5, 1;\nst.global.u32 [%rd11], %r5;");
  expect(kErrorLaunchFailed, start + "st.global.u32 [%rd11], %r5;",
         {"uninitialised register", "store to global memory"});
  // It spreads through arithmetic, and matters in addresses and branches.
  expect(kErrorLaunchFailed, start + "add.u32 %r6, %r5, 1;\nst.global.u32 [%rd11], %r6;", {"uninitialised register"});
  expect(kErrorLaunchFailed, start + "ld.global.u32 %r6, [%rd20];", {"as an address"});
  expect(kErrorLaunchFailed, start + "@%p1 bra L;\nL: ret;", {"as a predicate"});
  // Written in some lanes only.
  expect(kErrorLaunchFailed, start + "setp.lt.u32 %p1, %r0, 4;\n@%p1 mov.u32 %r5, 1;\nst.global.u32 [%rd11], %r5;",
         {"thread (4, 0, 0)"});
  // What selp does not select does not matter.
  expect(kSuccess, start + "setp.lt.u32 %p1, %r0, 99;\nselp.b32 %r6, %r1, %r5, %p1;\nst.global.u32 [%rd11], %r6;");
}

TEST(Findings, UninitialisedMemory) {
  std::string globals = ".shared .align 16 .b8 buffer[128];\n", start = kThread;
  start += "shl.b32 %r3, %r0, 2;\nmov.u32 %r2, buffer;\nadd.u32 %r2, %r2, %r3;\n";
  expect(kSuccess, start + "st.shared.u32 [%r2], %r1;\nld.shared.u32 %r4, [%r2];\nst.global.u32 [%rd11], %r4;", {}, 32,
         globals);
  expect(kErrorLaunchFailed, start + "ld.shared.u32 %r4, [%r2];\nst.global.u32 [%rd11], %r4;",
         {"uninitialised register", "loaded bytes never written"}, 32, globals);
  expect(kErrorLaunchFailed,
         start + "add.s64 %rd12, %rd1, %rd10;\nld.global.u32 %r4, [%rd12];\nst.global.u32 [%rd11], %r4;",
         {"loaded bytes never written"}, 32, globals);
}

TEST(Findings, Race) {
  std::string globals = ".shared .align 16 .b8 buffer[256];\n", start = kThread;
  start += "shl.b32 %r3, %r0, 2;\nmov.u32 %r2, buffer;\nadd.u32 %r4, %r2, %r3;\nst.shared.u32 [%r4], %r0;\n";
  std::string end =
      "xor.b32 %r5, %r3, 128;\nadd.u32 %r5, %r2, %r5;\nld.shared.u32 %r6, [%r5];\nst.global.u32 [%rd11], %r6;";
  expect(kSuccess, start + "bar.sync 0;\n" + end, {}, 64, globals);
  expect(kErrorLaunchFailed, start + end, {"never written"}, 64, globals);
  // Written before, so only the order is wrong: the second write races with the other warp's read.
  std::string again = "\nst.shared.u32 [%r4], %r1;";
  expect(kSuccess, start + "bar.sync 0;\n" + end + "\nbar.sync 0;" + again, {}, 64, globals);
  expect(kErrorLaunchFailed, start + "bar.sync 0;\n" + end + again, {"race", "race"}, 64, globals);
}

TEST(Findings, WarpsThatWriteTheSameDoNotRace) {
  // As where each warp has a copy of all sums (Triton), or raises a flag: who comes last does not matter. Readers have to wait all the same.
  std::string globals = ".shared .align 16 .b8 buffer[128];\n", start = kThread;
  start += "mov.u32 %r2, buffer;\nand.b32 %r3, %r0, 31;\nshl.b32 %r4, %r3, 2;\nadd.u32 %r4, %r2, %r4;\nshr.u32 %r5, %r0, 5;\n";
  std::string same = "st.shared.u32 [%r4], %r3;\n", other = "add.u32 %r3, %r3, %r5;\n", read = "ld.shared.u32 %r6, [%r4];\n", out = "st.global.u32 [%rd11], %r6;";
  expect(kSuccess, start + same + "bar.sync 0;\n" + read + out, {}, 64, globals);
  expect(kErrorLaunchFailed, start + other + same + "bar.sync 0;\n" + read + out, {"race: write", "wrote at line"}, 64, globals);
  expect(kErrorLaunchFailed, start + same + read + out, {"race", "without a barrier"}, 64, globals);
}

TEST(Findings, RaceOfBytes) {
  // Two warps write halves or bytes of one word: whether they race is told by bytes.
  std::string globals = ".shared .align 16 .b8 buffer[128];\n", start = kThread;
  start += "mov.u32 %r2, buffer;\nand.b32 %r3, %r0, 31;\nshl.b32 %r3, %r3, 2;\nadd.u32 %r2, %r2, %r3;\nshr.u32 %r4, %r0, 5;\n"
           "shl.b32 %r5, %r4, 1;\nadd.u32 %r5, %r5, %r2;\ncvt.u16.u32 %h1, %r0;\n";
  std::string half = "st.shared.u16 [%r5], %h1;\n", own = "ld.shared.u16 %h2, [%r5];\n", whole = "ld.shared.u32 %r6, [%r2];\n",
              byte = "add.u32 %r7, %r4, %r2;\nst.shared.u8 [%r7], %h1;\n", out = "cvt.u32.u16 %r6, %h2;\nst.global.u32 [%rd11], %r6;";
  expect(kSuccess, start + half + own + out, {}, 64, globals);
  expect(kSuccess, start + half + "bar.sync 0;\n" + whole + own + out, {}, 64, globals);
  expect(kErrorLaunchFailed, start + half + "bar.sync 0;\n" + whole + own + half + out, {"shared-memory race", "wrote at line"}, 64, globals);
  expect(kErrorLaunchFailed, start + half + byte + own + out, {"race: write", "wrote at line"}, 64, globals);
}

TEST(Findings, RaceInsideAWarp) {
  std::string globals = ".shared .align 16 .b8 buffer[128];\n", start = kThread;
  start += "shl.b32 %r3, %r0, 2;\nmov.u32 %r2, buffer;\nadd.u32 %r4, %r2, %r3;\nxor.b32 %r5, %r3, 4;\nadd.u32 %r5, %r2, %r5;\n"
           "st.shared.u32 [%r4], %r0;\n";
  std::string sync = "bar.warp.sync -1;\n", own = "ld.shared.u32 %r6, [%r4];\n", other = "ld.shared.u32 %r6, [%r5];\n",
              again = "st.shared.u32 [%r4], %r1;\n", out = "st.global.u32 [%rd11], %r6;";
  expect(kSuccess, start + own + out, {}, 32, globals);
  expect(kSuccess, start + sync + other + out, {}, 32, globals);
  expect(kSuccess, start + "bar.sync 0;\n" + other + out, {}, 32, globals);
  expect(kErrorLaunchFailed, start + other + out, {"race inside a warp: read", "lane 1 wrote"}, 32, globals);
  // The other way around: what a neighbour still reads is overwritten.
  expect(kSuccess, start + sync + other + sync + again + out, {}, 32, globals);
  expect(kErrorLaunchFailed, start + sync + other + again + out, {"race inside a warp: write", "lane 1 read"}, 32, globals);
  expect(kErrorLaunchFailed, start + sync + own + other + again + out, {"race inside a warp: write", "several lanes read"}, 32, globals);
  // Halves of one word, each lane its own: not a race.
  std::string halves = kThread;
  halves += "shl.b32 %r3, %r0, 1;\nmov.u32 %r2, buffer;\nadd.u32 %r4, %r2, %r3;\ncvt.u16.u32 %h1, %r0;\nst.shared.u16 [%r4], %h1;\n"
            "ld.shared.u16 %h2, [%r4];\ncvt.u32.u16 %r6, %h2;\n";
  expect(kSuccess, halves + out, {}, 32, globals);
}

TEST(Findings, DivergentBarrier) {
  std::string start = kThread;
  expect(kSuccess, start + "setp.lt.u32 %p1, %r0, 32;\n@!%p1 bra L;\nbar.sync 1, 32;\nL: bar.sync 0;", {}, 64);
  expect(kErrorLaunchFailed, start + "setp.lt.u32 %p1, %r0, 16;\n@!%p1 bra L;\nbar.sync 1, 32;\nL: bar.sync 0;",
         {"barrier under divergence", "0x0000ffff"}, 64);
}

TEST(Findings, Deadlock) {
  std::string start = kThread;
  expect(kErrorLaunchFailed, start + "setp.lt.u32 %p1, %r0, 32;\n@!%p1 bra L;\nbar.sync 1, 64;\nL: bar.sync 0;",
         {"deadlock", "warp 0 waits", "barrier 1 (32 of 64", "warp 1 waits"}, 64);
}

TEST(Findings, BoundsAndAlignmentWithoutChecks) {
  // A whole warp's access in bounds takes a short cut, which must not let in one lane that is not.
  auto run = [](const std::string &access) {
    Device device("sm_120a", CheckLevel::None);
    EXPECT_EQ(device.load(kernel(1, std::string(kThread) + "mov.u32 %r2, buffer;\nshl.b32 %r3, %r0, 2;\nadd.u32 %r4, %r2, %r3;\n"
                                                           "ld.global.u32 %r5, [%rd11];\n" + access,
                                 ".shared .align 16 .b8 buffer[128];\n")),
              kSuccess)
        << lastFinding();
    CUdeviceptr buffer = device.alloc(128);
    return device.launch("k", 1, 32, 0, buffer);
  };
  EXPECT_EQ(run("ld.shared.u32 %r6, [%r4];"), kSuccess);
  EXPECT_EQ(run("ld.shared.u32 %r6, [%r4+4];"), kErrorIllegalAddress);
  EXPECT_EQ(run("ld.shared.u32 %r6, [%r4+-4];"), kErrorIllegalAddress);
  // Misaligned, and in bounds.
  std::string allButLast = "setp.lt.u32 %p1, %r0, 31;\n@%p1 ";
  EXPECT_EQ(run(allButLast + "ld.shared.u32 %r6, [%r4+4];"), kSuccess);
  EXPECT_EQ(run(allButLast + "ld.shared.u32 %r6, [%r4+2];"), kErrorMisalignedAddress);
  EXPECT_EQ(run("ld.global.u32 %r6, [%rd11];"), kSuccess);
  EXPECT_EQ(run("ld.global.u32 %r6, [%rd11+4];"), kErrorIllegalAddress);
  EXPECT_EQ(run("ld.global.u32 %r6, [%rd11+-4];"), kErrorIllegalAddress);
  EXPECT_EQ(run(allButLast + "ld.global.u32 %r6, [%rd11+4];"), kSuccess);
  EXPECT_EQ(run(allButLast + "ld.global.u32 %r6, [%rd11+2];"), kErrorMisalignedAddress);
}

TEST(Findings, SpinsForEver) {
  // Warp 0 waits for a flag that warp 1 sets, or does not.
  std::string globals = ".shared .align 4 .u32 flag;\n", start = std::string(kThread) +
                        "mov.u32 %r2, flag;\nmov.u32 %r3, 0;\nst.volatile.shared.u32 [%r2], %r3;\nbar.sync 0;\n"
                        "setp.lt.u32 %p1, %r0, 32;\n@!%p1 bra SET;\n"
                        "WAIT: ld.volatile.shared.u32 %r4, [%r2];\nsetp.eq.u32 %p2, %r4, 0;\n@%p2 bra WAIT;\nbra END;\nSET: ";
  expect(kSuccess, start + "st.volatile.shared.u32 [%r2], %r1;\nEND: ret;", {}, 64, globals);
  expect(kErrorLaunchTimeout, start + "mov.u32 %r5, 1;\nEND: ret;",
         {"spins for ever", "warp 0 repeats lines", "warp 1 has ended"}, 64, globals);
  // A long loop is not a spin: its counter changes.
  std::string count = std::string(kThread) + "mov.u32 %r2, 0;\nLOOP: add.u32 %r2, %r2, 1;\nsetp.lt.u32 %p1, %r2, 1000000;\n"
                                             "@%p1 bra LOOP;\nst.global.u32 [%rd11], %r2;\n";
  expect(kSuccess, count);
  Device device;
  Options limited = options();
  limited.maxInstructions = 500000;
  setOptions(limited);
  ASSERT_EQ(device.load(kernel(2, count)), kSuccess);
  CUdeviceptr out = device.alloc(4096);
  EXPECT_EQ(device.launch("k", 1, 32, 0, out, out), kErrorLaunchTimeout);
  EXPECT_NE(lastFinding().find("more than 500000 warp instructions"), std::string::npos) << lastFinding();
}

TEST(Findings, MemberMask) {
  std::string start = kThread;
  expect(kSuccess, start + "shfl.sync.bfly.b32 %r2, %r0, 1, 31, -1;");
  expect(kErrorLaunchFailed, start + "setp.lt.u32 %p1, %r0, 16;\n@%p1 shfl.sync.bfly.b32 %r2, %r0, 1, 31, -1;",
         {"member mask 0xffffffff", "do not execute"});
  expect(kErrorLaunchFailed, start + "shfl.sync.bfly.b32 %r2, %r0, 1, 31, 0xffff;", {"not in its own member mask"});
}

const char *const kCopy =
    "mov.u32 %r2, buffer;\nshl.b32 %r3, %r0, 4;\nadd.u32 %r4, %r2, %r3;\nmul.wide.u32 %rd12, %r0, 16;\n"
    "add.s64 %rd13, %rd0, %rd12;\ncp.async.cg.shared.global [%r4], [%rd13], 16;\ncp.async.commit_group;\n";

TEST(Findings, AsyncCopyNotWaitedFor) {
  std::string globals = ".shared .align 16 .b8 buffer[512];\n", start = std::string(kThread) + kCopy;
  std::string end = "ld.shared.u32 %r6, [%r4];\nst.global.u32 [%rd11+2048], %r6;";
  expect(kSuccess, start + "cp.async.wait_group 0;\n" + end, {}, 32, globals);
  expect(kErrorLaunchFailed, start + "cp.async.wait_group 1;\n" + end, {"has not been waited for"}, 32, globals);
  expect(kErrorLaunchFailed, start + end, {"has not been waited for"}, 32, globals);
  // Waited for by one warp: another needs a barrier as well.
  std::string wide = ".shared .align 16 .b8 buffer[1024];\n";
  std::string other = "cp.async.wait_group 0;\n", swap = "xor.b32 %r7, %r3, 512;\nadd.u32 %r4, %r2, %r7;\n";
  expect(kSuccess, start + other + "bar.sync 0;\n" + swap + end, {}, 64, wide);
  expect(kErrorLaunchFailed, start + other + swap + end, {}, 64, wide);
}

TEST(Findings, AsyncCopySourceChanged) {
  std::string globals = ".shared .align 16 .b8 buffer[512];\n", start = std::string(kThread) + kCopy;
  expect(kSuccess, start + "cp.async.wait_all;\nst.global.u32 [%rd13], %r1;", {}, 32, globals);
  expect(kErrorLaunchFailed, start + "st.global.u32 [%rd13], %r1;\ncp.async.wait_all;", {"was changed before"}, 32,
         globals);
}

TEST(Findings, Trap) {
  std::string start = kThread;
  expect(kSuccess, start + "setp.gt.u32 %p1, %r0, 40;\n@%p1 trap;");
  expect(kErrorIllegalInstruction, start + "setp.eq.u32 %p1, %r0, 5;\n@%p1 trap;", {"trap", "thread (5, 0, 0)"});
}

TEST(Findings, HostErrors) {
  Device device;
  ASSERT_EQ(device.load(kernel(1, "ret;", ".extern .shared .align 16 .b8 dyn[];\n")), kSuccess) << lastFinding();
  CUdeviceptr p = device.alloc(16);
  EXPECT_EQ(device.launch("k", 1, 1024, 0, p), kSuccess);
  EXPECT_EQ(device.launch("k", 1, 1025, 0, p), kErrorInvalidValue);
  EXPECT_EQ(device.launch("k", 0, 1, 0, p), kErrorInvalidValue);
  EXPECT_EQ(device.launch("k", 1, 1, 48 * 1024, p), kSuccess);
  EXPECT_EQ(device.launch("k", 1, 1, 48 * 1024 + 16, p), kErrorInvalidValue);
  EXPECT_EQ(device.d.funcSetAttribute(device.function("k"), kFunctionMaxDynamicSharedBytes, 99 * 1024), kSuccess);
  EXPECT_EQ(device.launch("k", 1, 1, 99 * 1024, p), kSuccess) << lastFinding();
  EXPECT_EQ(device.d.funcSetAttribute(device.function("k"), kFunctionMaxDynamicSharedBytes, 99 * 1024 + 1),
            kErrorInvalidValue);
  EXPECT_EQ(device.d.launchKernel(device.function("k"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
            kErrorInvalidValue);
  EXPECT_EQ(device.d.memFree(p + 1), kErrorInvalidValue);
  EXPECT_EQ(device.d.memFree(p), kSuccess);
  CUfunction none;
  EXPECT_EQ(device.d.moduleGetFunction(&none, device.module, "absent"), kErrorNotFound);
}

TEST(Findings, LoadErrors) {
  auto load = [](const char *target, const std::string &ptx) {
    Device device(target);
    return device.load(ptx);
  };
  EXPECT_EQ(load("sm_120a", kernel(1, "ret;")), kSuccess);
  EXPECT_EQ(load("sm_90a", kernel(1, "ret;")), kErrorNoBinaryForGpu);
  EXPECT_EQ(load("sm_90a", kernel(1, "ret;", "", "sm_80")), kSuccess);
  EXPECT_EQ(load("sm_80", kernel(1, "ret;", "", "sm_90")), kErrorNoBinaryForGpu);
  EXPECT_EQ(load("sm_120a", kernel(1, "ret;", "", "sm_90a")), kErrorNoBinaryForGpu);
  EXPECT_EQ(load("sm_120a", kernel(1, "ret;", "", "sm_80", "10.5")), kErrorUnsupportedPtxVersion);
  EXPECT_EQ(load("sm_120a", "\x7f"
                            "ELF"),
            kErrorInvalidImage);
  Device device;
  char log[256] = "x";
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBufferSize};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  std::string bad = kernel(1, "bra nowhere;");
  EXPECT_EQ(device.d.moduleLoadDataEx(&device.module, bad.c_str(), 2, options, values), kErrorInvalidPtx);
  EXPECT_NE(std::string(log).find("'nowhere' is not defined"), std::string::npos) << log;
  EXPECT_NE(std::string(log).find("kernel 'k', line 14"), std::string::npos) << log;
  for (const char *wrong : {"bra nowhere;", "mov.u32 %r99, 1;", "mov.u32 %r1, nowhere;", "mov.u32 %r1, %nosuch;", "add.u32 %r1 %r2;", "call nowhere;"})
    EXPECT_EQ(load("sm_120a", kernel(1, wrong)), kErrorInvalidPtx) << wrong;
  for (const char *unknown : {"add.u32 %r1, %r2;", "add.u32 %r1, %rd2, %r3;", "frobnicate.u32 %r1;", "add.u32.fancy %r1, %r2, %r3;",
                              "cvt.s32.f32 %r1, %f1;", "ld.global.v2.u32 %r1, [%rd0];", "mov.u32 %r1, %pm0;"}) {
    Device fresh;
    EXPECT_EQ(fresh.loadAndLaunch(kernel(1, unknown)), kErrorNotSupported) << unknown;
    EXPECT_NE(lastFinding().find("kernel 'k', line 14"), std::string::npos) << lastFinding();
  }
}

TEST(Findings, PredicatesThatDoNotMatter) {
  // %p1 is false and %p2 true; %r9 is loaded from memory that was never written.
  std::string start = "setp.ne.u64 %p1, %rd0, %rd0;\nsetp.eq.u64 %p2, %rd0, %rd0;\nld.global.u32 %r9, [%rd0];\nsetp.lt.u32 %p3, %r9, 5;\n";
  auto run = [&](const std::string &line, CUresult code) {
    Device device;
    ASSERT_EQ(device.load(kernel(1, start + line + "\n@%p4 bra END;\nEND: ret;")), kSuccess) << lastFinding();
    EXPECT_EQ(device.launch("k", 1, 32, 0, device.alloc(4)), code) << line << lastFinding();
    if (code != kSuccess) {
      EXPECT_NE(lastFinding().find("uninitialised register used as a predicate"), std::string::npos) << lastFinding();
    }
  };
  for (const char *line : {"and.pred %p4, %p1, %p3;", "and.pred %p4, %p3, !%p2;", "or.pred %p4, %p3, %p2;", "setp.lt.and.u32 %p4, %r9, 5, %p1;",
                           "setp.lt.or.u32 %p4, %r9, 5, %p2;", "setp.lt.and.u32 %p5|%p4, %r9, 5, !%p2;", "setp.eq.or.u64 %p4, %rd0, %rd0, %p3;", "setp.eq.and.u64 %p5|%p4, %rd0, %rd0, %p3;"})
    run(line, kSuccess);
  for (const char *line : {"and.pred %p4, %p2, %p3;", "and.pred %p4, %p3, !%p1;", "or.pred %p4, %p3, %p1;", "xor.pred %p4, %p3, %p1;", "not.pred %p4, %p3;",
                           "setp.lt.and.u32 %p4, %r9, 5, %p2;", "setp.lt.or.u32 %p4, %r9, 5, %p1;", "setp.lt.u32 %p4, %r9, 5;",
                           "setp.eq.and.u64 %p4, %rd0, %rd0, %p3;", "setp.eq.or.u64 %p5|%p4, %rd0, %rd0, %p3;", "mov.pred %p4, %p3;"})
    run(line, kErrorLaunchFailed);
}

} // namespace
