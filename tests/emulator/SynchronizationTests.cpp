// mbarrier objects, fences between proxies, setmaxnreg, waits that never end: what is valid beside what is reported.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const char *const kGlobals = ".shared .align 8 .b8 bar[16];\n.shared .align 16 .b8 data[512];\n";

/// Runs `body` with %r0 = thread, %r2 = the barrier's address, %rd11 = the thread's word of the output.
std::vector<uint32_t> run(int code, const std::string &body, const std::vector<std::string> &words = {},
                          unsigned threads = 32) {
  Device device;
  std::string start = "mov.u32 %r0, %tid.x;\nmov.u32 %r2, bar;\nmul.wide.u32 %rd10, %r0, 4;\n"
                      "add.s64 %rd11, %rd0, %rd10;\nsetp.eq.u32 %p0, %r0, 0;\n";
  EXPECT_EQ(device.load(kernel(1, start + body, kGlobals)), kSuccess) << lastFinding();
  CUdeviceptr out = device.upload(std::vector<uint32_t>(128, 99));
  EXPECT_EQ(device.launch("k", 1, threads, 0, out), code) << body << "\n" << lastFinding();
  if (code == kSuccess)
    return device.download<uint32_t>(out, 128);
  for (const std::string &word : words)
    EXPECT_NE(lastFinding().find(word), std::string::npos) << "'" << word << "' is not in: " << lastFinding();
  return std::vector<uint32_t>(128, 0);
}

std::string init(int count) {
  return "@%p0 mbarrier.init.shared::cta.b64 [%r2], " + std::to_string(count) +
         ";\nfence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n";
}

std::string poll(const std::string &parity, const std::string &to) {
  return "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r2], " + parity + ";\nselp.u32 " + to + ", 1, 0, %p1;\n";
}

std::string store(const std::string &from, int word) {
  return "@%p0 st.global.u32 [%rd0+" + std::to_string(4 * word) + "], " + from + ";\n";
}

TEST(Mbarrier, PhasesAndPendingCount) {
  std::vector<uint32_t> out =
      run(kSuccess, init(3) + "@!%p0 bra END;\nmbarrier.arrive.shared::cta.b64 %rd20, [%r2];\n" + poll("0", "%r10") +
                        poll("1", "%r11") + "mbarrier.arrive.noComplete.shared::cta.b64 %rd21, [%r2], 1;\n" +
                        "mbarrier.pending_count.b64 %r12, %rd20;\nmbarrier.pending_count.b64 %r13, %rd21;\n" +
                        "mbarrier.test_wait.shared::cta.b64 %p2, [%r2], %rd20;\nselp.u32 %r14, 1, 0, %p2;\n" +
                        "mbarrier.arrive.shared::cta.b64 _, [%r2];\n" + poll("0", "%r15") + poll("1", "%r16") +
                        "mbarrier.test_wait.shared::cta.b64 %p2, [%r2], %rd20;\nselp.u32 %r17, 1, 0, %p2;\n" +
                        "mbarrier.arrive.shared::cta.b64 %rd22, [%r2], 3;\n" + poll("1", "%r18") + poll("0", "%r19") +
                        store("%r10", 0) + store("%r11", 1) + store("%r12", 2) + store("%r13", 3) + store("%r14", 4) +
                        store("%r15", 5) + store("%r16", 6) + store("%r17", 7) + store("%r18", 8) + store("%r19", 9) +
                        "END: ret;");
  const std::vector<uint32_t> expected = {0, 1, 3, 2, 0, 1, 0, 1, 1, 0};
  EXPECT_EQ(std::vector<uint32_t>(out.begin(), out.begin() + 10), expected);
}

TEST(Mbarrier, TransactionsHoldThePhase) {
  std::vector<uint32_t> out =
      run(kSuccess, init(1) + "@!%p0 bra END;\nmbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%r2], 64;\n" +
                        poll("0", "%r10") + "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r2], 60;\n" +
                        poll("0", "%r11") + "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r2], 4;\n" +
                        poll("0", "%r12") + store("%r10", 0) + store("%r11", 1) + store("%r12", 2) + "END: ret;");
  EXPECT_EQ(std::vector<uint32_t>(out.begin(), out.begin() + 3), (std::vector<uint32_t>{0, 0, 1}));
}

