// Mistakes with bulk copies, mbarriers and proxies: each is reported, and its valid twin is not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const char *const kGlobals = ".shared .align 8 .b8 bar[16];\n.shared .align 128 .b8 data[1024];\n";
const std::string kFence = "fence.proxy.async.shared::cta;\n";
const std::string kSync = "bar.sync 0;\n";

/// Runs `body` with %r0 = thread, %r1 = warp, %p0 = thread 0, %p1 = warp 1, %r2 = the barrier, %r3 = 1024 bytes of shared memory, %r4 = the
/// thread's word of them, %rd0 = 1024 bytes of global memory, %rd1 = 1024 more, zeros, %rd11 = the thread's word of the latter.
std::vector<uint32_t> run(int code, const std::string &body, const std::string &words = "", unsigned threads = 64) {
  Device device("sm_90a");
  std::string start = "mov.u32 %r0, %tid.x;\nshr.u32 %r1, %r0, 5;\nmov.u32 %r2, bar;\nmov.u32 %r3, data;\nshl.b32 %r5, %r0, 2;\n"
                      "add.u32 %r4, %r3, %r5;\nmul.wide.u32 %rd10, %r0, 4;\nadd.s64 %rd11, %rd1, %rd10;\nsetp.eq.u32 %p0, %r0, 0;\n"
                      "setp.eq.u32 %p1, %r1, 1;\n";
  EXPECT_EQ(device.load(kernel(2, start + body + "END: ret;\n", kGlobals, "sm_90a")), kSuccess) << lastFinding();
  std::vector<uint32_t> data(256);
  for (uint32_t i = 0; i < 256; ++i)
    data[i] = 1000 + i;
  CUdeviceptr in = device.upload(data), out = device.upload(std::vector<uint32_t>(256));
  EXPECT_EQ(device.launch("k", 1, threads, 0, in, out), code) << body << "\n" << lastFinding();
  if (code == kSuccess)
    return device.download<uint32_t>(out, 256);
  EXPECT_NE(lastFinding().find(words), std::string::npos) << "'" << words << "' is not in: " << lastFinding();
  return std::vector<uint32_t>(256, 0);
}

std::string init(int count) { return "@%p0 mbarrier.init.shared::cta.b64 [%r2], " + std::to_string(count) + ";\n"; }
const std::string kReady = init(1) + "fence.mbarrier_init.release.cluster;\n" + kSync;

std::string expectBytes(int bytes) {
  return "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], " + std::to_string(bytes) + ";\n";
}
std::string load(const std::string &to = "%r3", const std::string &from = "%rd0", const std::string &bytes = "256") {
  return "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [" + to + "], [" + from + "], " + bytes + ", [%r2];\n";
}
std::string wait(int parity, const std::string &guard = "", const std::string &label = "WAIT") {
  std::string unless = guard.empty() ? "" : guard + " bra " + label + "_DONE;\n";
  return unless + label + ": mbarrier.try_wait.parity.shared::cta.b64 %p4, [%r2], " + std::to_string(parity) + ";\n@!%p4 bra " + label + ";\n" +
         label + "_DONE:\n";
}
const std::string kUse = "ld.shared.u32 %r6, [%r4];\nst.global.u32 [%rd11], %r6;\n";
std::string store(const std::string &to = "%rd1", const std::string &from = "%r3", const std::string &bytes = "256") {
  return "@%p0 cp.async.bulk.global.shared::cta.bulk_group [" + to + "], [" + from + "], " + bytes + ";\n";
}
const std::string kCommit = "@%p0 cp.async.bulk.commit_group;\n";
const std::string kRead = "@%p0 cp.async.bulk.wait_group.read 0;\n";
const std::string kWrite = "st.shared.u32 [%r4], %r0;\n";

void expectLoaded(const std::vector<uint32_t> &out) {
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(out[i], 1000 + i);
}

TEST(TmaFindings, CopiesMustBeWaitedFor) {
  expectLoaded(run(kSuccess, kReady + expectBytes(256) + load() + wait(0) + kUse));
  run(kErrorLaunchFailed, kReady + expectBytes(256) + load() + kSync + kUse, "has not been waited for: the copy at line 31 by warp 0, to the mbarrier");
  run(kErrorLaunchFailed, kReady + expectBytes(256) + load() + wait(1) + kUse, "has not been waited for: the copy at line 31 by warp 0", 32);
  run(kErrorLaunchFailed, kReady + expectBytes(256) + load() + kSync + kWrite, "has not been waited for");
  run(kErrorLaunchFailed, kReady + expectBytes(256) + load() + load() + wait(0), "has not been waited for");
  run(kErrorLaunchFailed, kReady + expectBytes(256) + load(), "the block ends while this copy may still write");
}

