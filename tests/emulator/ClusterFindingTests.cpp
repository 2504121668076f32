// Mistakes between the blocks of a cluster: each is reported, and its valid twin is not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ClusterLaunch.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const char *const kGlobals = ".shared .align 8 .b8 bar[16];\n.shared .align 128 .b8 data[1024];\n";
const std::string kSync = "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n";

/// Runs `body` in a cluster of two blocks with %r0 = thread, %r1 = rank, %p0 = thread 0, %p1 = block 0, %p2 = block 1, %r2 = the barrier, %r3 =
/// 1024 bytes of shared memory, %r4 = the thread's word of them; %r12, %r13 and %r14 the same of the other block; %rd0 = 1024 bytes of global
/// memory, the word i of them i, %rd11 = the thread's word of it, by its place in the grid.
std::vector<uint32_t> run(int code, const std::string &body, const std::vector<std::string> &words = {}, unsigned threads = 32, unsigned blocks = 2,
                          bool isCooperative = false) {
  Device device("sm_90a");
  std::string start = "mov.u32 %r0, %tid.x;\nmov.u32 %r1, %cluster_ctarank;\nmov.u32 %r2, bar;\nmov.u32 %r3, data;\nshl.b32 %r5, %r0, 2;\n"
                      "add.u32 %r4, %r3, %r5;\nsetp.eq.u32 %p0, %r0, 0;\nsetp.eq.u32 %p1, %r1, 0;\nsetp.eq.u32 %p2, %r1, 1;\n"
                      "xor.b32 %r6, %r1, 1;\nmapa.shared::cluster.u32 %r12, %r2, %r6;\nmapa.shared::cluster.u32 %r13, %r3, %r6;\n"
                      "mapa.shared::cluster.u32 %r14, %r4, %r6;\nmov.u32 %r7, %ctaid.x;\nmov.u32 %r8, %ntid.x;\nmad.lo.u32 %r9, %r7, %r8, %r0;\n"
                      "mul.wide.u32 %rd10, %r9, 4;\nadd.s64 %rd11, %rd0, %rd10;\n";
  EXPECT_EQ(device.load(kernel(1, start + body + "END: ret;\n", kGlobals, "sm_90a")), kSuccess) << lastFinding();
  std::vector<uint32_t> data(256);
  for (uint32_t i = 0; i < 256; ++i)
    data[i] = i;
  CUdeviceptr global = device.upload(data);
  Shape shape{{blocks, 1, 1}, {threads, 1, 1}, {2, 1, 1}};
  shape.isCooperative = isCooperative;
  EXPECT_EQ(launchShape(device, "k", shape, global), code) << body << "\n" << lastFinding();
  if (code == kSuccess)
    return device.download<uint32_t>(global, 256);
  for (const std::string &text : words)
    EXPECT_NE(lastFinding().find(text), std::string::npos) << "'" << text << "' is not in: " << lastFinding();
  return std::vector<uint32_t>(256, 0);
}

const std::string kWrite = "add.u32 %r20, %r0, 7;\nst.shared.u32 [%r4], %r20;\n";
const std::string kReadPeer = "ld.shared::cluster.u32 %r21, [%r14];\n";
const std::string kReadOwn = "ld.shared.u32 %r21, [%r4];\n";
const std::string kKeep = "st.global.u32 [%rd11], %r21;\n";

void expectSevens(const std::vector<uint32_t> &out, uint32_t count = 64) {
  for (uint32_t i = 0; i < count; ++i)
    EXPECT_EQ(out[i], i % 32 + 7);
}