TEST(Mbarrier, OneWarpHandsDataToAnother) {
  // Warp 1 writes and arrives; warp 0 waits and reads.
  std::string body = init(32) + "mov.u32 %r4, data;\nshl.b32 %r5, %r0, 2;\nand.b32 %r5, %r5, 127;\n"
                                "add.u32 %r4, %r4, %r5;\nsetp.ge.u32 %p3, %r0, 32;\n@%p3 bra PRODUCE;\n"
                                "WAIT: mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %p4, [%r2], 0, 1000;\n"
                                "@!%p4 bra WAIT;\nld.shared.u32 %r6, [%r4];\nst.global.u32 [%rd11], %r6;\nret;\n"
                                "PRODUCE: st.shared.u32 [%r4], %r0;\n"
                                "mbarrier.arrive.release.cta.shared::cta.b64 %rd20, [%r2];\nret;";
  std::vector<uint32_t> out = run(kSuccess, body, {}, 64);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(out[i], 32 + i);
}

TEST(Mbarrier, Misuse) {
  std::string arrive = "@%p0 mbarrier.arrive.shared::cta.b64 %rd20, [%r2];\n";
  run(kSuccess, init(1) + arrive);
  run(kErrorLaunchFailed, arrive, {"no mbarrier was initialised"});
  run(kErrorLaunchFailed, "@%p0 st.shared.u64 [%r2], %rd0;\n" + arrive, {"no mbarrier was initialised"});
  run(kErrorLaunchFailed, init(1) + "@%p0 mbarrier.inval.shared::cta.b64 [%r2];\n" + arrive,
      {"no mbarrier was initialised"});
  run(kSuccess, init(1) + "@%p0 mbarrier.inval.shared::cta.b64 [%r2];\n@%p0 st.shared.u64 [%r2], %rd0;");
  run(kErrorLaunchFailed, init(1) + "@%p0 st.shared.u64 [%r2], %rd0;", {"which holds an mbarrier"});
  run(kErrorLaunchFailed, init(1) + "@%p0 ld.shared.u32 %r5, [%r2+4];", {"which holds an mbarrier"});
  run(kErrorLaunchFailed, init(1) + init(1), {"is in use"});
  run(kErrorLaunchFailed, init(0), {"with count 0"});
  run(kErrorLaunchFailed, init(1 << 20), {"with count 1048576"});
  run(kSuccess, init((1 << 20) - 1));
  run(kErrorLaunchFailed, init(2) + "@%p0 mbarrier.arrive.shared::cta.b64 %rd20, [%r2], 3;", {"3 arrivals"});
  run(kErrorLaunchFailed, init(1) + "@%p0 mbarrier.arrive.noComplete.shared::cta.b64 %rd20, [%r2], 1;",
      {".noComplete"});
  run(kErrorLaunchFailed, init(1) + "@%p0 mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r2], 1048576;",
      {"transaction count of an mbarrier becomes 1048576"});
  run(kErrorLaunchFailed, init(1) + poll("2", "%r10"), {"parity 2"});
  run(kErrorMisalignedAddress, "@%p0 mbarrier.init.shared::cta.b64 [%r2+4], 1;", {"misaligned"});
}

TEST(Mbarrier, RemoteAndUnknownFormsAreRefused) {
  Device device;
  for (const char *line : {"mbarrier.arrive.release.cluster.shared::cluster.b64 %rd1, [%r2];", "mbarrier.init.shared::cluster.b64 [%r2], 1;",
                           "mbarrier.try_wait.parity.shared::cluster.b64 %p1, [%r2], 0;",
                           "fence.proxy.tensormap::generic.acquire.gpu [%rd0], 64;", "fence.mbarrier_init.release.cta;"}) {
    EXPECT_EQ(device.loadAndLaunch(kernel(1, line)), kErrorNotSupported) << line;
    EXPECT_NE(lastFinding().find("line 14"), std::string::npos) << lastFinding();
  }
}