TEST(TmaFindings, EachWarpWaitsOrIsTold) {
  // Warp 0 waits (it comes first after this barrier, as the last to arrive), warp 1 not; a barrier after the wait will do.
  std::string one = kReady + expectBytes(256) + load() + kSync + wait(0, "@%p1");
  expectLoaded(run(kSuccess, one + kSync + kUse));
  run(kErrorLaunchFailed, one + kUse, "this warp has not waited for the copy's mbarrier");
  // Two mbarriers: what an arrival at the second makes known is what the warp knew when it arrived.
  std::string second = "@%p0 mbarrier.init.shared::cta.b64 [%r2+8], 32;\n" + one,
              arrive = "@!%p1 mbarrier.arrive.shared::cta.b64 _, [%r2+8];\n",
              waitSecond = "W2: mbarrier.try_wait.parity.shared::cta.b64 %p5, [%r2+8], 0;\n@!%p5 bra W2;\n";
  expectLoaded(run(kSuccess, second + arrive + waitSecond + kUse));
  std::string early = "@%p0 mbarrier.init.shared::cta.b64 [%r2+8], 32;\n" + kReady + expectBytes(256) + load() + kSync + arrive + wait(0, "@%p1");
  run(kErrorLaunchFailed, early + waitSecond + kUse, "this warp has not waited for the copy's mbarrier");
}

TEST(TmaFindings, BytesMustBeThoseExpected) {
  run(kErrorLaunchTimeout, kReady + expectBytes(512) + load() + wait(0) + kUse,
      "warp 0 waits at line 32 for the phase of parity 0 of the mbarrier at shared address 0x400: it is in a phase of parity 0, 0 of 1 arrivals "
      "pending, transaction count 512; 512 bytes are expected in this phase, 256 arrived or are under way");
  run(kErrorLaunchTimeout, kReady + expectBytes(128) + load() + wait(0) + kUse, "128 bytes are expected in this phase, 256 arrived");
  run(kErrorLaunchTimeout, kReady + load() + wait(0) + kUse, "1 of 1 arrivals pending");
  expectLoaded(run(kSuccess, kReady + load() + expectBytes(256) + wait(0) + kUse)); // the count may go below zero meanwhile
}

TEST(TmaFindings, PhasesMustBeSeenBeforeTheNext) {
  std::string again = expectBytes(256) + load();
  expectLoaded(run(kSuccess, kReady + again + wait(0) + kSync + again + wait(1, "", "SECOND") + kUse));
  run(kErrorLaunchFailed, kReady + again + again, "copies of 256 bytes are under way to it, and nobody has waited for the phase they complete");
}

TEST(TmaFindings, InitialisationIsFencedAndOrdered) {
  std::string rest = kSync + expectBytes(256) + load() + wait(0) + kUse;
  expectLoaded(run(kSuccess, init(1) + kFence + rest));
  run(kErrorLaunchFailed, init(1) + rest, "initialised at line 27, which the async proxy may not see");
  run(kErrorLaunchFailed, "fence.mbarrier_init.release.cluster;\n" + init(1) + rest, "which the async proxy may not see");
  std::string arrive = "mbarrier.arrive.shared::cta.b64 _, [%r2];\n" + wait(0);
  run(kSuccess, init(64) + kSync + arrive);
  run(kErrorLaunchFailed, init(64) + arrive, "which warp 0 initialised at line 27 without a barrier in between");
}

TEST(TmaFindings, MbarriersInUse) {
  std::string under = kReady + expectBytes(256) + load();
  run(kErrorLaunchFailed, under + "@%p0 mbarrier.inval.shared::cta.b64 [%r2];\n", "while copies of 256 bytes and 0 arrivals are under way to it");
  run(kSuccess, under + wait(0) + kSync + "@%p0 mbarrier.inval.shared::cta.b64 [%r2];\n" + init(3));
  run(kErrorLaunchFailed, under + wait(0) + kSync + init(1), "mbarrier.inval first");
  run(kErrorLaunchFailed, init(1) + kFence + kSync + load("%r2"), "which holds an mbarrier");
  run(kErrorLaunchFailed, kFence + kSync + load(), "no mbarrier was initialised");
}