TEST(ClusterFindings, BlockEndsBeforeItsMemoryIsRead) {
  expectSevens(run(kSuccess, kWrite + kSync + kReadPeer + kKeep + kSync));
  // Block 1 is the last to arrive and goes on first: its end comes before the access, and after it.
  run(kErrorIllegalAddress, kWrite + kSync + "@%p2 bra END;\n" + kReadPeer + kKeep,
      {"block (0, 0, 0)", "is of block (1, 0, 0), rank 1", "has ended", "ld.shared::cluster"});
  run(kErrorLaunchFailed, kWrite + kSync + "@%p1 bra END;\n" + kReadPeer + kKeep,
      {"block (1, 0, 0)", "this accesses address 0x4fc in the shared memory of block (0, 0, 0), rank 0 of the cluster, which may have ended before", "thread (31, 0, 0)", "ld.shared::cluster"});
  // An arrival alone is enough for the block that reads, but not for the one that is read.
  std::string reads = kWrite + kSync + "@%p1 bra LAST;\n" + kReadPeer + kKeep + "barrier.cluster.arrive;\nbra END;\nLAST: ";
  expectSevens(run(kSuccess, reads + "st.global.u32 [%rd11], %r20;\n" + kSync));
  run(kErrorLaunchFailed, reads + "barrier.cluster.arrive;\n", {"may have ended before"});
}

TEST(ClusterFindings, FirstAccessBeforeTheOtherBlockHasStarted) {
  std::string write = "add.u32 %r20, %r0, 7;\nst.shared::cluster.u32 [%r14], %r20;\n";
  expectSevens(run(kSuccess, kSync + write + kSync + kReadOwn + kKeep));
  run(kErrorLaunchFailed, write + kSync + kReadOwn + kKeep, {"which may not have started", "wait at a barrier.cluster before the first access"});
  // Relaxed is enough for that.
  std::string relaxed = "barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;\n";
  expectSevens(run(kSuccess, relaxed + write + kSync + kReadOwn + kKeep));
}

TEST(ClusterFindings, RanksThatDoNotExist) {
  run(kErrorIllegalAddress, "mapa.shared::cluster.u32 %r20, %r3, 2;\n", {"mapa to the block of rank 2 in a cluster of 2"});
  run(kErrorIllegalAddress, kSync + "add.u32 %r20, %r13, 0x2000000;\nld.shared::cluster.u32 %r21, [%r20];\n", {"there is no block of rank", "in a cluster of 2"});
  run(kErrorIllegalAddress, kSync + "add.u32 %r20, %r13, 4096;\nld.shared::cluster.u32 %r21, [%r20];\n", {"read of 4 bytes at shared address", "out of bounds"});
}

TEST(ClusterFindings, OtherBlocksAddressesWhereOwnAreTaken) {
  std::string generic = "cvt.u64.u32 %rd20, %r14;\ncvta.shared::cluster.u64 %rd21, %rd20;\nisspacep.shared::cluster %p3, %rd21;\n"
                        "isspacep.shared::cta %p4, %rd21;\nld.u32 %r21, [%rd21];\n@!%p3 mov.u32 %r21, 0;\n@%p4 mov.u32 %r21, 1;\n";
  expectSevens(run(kSuccess, kWrite + kSync + generic + kKeep + kSync));
  run(kErrorIllegalAddress, kWrite + kSync + "ld.shared.u32 %r21, [%r14];\n" + kKeep + kSync, {"the block's own shared memory (.shared::cta)", "of block (0, 0, 0)"});
  // The rank of one's own block leads to one's own memory.
  expectSevens(run(kSuccess, kWrite + "mapa.shared::cluster.u32 %r15, %r4, %r1;\nld.shared.u32 %r21, [%r15];\n" + kKeep));
  std::string copy = "mapa.shared::cluster.u32 %r15, %r4, %r1;\ncp.async.ca.shared.global [%r15], [%rd11], 4;\ncp.async.wait_all;\n" + kReadOwn +
                     "sub.u32 %r21, %r21, %r9;\nadd.u32 %r21, %r21, %r0;\nadd.u32 %r21, %r21, 7;\n";
  expectSevens(run(kSuccess, copy + kKeep));
  run(kErrorIllegalAddress, kSync + "cp.async.ca.shared.global [%r14], [%rd11], 4;\ncp.async.wait_all;\n" + kSync, {"the block's own shared memory (.shared::cta)"});
  std::string rank = "getctarank.shared::cluster.u32 %r21, %r14;\ngetctarank.shared::cluster.u32 %r22, %r4;\nmad.lo.u32 %r21, %r22, 16, %r21;\n";
  std::vector<uint32_t> out = run(kSuccess, rank + kKeep);
  EXPECT_EQ(out[0], 1u);
  EXPECT_EQ(out[32], 16u);
}