TEST(Redux, Floats) {
  // Lane i has i - 16, but lane 5 a NaN; lane 16 has +0.
  std::string start = "cvt.rn.f32.u32 %f1, %r0;\nsub.f32 %f1, %f1, 0f41800000;\nsetp.eq.u32 %p1, %r0, 5;\n"
                      "@%p1 mov.f32 %f1, 0f7fc00001;\n";
  auto reduce = [&](const std::string &op) {
    return run(kSuccess, start + "redux.sync." + op + ".f32 %f2, %f1, -1;\nst.global.f32 [%rd11], %f2;")[31];
  };
  EXPECT_EQ(reduce("min"), 0xc1800000u);
  EXPECT_EQ(reduce("max"), 0x41700000u);
  EXPECT_EQ(reduce("max.abs"), 0x41800000u);
  EXPECT_EQ(reduce("min.abs"), 0u);
  EXPECT_EQ(reduce("max.NaN"), 0x7fffffffu);
}

TEST(MbarrierWatchdog, WaitForWrongPhase) {
  std::string loop = "@%p0 mbarrier.arrive.shared::cta.b64 %rd20, [%r2];\n"
                     "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p4, [%r2], PARITY;\n@!%p4 bra WAIT;";
  auto with = [&](const char *parity) {
    std::string text = loop;
    return text.replace(text.find("PARITY"), 6, parity);
  };
  run(kSuccess, init(1) + with("0"), {}, 64);
  run(kErrorLaunchTimeout, init(1) + with("1"), {"spins for ever", "warp 0 repeats lines", "mbarrier.try_wait"}, 64);
}

TEST(Registers, SetMaxNReg) {
  run(kSuccess, "setmaxnreg.dec.sync.aligned.u32 40;\nsetmaxnreg.inc.sync.aligned.u32 232;");
  run(kErrorLaunchFailed, "@%p0 setmaxnreg.dec.sync.aligned.u32 40;", {"executed by lanes 0x00000001 of 0xffffffff"});
  Device device;
  for (const char *count : {"20", "42", "264"})
    EXPECT_EQ(device.loadAndLaunch(kernel(1, std::string("setmaxnreg.inc.sync.aligned.u32 ") + count + ";")), kErrorNotSupported);
}

TEST(Mbarrier, LanesOfAWarpMayWaitForEachOther) {
  // One side of a branch waits for what the other does, whichever comes first; so do the innermost of several.
  std::string wait = "mbarrier.WAIT.parity.shared::cta.b64 %p4, [%r2], 0;\n@!%p4 bra ";
  std::string arrive = "mbarrier.arrive.shared::cta.b64 _, [%r2];\n";
  for (std::string kind : {"try_wait", "test_wait"})
    for (std::string guard : {"@%p0 bra OTHER;\n", "@!%p0 bra OTHER;\n"})
      for (bool otherArrives : {false, true}) {
        std::string spin = "setp.lt.u32 %p5, %r0, 9;\n@%p5 bra LOW;\nW1: " + wait + "W1;\nbra DONE;\nLOW: " + wait + "LOW;\nbra DONE;\n";
        bool isZero = (guard[1] == '%') == otherArrives; // whether thread 0 alone arrives
        std::string text = init(isZero ? 1 : 31) + guard + (otherArrives ? spin : arrive + "bra DONE;\n") + "OTHER: " +
                           (otherArrives ? arrive : spin) + "DONE: st.global.u32 [%rd11], %r0;\n";
        for (size_t at; (at = text.find("WAIT")) != std::string::npos;)
          text.replace(at, 4, kind);
        std::vector<uint32_t> out = run(kSuccess, text);
        for (uint32_t i = 0; i < 32; ++i)
          EXPECT_EQ(out[i], i);
      }
}

TEST(MbarrierWatchdog, ArrivalsAreProgress) {
  // The registers of the loop repeat until its counter, the barrier itself, completes the phase.
  run(kSuccess, init(400000) + "@!%p0 bra END;\nL: mbarrier.arrive.shared::cta.b64 _, [%r2];\n" +
                    "mbarrier.test_wait.parity.shared::cta.b64 %p4, [%r2], 0;\n@!%p4 bra L;\nEND: ret;");
}

} // namespace
