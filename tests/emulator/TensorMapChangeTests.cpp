// Tensor maps that a kernel makes: tensormap.replace from 128 bytes of zeros, as Triton does, or from a map of the host's, as CUTLASS does for
// groups of products; four rows picked by gather4 and scatter4.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TensorMaps.h"

#include <fmt/format.h>
#include <numeric>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const std::string kShared = ".shared .align 1024 .b8 tile[1024];\n.shared .align 128 .b8 map[128];\n.shared .align 8 .b64 bar;\n";
const std::string kClear = "mov.u32 %r0, %tid.x;\nsetp.eq.u32 %p0, %r0, 0;\nshl.b32 %r1, %r0, 2;\nmov.u32 %r2, map;\nadd.u32 %r1, %r1, %r2;\n"
                           "st.shared.b32 [%r1], 0;\nbar.warp.sync -1;\n";

std::string replace(const std::string &field, const std::string &value, const char *bits = "b32") {
  return "@%p0 tensormap.replace.tile." + field + ".shared::cta.b1024." + bits + " [map], " + value + ";\n";
}

/// A map of 6 rows of 32 floats at %rd0, in boxes of 8 rows.
std::string makeMap(const std::string &swizzle = "3") {
  return replace("global_address", "%rd0", "b64") + replace("rank", "1") + replace("box_dim", "0, 32") + replace("box_dim", "1, 8") +
         replace("global_dim", "0, 32") + replace("global_dim", "1, 6") + replace("global_stride", "0, 128", "b64") +
         replace("element_stride", "0, 1") + replace("element_stride", "1, 1") + replace("elemtype", "7") + replace("interleave_layout", "0") +
         replace("swizzle_mode", swizzle) + replace("fill_mode", "0");
}

const std::string kPublish = "bar.warp.sync -1;\ntensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%rd2], [map], 128;\n"
                             "fence.proxy.tensormap::generic.acquire.gpu [%rd2], 128;\n";

/// Loads the box at row -1 and writes it to %rd1, a thread a column.
const std::string kLoad =
    "@%p0 mbarrier.init.shared::cta.b64 [bar], 1;\nfence.mbarrier_init.release.cluster;\nbar.sync 0;\n"
    "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 1024;\n"
    "@%p0 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%rd2, {0, -1}], [bar];\n"
    "wait: mbarrier.try_wait.parity.shared::cta.b64 %p1, [bar], 0;\n@!%p1 bra wait;\n"
    "mov.u32 %r3, 0;\nmov.u32 %r4, tile;\nshl.b32 %r5, %r0, 2;\ncvt.u64.u32 %rd3, %r5;\nadd.u64 %rd3, %rd1, %rd3;\n"
    "loop: shl.b32 %r6, %r3, 4;\nxor.b32 %r6, %r6, %r5;\nshl.b32 %r7, %r3, 7;\nadd.u32 %r6, %r6, %r7;\nadd.u32 %r6, %r6, %r4;\n"
    "ld.shared.f32 %f0, [%r6];\nst.global.f32 [%rd3], %f0;\nadd.u64 %rd3, %rd3, 128;\nadd.u32 %r3, %r3, 1;\nsetp.lt.u32 %p2, %r3, 8;\n@%p2 bra loop;\n";

struct Outcome {
  std::vector<float> result;
  std::string finding;
};

Outcome run(const std::string &body) {
  Device device("sm_90a");
  EXPECT_EQ(device.load(kernel(3, body, kShared, "sm_90a")), kSuccess) << lastFinding();
  std::vector<float> data(6 * 32);
  std::iota(data.begin(), data.end(), 1.0f);
  CUdeviceptr in = device.upload(data), out = device.alloc(1024), map = device.alloc(128);
  if (device.launch("k", 1, 32, 0, in, out, map) != kSuccess)
    return {{}, lastFinding()};
  return {device.download<float>(out, 256), ""};
}

TEST(TensorMapChange, MapOfZerosIsFilled) {
  Outcome outcome = run(kClear + makeMap() + kPublish + kLoad);
  ASSERT_EQ(outcome.finding, "");
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 32; ++column)
      EXPECT_EQ(outcome.result[static_cast<size_t>(32 * row + column)], row < 1 || row > 6 ? 0 : static_cast<float>(32 * (row - 1) + column + 1));
}