TEST(ClusterFindings, AtomicsOnOtherBlocks) {
  std::string zero = "@%p0 st.shared.v2.u32 [%r3], {%r1, %r1};\n", all = "ld.shared.u32 %r21, [%r3];\n" + kKeep;
  std::string add = "atom.shared::cluster.add.u32 %r20, [%r13], 2;\nred.shared::cluster.add.u32 [%r13], 1;\n";
  std::vector<uint32_t> out = run(kSuccess, zero + kSync + add + kSync + all);
  EXPECT_EQ(out[0], 96u);
  EXPECT_EQ(out[32], 97u);
  std::string generic = "cvt.u64.u32 %rd20, %r13;\ncvta.shared::cluster.u64 %rd21, %rd20;\natom.add.u32 %r20, [%rd21], 3;\n";
  EXPECT_EQ(run(kSuccess, zero + kSync + generic + kSync + all)[0], 96u);
  run(kErrorLaunchFailed, zero + add + kSync + all, {"which may not have started"});
  run(kErrorIllegalAddress, zero + kSync + "atom.shared.add.u32 %r20, [%r13], 2;\n" + kSync, {"the block's own shared memory (.shared::cta)"});
  run(kErrorLaunchFailed, zero + kSync + "@%p2 " + add.substr(0, add.find('\n') + 1) + "@%p1 bra END;\n", {"may have ended before"});
}

TEST(ClusterFindings, RacesBetweenBlocks) {
  std::string writePeer = "add.u32 %r20, %r0, 7;\nst.shared::cluster.u32 [%r14], %r20;\n";
  // A write that nothing orders before the owner's read, in either order of running: block 1 goes on first.
  run(kErrorLaunchFailed, kWrite + kSync + "@%p2 st.shared::cluster.u32 [%r14], %r20;\n@%p1 ld.shared.u32 %r21, [%r4];\n" + kSync,
      {"block (0, 0, 0)", "shared-memory race: read of address", "which warp 0 of block (1, 0, 0) wrote at line"});
  run(kErrorLaunchFailed, kWrite + kSync + "@%p1 st.shared::cluster.u32 [%r14], %r20;\n@%p2 ld.shared.u32 %r21, [%r4];\n" + kSync,
      {"block (0, 0, 0)", "shared-memory race: write of address", "which warp 0 of block (1, 0, 0) read at line"});
  // bar.sync orders the threads of a block alone; a relaxed arrival orders nothing, unless a fence is before it.
  run(kErrorLaunchFailed, kWrite + kSync + writePeer + "bar.sync 0;\n" + kReadOwn + kKeep + kSync, {"shared-memory race"});
  std::string relaxed = "barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;\n";
  run(kErrorLaunchFailed, kSync + writePeer + relaxed + kReadOwn + kKeep + kSync, {"shared-memory race"});
  expectSevens(run(kSuccess, kSync + writePeer + "fence.acq_rel.cluster;\n" + relaxed + kReadOwn + kKeep + kSync));
  run(kErrorLaunchFailed, kSync + writePeer + "fence.acq_rel.cta;\n" + relaxed + kReadOwn + kKeep + kSync, {"shared-memory race"});
  expectSevens(run(kSuccess, kSync + writePeer + kSync + kReadOwn + kKeep));
}

const std::string kInit = "@%p0 mbarrier.init.shared::cta.b64 [%r2], 32;\n";
const std::string kWait = "WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p4, [%r2], 0;\n@!%p4 bra WAIT;\n";
const std::string kArrive = "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r12];\n";