TEST(TmaFindings, WritesAreShownToTheAsyncProxy) {
  auto expectThreads = [](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 64; ++i)
      EXPECT_EQ(out[i], i);
  };
  expectThreads(run(kSuccess, kWrite + kFence + kSync + store() + kCommit + kRead));
  expectThreads(run(kSuccess, kWrite + kSync + kFence + store() + kCommit + kRead)); // by the thread that copies, after the barrier
  run(kErrorLaunchFailed, kWrite + kSync + store() + kCommit + kRead, "fence.proxy.async is missing: the async proxy accesses shared address 0x480, which warp 0 wrote at line 27");
  run(kErrorLaunchFailed, kFence + kWrite + kSync + store() + kCommit + kRead, "fence.proxy.async is missing");
  run(kErrorLaunchFailed, "fence.proxy.async.global;\n" + kWrite + kSync + store() + kCommit + kRead, "fence.proxy.async is missing");
  run(kErrorLaunchFailed, kWrite + kSync + "@%p1 " + kFence + store() + kCommit + kRead, "fence.proxy.async is missing"); // by another warp
  run(kErrorLaunchFailed, kWrite + kFence + store() + kCommit + kRead, "shared-memory race: ");
  // By an mbarrier as by a barrier.
  std::string arrive = "@%p1 mbarrier.arrive.shared::cta.b64 _, [%r2];\n@%p1 bra END;\n" + wait(0) + store() + kCommit + kRead;
  std::string all = init(32) + kSync;
  expectThreads(run(kSuccess, all + kWrite + kFence + arrive));
  run(kErrorLaunchFailed, all + kWrite + arrive, "fence.proxy.async is missing");
  // A copy into bytes that were written before.
  std::string rest = kReady + expectBytes(256) + load() + wait(0) + kUse;
  expectLoaded(run(kSuccess, kWrite + kFence + rest));
  run(kErrorLaunchFailed, kWrite + rest, "fence.proxy.async is missing");
  // What a copy brought needs no fence to go out again.
  std::vector<uint32_t> copied = run(kSuccess, kReady + expectBytes(256) + load() + wait(0) + store() + kCommit + kRead);
  expectLoaded(copied);
}

TEST(TmaFindings, SourcesAreLeftAlone) {
  std::string begin = kWrite + kFence + kSync + store() + kCommit, write = "@%p0 st.shared.u32 [%r3+4], 7;\n";
  EXPECT_EQ(run(kSuccess, begin + kRead + write)[1], 1u);
  run(kErrorLaunchFailed, begin + write, "write of 4 bytes at shared address 0x484, which the asynchronous copy at line 30, by warp 0, may still read");
  run(kSuccess, begin + "@%p0 st.shared.u32 [%r3+256], 7;\n" + kRead);
  // Another warp has to be told.
  run(kSuccess, begin + kRead + kSync + "@%p1 " + kWrite);
  run(kErrorLaunchFailed, begin + kRead + "@%p1 " + kWrite, "shared-memory race");
  run(kErrorLaunchFailed, begin, "the block ends while this copy may still read its shared memory");
  run(kErrorLaunchFailed, kWrite + kFence + kSync + store() + kRead, "the block ends while this copy may still read"); // not committed
  // In global memory.
  std::string change = "@%p0 st.global.u32 [%rd0+16], 7;\n";
  run(kSuccess, kReady + expectBytes(256) + load() + wait(0) + kSync + change);
  run(kErrorLaunchFailed, kReady + expectBytes(256) + load() + change + wait(0), "was changed in global memory before the copy was waited for");
}

TEST(TmaFindings, DestinationsMustHaveBeenRead) {
  std::string again = expectBytes(256) + load();
  std::string first = kReady + again + kSync + kSync + wait(0) + kUse; // warp 1 comes first
  run(kSuccess, first + kSync + again + wait(1, "", "SECOND"));
  run(kErrorLaunchFailed, first + "@%p1 bra END;\n" + again + wait(1, "", "SECOND"),
      "shared-memory race: the copy writes address 0x500, which warp 1 read at line");
}