TEST(TensorMapChange, WhatIsWrongIsToldWhereTheMapIsUsed) {
  // A field that was left out, a swizzle of 32 bytes for rows of 128, a map that was never written.
  std::string without = makeMap();
  std::string second = replace("box_dim", "1, 8");
  without.erase(without.find(second), second.size());
  EXPECT_NE(run(kClear + without + kPublish + kLoad).finding.find("boxDim[1] is 0, it must be 1 to 256"), std::string::npos) << lastFinding();
  EXPECT_NE(run(kClear + makeMap("1") + kPublish + kLoad).finding.find("with swizzle 32B it takes at most 32"), std::string::npos) << lastFinding();
  std::string uncleared = kClear;
  uncleared.erase(uncleared.find("st.shared"), uncleared.find("bar.warp") - uncleared.find("st.shared"));
  EXPECT_NE(run(uncleared + makeMap() + kPublish + kLoad).finding.find("was never written"), std::string::npos) << lastFinding();
}

TEST(TensorMapChange, MapOfTheHostIsMoved) {
  // The host's map is of other memory; only address and rows change. A copy of it in shared memory, word by word.
  std::string text = kernel(4, "mov.u32 %r0, %tid.x;\nsetp.eq.u32 %p0, %r0, 0;\nshl.b32 %r1, %r0, 2;\ncvt.u64.u32 %rd4, %r1;\nadd.u64 %rd4, %rd3, %rd4;\n"
                               "ld.global.b32 %r3, [%rd4];\nmov.u32 %r2, map;\nadd.u32 %r1, %r1, %r2;\nst.shared.b32 [%r1], %r3;\nbar.warp.sync -1;\n" +
                                   replace("global_address", "%rd0", "b64") + replace("global_dim", "1, 6") + kPublish + kLoad,
                            kShared, "sm_90a");
  Device device("sm_90a");
  ASSERT_EQ(device.load(text), kSuccess) << lastFinding();
  std::vector<float> data(6 * 32);
  std::iota(data.begin(), data.end(), 1.0f);
  CUdeviceptr in = device.upload(data), other = device.upload(data), out = device.alloc(1024), space = device.alloc(128);
  Map map;
  ASSERT_EQ(map.encode(device, {kFloat32, other, {32, 2}, {128}, {32, 8}, {}, 3}), kSuccess) << lastFinding();
  CUdeviceptr host = device.upload(std::vector<uint8_t>(map.bytes, map.bytes + 128));
  ASSERT_EQ(device.launch("k", 1, 32, 0, in, out, space, host), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<float>(out, 256)[32 * 6 + 31], 192.0f);
}

/// Rows 5, 0, 9 (outside) and 2 of a tensor, through shared memory to rows 1, 3, 0 and 9 (outside) of another.
TEST(TensorMapChange, FourRowsArePicked) {
  std::string body =
      "mov.u32 %r0, %tid.x;\nsetp.eq.u32 %p0, %r0, 0;\n@%p0 mbarrier.init.shared::cta.b64 [bar], 1;\nfence.mbarrier_init.release.cluster;\nbar.sync 0;\n"
      "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 512;\nmov.b32 %r1, 9;\n"
      "@%p0 cp.async.bulk.tensor.2d.shared::cta.global.tile::gather4.mbarrier::complete_tx::bytes [tile+128], [%rd0, {0, 5, 0, %r1, 2}], [bar];\n"
      "wait: mbarrier.try_wait.parity.shared::cta.b64 %p1, [bar], 0;\n@!%p1 bra wait;\n"
      "@%p0 cp.async.bulk.tensor.2d.global.shared::cta.tile::scatter4.bulk_group [%rd1, {0, 1, 3, 0, %r1}], [tile+128];\n"
      "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n";
  Device device("sm_100a");
  ASSERT_EQ(device.load(kernel(2, body, kShared, "sm_100a")), kSuccess) << lastFinding();
  std::vector<float> data(6 * 32);
  std::iota(data.begin(), data.end(), 1.0f);
  CUdeviceptr in = device.upload(data), out = device.upload(std::vector<float>(6 * 32, -1.0f));
  auto mapOf = [&](CUdeviceptr tensor, uint32_t rows) {
    Map map;
    EXPECT_EQ(map.encode(device, {kFloat32, tensor, {32, 6}, {128}, {32, rows}, {}, 3}), kSuccess) << lastFinding();
    return device.upload(std::vector<uint8_t>(map.bytes, map.bytes + 128));
  };
  CUdeviceptr from = mapOf(in, 1), to = mapOf(out, 1);
  ASSERT_EQ(device.launch("k", 1, 32, 0, from, to), kSuccess) << lastFinding();
  std::vector<float> result = device.download<float>(out, 6 * 32);
  for (size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(result[i], 0); // of the row outside
    EXPECT_EQ(result[32 + i], data[5 * 32 + i]);
    EXPECT_EQ(result[64 + i], -1);
    EXPECT_EQ(result[96 + i], data[i]);
  }
  EXPECT_NE(device.launch("k", 1, 32, 0, mapOf(in, 2), to), kSuccess);
  EXPECT_NE(lastFinding().find("boxDim[1] of the tensor map is 2"), std::string::npos) << lastFinding();
}

} // namespace