TEST(ClusterFindings, RemoteArrivalsOrder) {
  std::string write = "add.u32 %r20, %r0, 7;\nst.shared::cluster.u32 [%r14], %r20;\n";
  expectSevens(run(kSuccess, kInit + kSync + write + kArrive + kWait + kReadOwn + kKeep));
  run(kErrorLaunchFailed, kInit + kSync + kArrive + write + kWait + kReadOwn + kKeep + kSync, {"shared-memory race"});
  std::string relaxed = "mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [%r12];\n";
  run(kErrorLaunchFailed, kInit + kSync + write + relaxed + kWait + kReadOwn + kKeep + kSync, {"shared-memory race"});
  // An arrival that its owner does not wait for may come after its end.
  run(kErrorLaunchFailed, kInit + kSync + "@%p2 " + kArrive, {"mbarrier.arrive", "may have ended before"});
  run(kErrorIllegalAddress, kInit + kSync + "@%p1 " + kArrive, {"mbarrier.arrive", "has ended"});
  run(kSuccess, kInit + kSync + "@%p1 " + kArrive + kSync);
}

TEST(ClusterFindings, MbarriersThatOthersMayNotSee) {
  std::string fence = "@%p0 fence.mbarrier_init.release.cluster;\n", relaxed = "barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;\n";
  run(kSuccess, kInit + fence + relaxed + kArrive + kWait);
  run(kErrorLaunchFailed, kInit + relaxed + kArrive + kWait, {"which warp 0 of block (0, 0, 0) initialised at line", "without a barrier in between"});
  // A second warp of the same block as well.
  std::string use = "setp.ge.u32 %p5, %r0, 32;\n@%p5 mbarrier.arrive.shared::cta.b64 _, [%r2];\n" + kWait;
  run(kSuccess, kInit + fence + relaxed + use, {}, 64);
  run(kErrorLaunchFailed, kInit + relaxed + use, {"which warp 0 initialised"}, 64);
}

TEST(ClusterFindings, BarrierClusterOutOfStep) {
  // Block 1 waits for what never comes; a thread that exits counts as arrived.
  run(kErrorLaunchFailed, "setp.lt.u32 %p3, %r0, 32;\nand.pred %p3, %p3, %p2;\n@%p3 bar.sync 1, 64;\n" + kSync,
      {"deadlock", "warp 0 of block (0, 0, 0) waits at line", "barrier.cluster (96 of 128 threads arrived)", "barrier 1 (32 of 64 threads arrived)"}, 64);
  run(kSuccess, "@%p2 bra END;\n" + kSync);
  run(kErrorLaunchFailed, "barrier.cluster.arrive;\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n", {"arrives at barrier.cluster again", "without barrier.cluster.wait in between"});
  run(kErrorLaunchFailed, "barrier.cluster.wait;\n", {"by a thread that has not arrived"});
  run(kErrorLaunchFailed, "@%p0 barrier.cluster.arrive.aligned;\n", {"barrier.cluster.aligned under divergence", "0x00000001 of the live lanes 0xffffffff"});
}

TEST(ClusterFindings, BarrierClusterUnderDivergence) {
  // Without .aligned the sides of a branch may arrive and wait apart.
  auto apart = [](const std::string &n) {
    return "@%p0 bra ONE" + n + ";\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\nbra BOTH" + n + ";\nONE" + n +
           ": barrier.cluster.arrive;\nbarrier.cluster.wait;\nBOTH" + n + ":\n";
  };
  expectSevens(run(kSuccess, kWrite + apart("1") + kReadPeer + kKeep + apart("2")));
}

const std::string kInitOne = "@%p0 mbarrier.init.shared::cta.b64 [%r2], 1;\n@%p0 fence.mbarrier_init.release.cluster;\n";
const std::string kExpect = "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 128;\n";
const std::string kSend = "add.u32 %r20, %r0, 7;\nst.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r14], %r20, [%r12];\n";