TEST(TmaFindings, GroupsAreWaitedForInOrder) {
  // The second of two groups is not written where one may be left.
  std::string two = kWrite + kFence + kSync + store("%rd1+512", "%r3", "16") + kCommit + store("%rd1+528", "%r3+16", "16") + kCommit;
  std::string look = "@%p0 ld.global.u32 %r10, [%rd1+516];\n@%p0 ld.global.u32 %r11, [%rd1+532];\n@%p0 st.global.u32 [%rd1], %r10;\n"
                     "@%p0 st.global.u32 [%rd1+4], %r11;\n";
  auto pair = [&](const std::string &wait) {
    std::vector<uint32_t> out = run(kSuccess, two + wait + look + kRead);
    return std::make_pair(out[0], out[1]);
  };
  EXPECT_EQ(pair("@%p0 cp.async.bulk.wait_group 0;\n"), std::make_pair(1u, 5u));
  EXPECT_EQ(pair("@%p0 cp.async.bulk.wait_group 1;\n"), std::make_pair(1u, 0u));
  EXPECT_EQ(pair("@%p0 cp.async.bulk.wait_group 2;\n"), std::make_pair(0u, 0u));
  EXPECT_EQ(pair("@%p0 cp.async.bulk.wait_group.read 0;\n"), std::make_pair(0u, 0u));
  EXPECT_EQ(pair("@%p1 cp.async.bulk.wait_group 0;\n"), std::make_pair(0u, 0u)); // groups are a thread's own
}

TEST(TmaFindings, Alignment) {
  auto misaligned = [](const std::string &copy, const char *words) { run(kErrorMisalignedAddress, kReady + expectBytes(256) + copy, words); };
  misaligned(load("%r3+8"), "the destination 0x488 of a bulk copy is not a multiple of 16");
  misaligned(load("%r3", "%rd0+4"), "of a bulk copy is not a multiple of 16");
  misaligned(load("%r3", "%rd0", "40"), "the size 40 of a bulk copy is not a multiple of 16");
  misaligned(store("%rd1+8"), "the destination");
  misaligned(store("%rd1", "%r3+4"), "the source 0x484");
  misaligned("@%p0 cp.async.bulk.prefetch.L2.global [%rd0], 8;\n", "the size 8");
  run(kSuccess, "@%p0 cp.async.bulk.prefetch.L2.global [%rd0], 1024;\n");
  run(kErrorIllegalAddress, "@%p0 cp.async.bulk.prefetch.L2.global [%rd0], 1040;\n", "a bulk copy of 1040 bytes");
  run(kErrorIllegalAddress, kReady + load("%r3+1008"), "out of bounds: the block's shared memory");
  run(kErrorIllegalAddress, kReady + load("%r3", "%rd0+1008"), "is out of bounds");
}

TEST(TmaFindings, MbarriersOrderWarps) {
  // Warp 1 writes what warp 0 reads.
  std::string start = init(32) + kSync + "add.u32 %r7, %r4, 128;\n@%p1 bra PRODUCE;\n";
  std::string produce = "ld.shared.u32 %r6, [%r7];\nst.global.u32 [%rd11], %r6;\nbra END;\nPRODUCE: " + kWrite;
  std::string arrive = "mbarrier.arrive.shared::cta.b64 _, [%r2];\n";
  std::vector<uint32_t> out = run(kSuccess, start + wait(0) + produce + arrive);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(out[i], 32 + i);
  run(kErrorLaunchFailed, start + wait(0) + produce + "mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%r2];\n", "shared-memory race");
  run(kErrorLaunchTimeout, start + wait(1) + produce + arrive, "waits at line 31 for the phase of parity 1");
  // Written after the arrival.
  run(kErrorLaunchFailed, init(32) + kSync + "@%p1 " + arrive + "@%p1 " + kWrite + "@%p1 bra END;\n" + wait(0) + "ld.shared.u32 %r6, [%r4+128];\n" +
          "st.global.u32 [%rd11], %r6;\n",
      "shared-memory race: read of address 0x500, which warp 1 wrote");
}

TEST(TmaFindings, TrackedCopiesLandWithThePhase) {
  std::string copy = "cp.async.ca.shared.global [%r4], [%rd12], 4;\n", address = "add.s64 %rd12, %rd0, %rd10;\n";
  std::string track = "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%r2];\n";
  expectLoaded(run(kSuccess, init(64) + kSync + address + copy + track + wait(0) + kUse));
  run(kErrorLaunchFailed, init(64) + kSync + address + track + copy + wait(0) + kUse, "has not been waited for: the copy at line");
  // Without .noinc the pending count goes up, and down again: somebody else has to arrive.
  std::string counted = "cp.async.mbarrier.arrive.shared::cta.b64 [%r2];\n", arrive = "mbarrier.arrive.shared::cta.b64 _, [%r2];\n";
  expectLoaded(run(kSuccess, init(64) + kSync + address + copy + counted + arrive + wait(0) + kUse));
  run(kErrorLaunchTimeout, init(64) + kSync + address + copy + counted + wait(0) + kUse, "128 of 64 arrivals pending");
}

