// clusterlaunchcontrol: every place of a grid is worked on once, by whichever block took it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const std::string kShared = ".shared .align 16 .b8 response[16];\n.shared .align 8 .b64 bar;\n";

/// Counts the block's place in p0[x + 5 y], then asks for another; p1[0] counts what was taken over. `after`: what follows the query.
std::string persistent(const std::string &query) {
  return kernel(2,
                "mov.u32 %r0, %ctaid.x;\nmov.u32 %r1, %ctaid.y;\nmov.u32 %r9, 0;\nmbarrier.init.shared::cta.b64 [bar], 1;\n"
                "fence.mbarrier_init.release.cluster;\n"
                "again: mad.lo.u32 %r2, %r1, 5, %r0;\nmul.wide.u32 %rd2, %r2, 4;\nadd.u64 %rd2, %rd0, %rd2;\nred.global.add.u32 [%rd2], 1;\n"
                "mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 16;\n"
                "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [response], [bar];\n"
                "wait: mbarrier.try_wait.parity.shared::cta.b64 %p0, [bar], %r9;\n@!%p0 bra wait;\nxor.b32 %r9, %r9, 1;\n"
                ".reg .b128 handle;\nld.shared.b128 handle, [response];\nfence.proxy.async.shared::cta;\n" +
                    query,
                kShared, "sm_100a");
}

TEST(LaunchControl, EveryPlaceIsWorkedOnOnce) {
  Device device("sm_100a");
  std::string query = "clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p1, handle;\n@!%p1 ret;\nred.global.add.u32 [%rd1], 1;\n"
                      "clusterlaunchcontrol.query_cancel.get_first_ctaid.v4.b32.b128 {%r0, %r1, %r3, _}, handle;\n"
                      "clusterlaunchcontrol.query_cancel.get_first_ctaid::y.b32.b128 %r4, handle;\nsetp.eq.u32 %p2, %r1, %r4;\n@%p2 bra again;\ntrap;\n";
  ASSERT_EQ(device.load(persistent(query)), kSuccess) << lastFinding();
  CUdeviceptr counts = device.upload(std::vector<uint32_t>(20, 0)), taken = device.upload(std::vector<uint32_t>(1, 0));
  void *params[] = {&counts, &taken};
  for (BlockOrder order : {BlockOrder::Ascending, BlockOrder::Descending}) {
    Options settings;
    settings.order = order;
    setOptions(settings);
    counts = device.upload(std::vector<uint32_t>(20, 0));
    ASSERT_EQ(device.d.launchKernel(device.function("k"), 5, 4, 1, 1, 1, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<uint32_t>(counts, 20), std::vector<uint32_t>(20, 1));
    EXPECT_GT(device.download<uint32_t>(taken, 1)[0], 0u);
  }
}

TEST(LaunchControl, PlacesAreAskedForOnlyWhereTheyAreThere) {
  Device device("sm_100a");
  ASSERT_EQ(device.load(persistent("clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 %r0, handle;\n")), kSuccess) << lastFinding();
  CUdeviceptr counts = device.upload(std::vector<uint32_t>(20, 0)), taken = device.alloc(4);
  EXPECT_EQ(device.launch("k", 1, 1, 0, counts, taken), kErrorIllegalInstruction);
  EXPECT_NE(lastFinding().find("no cluster was cancelled"), std::string::npos) << lastFinding();
}

} // namespace