TEST(ClusterFindings, AsynchronousStores) {
  expectSevens(run(kSuccess, kInitOne + kExpect + kSync + kSend + kWait + kReadOwn + kKeep));
  run(kErrorLaunchFailed, kInitOne + kExpect + kSync + kSend + kSync + kReadOwn + kKeep, {"the destination of an asynchronous copy that has not been waited for", "the copy at line"});
  run(kErrorLaunchFailed, kInitOne + kExpect + kSync + kSend + kSync, {"ends while this copy may still write its shared memory", "st.async"});
  run(kErrorIllegalAddress, kInitOne + kExpect + kSync + "st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r14], %r0, [%r2];\n" + kWait,
      {"to the shared memory of block (0, 0, 0)", "an mbarrier in that of block (1, 0, 0)", "both must be of one block"});
  run(kErrorLaunchFailed, kInitOne + kExpect + kWrite + kSync + "@%p2 ld.shared.u32 %r21, [%r4];\n@%p1 st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r14], %r20, [%r12];\n" + kSync,
      {"shared-memory race: the copy writes address", "which warp 0 of block (1, 0, 0) read"});
}

TEST(ClusterFindings, AsynchronousReductions) {
  std::string add = "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r13], %r0, [%r12];\n", zero = "@%p0 st.shared.u32 [%r3], %r0;\n";
  std::string keep = "ld.shared.u32 %r21, [%r3];\n" + kKeep;
  EXPECT_EQ(run(kSuccess, kInitOne + kExpect + zero + kSync + add + kWait + keep)[40], 31u * 16);
  run(kErrorLaunchFailed, kInitOne + kExpect + kSync + add + kWait + keep, {"the reduction changes shared address", "which was never written"});
  run(kErrorLaunchFailed, kInitOne + kExpect + zero + kSync + add + kSync + keep + kWait, {"which the asynchronous copy at line", "has not waited for the copy's mbarrier"});
}

TEST(ClusterFindings, CopiesBetweenBlocks) {
  std::string fence = "fence.proxy.async.shared::cta;\n", store = kWrite + fence;
  std::string copy = "@%p0 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r13+512], [%r3], 128, [%r12];\n";
  std::string keep = "ld.shared.u32 %r21, [%r4+512];\n" + kKeep;
  expectSevens(run(kSuccess, kInitOne + kExpect + store + kSync + copy + kWait + keep + kSync));
  run(kErrorLaunchFailed, kInitOne + kExpect + kWrite + kSync + copy + kWait + keep + kSync, {"fence.proxy.async is missing"});
  // The source is changed, or ends, before the copy is seen to be complete.
  run(kErrorLaunchFailed, kInitOne + kExpect + store + kSync + copy + kWrite + kWait + keep + kSync,
      {"shared-memory race: write of address", "which an asynchronous copy read"});
  std::string sendAndEnd = kInitOne + kExpect + store + kSync + "@%p2 bra GETS;\n" + copy + "bra END;\nGETS:\n" + kWait;
  run(kErrorLaunchFailed, sendAndEnd, {"the block (0, 0, 0) ends while this copy may still read its shared memory"});
  std::string sendAndWait = kInitOne + kExpect + store + kSync + "@%p2 bra GETS;\n" + copy + "bra DONE;\nGETS:\n" + kWait + "DONE:\n" + kSync;
  run(kSuccess, sendAndWait);
  expectSevens(run(kSuccess, kInitOne + kExpect + store + kSync + copy + kWait + kSync + kWrite + keep + kSync));
  std::string reduce = "@%p0 cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%r13+512], [%r3], 128, [%r12];\n";
  std::vector<uint32_t> out = run(kSuccess, kInitOne + kExpect + kWrite + "st.shared.u32 [%r4+512], %r0;\n" + fence + kSync + reduce + kWait + keep + kSync);
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(out[i], 2 * (i % 32) + 7);
}