TEST(TmaFindings, Reductions) {
  auto reduce = [](const std::string &op, uint32_t value, const std::string &before) {
    std::string body = "mov.u32 %r9, " + std::to_string(value) + ";\nst.shared.u32 [%r4], %r9;\n" + kFence + "mov.u32 %r8, " + before +
                       ";\nst.global.u32 [%rd11], %r8;\n" + kSync + "@%p0 cp.reduce.async.bulk.global.shared::cta.bulk_group." + op +
                       " [%rd1], [%r3], 256;\n" + kCommit + "@%p0 cp.async.bulk.wait_group 0;\n";
    std::vector<uint32_t> out = run(kSuccess, body);
    EXPECT_EQ(out[63], out[5]);
    return out[5];
  };
  EXPECT_EQ(reduce("add.u32", 5, "7"), 12u);
  EXPECT_EQ(reduce("add.s32", 0xffffffff, "7"), 6u);
  EXPECT_EQ(reduce("add.u64", 0xffffffff, "1"), 1u);
  EXPECT_EQ(reduce("add.f32", 0x3f800000, "0x40000000"), 0x40400000u);
  EXPECT_EQ(reduce("add.noftz.f16", 0x3c003c00, "0x40004200"), 0x42004400u);
  EXPECT_EQ(reduce("add.noftz.bf16", 0x3f803f80, "0x40004040"), 0x40404080u);
  EXPECT_EQ(reduce("min.u32", 0xfffffff0, "3"), 3u);
  EXPECT_EQ(reduce("min.s32", 0xfffffff0, "3"), 0xfffffff0u);
  EXPECT_EQ(reduce("max.s32", 0xfffffff0, "3"), 3u);
  EXPECT_EQ(reduce("max.f16", 0xbc003c00, "0x40007e00"), 0x40003c00u);
  EXPECT_EQ(reduce("min.bf16", 0x80003f80, "0x00004040"), 0x80003f80u);
  EXPECT_EQ(reduce("and.b32", 0xff00ff00, "0x0ff00ff0"), 0x0f000f00u);
  EXPECT_EQ(reduce("or.b32", 0xff00ff00, "0x0ff00ff0"), 0xfff0fff0u);
  EXPECT_EQ(reduce("xor.b64", 0xff00ff00, "0x0ff00ff0"), 0xf0f0f0f0u);
  EXPECT_EQ(reduce("inc.u32", 9, "9"), 0u);
  EXPECT_EQ(reduce("inc.u32", 9, "3"), 4u);
  EXPECT_EQ(reduce("dec.u32", 9, "0"), 9u);
}

TEST(TmaFindings, WhatIsMissingIsRefused) {
  for (const auto &[line, words] : std::vector<std::pair<std::string, std::string>>{
           {"cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes.multicast::cluster [%r3], [%rd0], 16, [%r2], %h0;", "multicast"},
           {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r3], [%rd0], 16, [%r2];", "a mask of blocks"},
           {"cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.f32 [%r3], [%r4], 16, [%r2];", "no cp.reduce.async.bulk in"},
           {"cp.async.bulk.global.shared::cta.bulk_group.cp_mask [%rd0], [%r3], 16, %h0;", ""},
           {"cp.reduce.async.bulk.global.shared::cta.bulk_group.min.f32 [%rd0], [%r3], 16;", "no cp.reduce.async.bulk has"},
           {"cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f16 [%rd0], [%r3], 16;", "no cp.reduce.async.bulk has"},
           {"cp.async.bulk.tensor.3d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%r3], [%rd0, {%r1, %r1, %r1}], [%r2], {%h0};", "im2col"},
           {"cp.async.bulk.tensor.2d.shared::cta.global.tile::scatter4.mbarrier::complete_tx::bytes [%r3], [%rd0, {%r1, %r1, %r1, %r1, %r1}], [%r2];", "scatter4 stores"},
           {"cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r3], [%rd0, {%r1}], [%r2];", "has 1 coordinates, the instruction 2"},
           {"cp.async.bulk.wait_group -1;", "takes an immediate"},
           {"ld.global.u32 %r0, [%rd0, {%r1}];", "an address of one part"},
           {"tensormap.replace.tile.rank.global.b1024.b64 [%rd0], %rd1;", "the field .rank has 32 bits"}}) {
    Device device("sm_90a");
    EXPECT_EQ(device.loadAndLaunch(kernel(2, line, "", "sm_90a")), kErrorNotSupported) << line;
    EXPECT_NE(lastFinding().find("line 15"), std::string::npos) << lastFinding();
    EXPECT_NE(lastFinding().find(words), std::string::npos) << "'" << words << "' is not in: " << lastFinding();
  }
}

} // namespace