TEST(ClusterFindings, Multicast) {
  std::string copy = "mov.u16 %h0, MASK;\nand.pred %p3, %p0, %p1;\n"
                     "@%p3 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r3], [%rd0], 128, [%r2], %h0;\n";
  auto to = [&](const std::string &mask, std::string text) { return text.replace(text.find("MASK"), 4, mask); };
  std::vector<uint32_t> out = run(kSuccess, kInitOne + kExpect + kSync + to("3", copy) + kWait + kReadOwn + "add.u32 %r21, %r21, 100;\n" + kSync + kKeep);
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(out[i], i % 32 + 100);
  run(kErrorIllegalAddress, kInitOne + kExpect + kSync + to("5", copy) + kWait, {"the mask 0x5 of a multicast copy names blocks that do not exist in a cluster of 2"});
  run(kErrorIllegalAddress, kInitOne + kExpect + kSync + to("0", copy) + kWait, {"is empty"});
  run(kErrorLaunchFailed, kInitOne + kExpect + to("3", copy) + kWait, {"which may not have started"});
  // Block 1 expects bytes that only block 0 gets.
  run(kErrorLaunchTimeout, kInitOne + kExpect + kSync + to("1", copy) + kWait, {"spin for ever", "128 bytes are expected in this phase, 0 arrived"});
  run(kErrorLaunchFailed, kInitOne + kSync + to("3", copy) + kSync + "@%p2 bra END;\n" + kExpect + kWait, {"the block (1, 0, 0) ends while this copy may still write"});
  run(kErrorIllegalAddress, kInitOne + kSync + to("3", copy) + "@%p2 bra END;\n" + kExpect + kWait, {"is of block (1, 0, 0), rank 1 of the cluster, which has ended"});
}

TEST(ClusterFindings, FlagsInGlobalMemoryOrder) {
  // Block 0 writes to block 1 and sets a flag; block 1 sees the flag and reads. And then tells block 0, which may end.
  std::string pass = kSync + "@%p2 bra SEES;\nadd.u32 %r20, %r0, 7;\nst.shared::cluster.u32 [%r14], %r20;\nbar.sync 0;\n"
                             "fence.acq_rel.gpu;\n@%p0 red.release.gpu.global.add.u32 [%rd0], 1000;\nmov.u32 %r21, %r20;\nbra DONE;\n"
                             "SEES: ld.acquire.gpu.global.u32 %r22, [%rd0];\nsetp.lt.u32 %p3, %r22, 1000;\n@%p3 bra SEES;\nbar.sync 0;\n" +
                     kReadOwn + "DONE:\n" + kSync + kKeep;
  expectSevens(run(kSuccess, pass));
  std::string plain = pass;
  plain.replace(plain.find("ld.acquire.gpu"), 14, "ld"); // not a flag's load
  run(kErrorLaunchFailed, plain, {"shared-memory race"});
}

const std::string kGridSync = "@!%p0 bra AFTER;\natom.add.release.gpu.global.u32 %r22, [%rd0+512], 1;\nAGAIN: ld.acquire.gpu.global.u32 %r22, [%rd0+512];\n"
                              "setp.lt.u32 %p3, %r22, GOAL;\n@%p3 bra AGAIN;\nAFTER: bar.sync 0;\n";

TEST(Cooperative, AllBlocksRunAtOnce) {
  auto until = [](const std::string &goal) {
    std::string text = kGridSync;
    return text.replace(text.find("GOAL"), 4, goal);
  };
  // Word 128 starts as 128.
  std::string after = "ld.global.u32 %r21, [%rd0+512];\n" + kKeep;
  EXPECT_EQ(run(kSuccess, until("134") + after, {}, 32, 6, true)[3], 134u);
  run(kErrorLaunchTimeout, until("135") + after, {"the blocks spin for ever", "warp 0 of block (5, 0, 0) repeats lines"}, 32, 6, true);
}

TEST(ClusterLaunch, WhatTheHostGotWrong) {
  std::string entries;
  auto entry = [&](const std::string &name, const std::string &directives) { entries += ".visible .entry " + name + "()\n" + directives + "\n{\nret;\n}\n"; };
  entry("plain", "");
  entry("pair", ".reqnctapercluster 2, 1, 1\n.explicitcluster");
  entry("byClusters", ".reqntid 32, 1, 1\n.reqnctapercluster 2, 1, 1\n.blocksareclusters");
  entry("ask", ".explicitcluster");
  entry("atMost4", ".explicitcluster\n.maxclusterrank 4");
  Device device("sm_90a");
  std::string ptx = ".version 8.7\n.target sm_90\n.address_size 64\n" + entries;
  ASSERT_EQ(device.load(ptx), kSuccess) << lastFinding();
  auto launch = [&](int code, const char *name, Dims grid, Dims cluster, const std::string &words = "", bool isCooperative = false) {
    EXPECT_EQ(launchShape(device, name, {grid, {32, 1, 1}, cluster, isCooperative}), code) << name << " " << lastFinding();
    EXPECT_NE(lastFinding().find(words), std::string::npos) << "'" << words << "' is not in: " << lastFinding();
  };
  launch(kSuccess, "plain", {16, 1, 1}, {8, 1, 1});
  launch(kSuccess, "plain", {16, 2, 2}, {2, 2, 2});
  launch(kErrorInvalidValue, "plain", {15, 1, 1}, {2, 1, 1}, "grid (15, 1, 1) is not a multiple of the cluster (2, 1, 1)");
  launch(kErrorInvalidValue, "plain", {15, 1, 1}, {3, 0, 1}, "a dimension of the cluster (3, 0, 1) is 0");
  launch(kErrorInvalidClusterSize, "plain", {16, 1, 1}, {16, 1, 1}, "NON_PORTABLE_CLUSTER_SIZE_ALLOWED");
  ASSERT_EQ(device.d.funcSetAttribute(device.function("plain"), kFunctionNonPortableClusterSizeAllowed, 1), kSuccess);
  launch(kSuccess, "plain", {16, 1, 1}, {16, 1, 1});
  launch(kErrorInvalidClusterSize, "plain", {64, 1, 1}, {32, 1, 1}, "of 32 blocks is above the limit");
  launch(kSuccess, "pair", {4, 1, 1}, {0, 0, 0});
  launch(kErrorInvalidValue, "pair", {3, 1, 1}, {0, 0, 0}, "not a multiple of the cluster (2, 1, 1)");
  launch(kErrorInvalidValue, "pair", {4, 1, 1}, {4, 1, 1}, "is not the .reqnctapercluster (2, 1, 1)");
  launch(kSuccess, "byClusters", {3, 1, 1}, {0, 0, 0});
  EXPECT_EQ(kernelRecords().back().grid[0], 6u);
  launch(kErrorInvalidClusterSize, "ask", {4, 1, 1}, {0, 0, 0}, ".explicitcluster");
  launch(kSuccess, "ask", {4, 1, 1}, {1, 1, 1});
  launch(kSuccess, "atMost4", {8, 1, 1}, {4, 1, 1});
  launch(kErrorInvalidClusterSize, "atMost4", {8, 1, 1}, {8, 1, 1}, ".maxclusterrank of the kernel, 4");
  launch(kSuccess, "plain", {132 * 32, 1, 1}, {0, 0, 0}, "", true);
  launch(kErrorCooperativeLaunchTooLarge, "plain", {132 * 32 + 1, 1, 1}, {0, 0, 0}, "132 multiprocessors take 32 each", true);

  LaunchAttribute attributes[2];
  attributes[0].id = kLaunchPriority;
  attributes[1].id = kLaunchProgrammaticStreamSerialization;
  LaunchConfig config;
  config.attributes = attributes;
  config.numAttributes = 2;
  EXPECT_EQ(device.d.launchKernelEx(&config, device.function("plain"), nullptr, nullptr), kSuccess) << lastFinding();
  attributes[1].id = 12;
  EXPECT_EQ(device.d.launchKernelEx(&config, device.function("plain"), nullptr, nullptr), kErrorNotSupported);
  EXPECT_NE(lastFinding().find("launch attribute 12 is not known"), std::string::npos) << lastFinding();
  int value = 0;
  EXPECT_EQ(device.d.funcGetAttribute(&value, kFunctionRequiredClusterWidth, device.function("pair")), kSuccess);
  EXPECT_EQ(value, 2);
  EXPECT_EQ(device.d.deviceGetAttribute(&value, kAttributeClusterLaunch, deviceOrdinal("sm_80")), kSuccess);
  EXPECT_EQ(value, 0);
  // None of them ends the context.
  launch(kSuccess, "plain", {2, 1, 1}, {2, 1, 1});
}

TEST(ClusterLaunch, KernelsThatDoNotAsk) {
  // A sum of 64 threads over shared memory, and a block's number: the same with clusters as without.
  std::string body = "mov.u32 %r0, %tid.x;\nmov.u32 %r1, data;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r2, %r1, %r2;\nst.shared.u32 [%r2], %r0;\nbar.sync 0;\n"
                     "mov.u32 %r3, 0;\nmov.u32 %r4, 0;\nLOOP: shl.b32 %r5, %r4, 2;\nadd.u32 %r5, %r1, %r5;\nld.shared.u32 %r6, [%r5];\nadd.u32 %r3, %r3, %r6;\n"
                     "add.u32 %r4, %r4, 1;\nsetp.lt.u32 %p0, %r4, 64;\n@%p0 bra LOOP;\nmov.u32 %r7, %ctaid.x;\nmov.u32 %r8, %ctaid.y;\n"
                     "mad.lo.u32 %r7, %r8, 4, %r7;\nadd.u32 %r3, %r3, %r7;\nmul.wide.u32 %rd1, %r7, 256;\nadd.s64 %rd0, %rd0, %rd1;\nmul.wide.u32 %rd1, %r0, 4;\n"
                     "add.s64 %rd0, %rd0, %rd1;\nst.global.u32 [%rd0], %r3;\n";
  std::vector<uint32_t> results[3];
  uint64_t instructions[3];
  for (unsigned i = 0; i < 3; ++i) {
    Device device("sm_90a");
    ASSERT_EQ(device.load(kernel(1, body, kGlobals, "sm_90a")), kSuccess) << lastFinding();
    CUdeviceptr out = device.alloc(16 * 256);
    ASSERT_EQ(launchShape(device, "k", {{4, 4, 1}, {64, 1, 1}, i == 0 ? Dims{0, 0, 0} : i == 1 ? Dims{2, 2, 1} : Dims{4, 1, 1}, i == 2}, out), kSuccess)
        << lastFinding();
    results[i] = device.download<uint32_t>(out, 16 * 64);
    instructions[i] = counters().totalWarpInstructions();
    EXPECT_EQ(counters().blocks, 16u);
  }
  EXPECT_EQ(results[0][5 * 64], 63u * 32 + 5);
  for (unsigned i = 1; i < 3; ++i) {
    EXPECT_EQ(results[i], results[0]);
    EXPECT_EQ(instructions[i], instructions[0]);
  }
}

TEST(ClusterLaunch, OldDevicesHaveNoClusters) {
  Device device("sm_80");
  ASSERT_EQ(device.load(kernel(0, "ret;", "", "sm_80", "8.0")), kSuccess) << lastFinding();
  EXPECT_EQ(launchShape(device, "k", {{2, 1, 1}, {32, 1, 1}, {2, 1, 1}}), kErrorNotSupported);
  EXPECT_NE(lastFinding().find("sm_80 has no clusters"), std::string::npos) << lastFinding();
  EXPECT_EQ(launchShape(device, "k", {{2, 1, 1}, {32, 1, 1}, {0, 0, 0}, true}), kSuccess) << lastFinding();
}

TEST(ClusterLaunch, FormsThatAreRefused) {
  for (const char *line : {"barrier.cluster.arrive.acquire;", "barrier.cluster.wait.relaxed;", "mapa.shared::cta.u32 %r1, %r2, 0;", "mapa.u32 %r1, %r2, 0;",
                           "st.async.shared::cluster.mbarrier::complete_tx::bytes.u16 [%r1], %h0, [%r2];",
                           "st.async.mmio.release.sys.global.b32 [%rd0], %r1;", "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.min.u64 [%r1], %rd0, [%r2];",
                           "griddepcontrol;"}) {
    Device device("sm_90a");
    EXPECT_EQ(device.loadAndLaunch(kernel(0, line, "", "sm_90a")), kErrorNotSupported) << line;
    EXPECT_NE(lastFinding().find("line 13"), std::string::npos) << lastFinding();
  }
}

} // namespace
