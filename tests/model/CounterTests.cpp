// What the emulated device counts for kernels whose counts are known beforehand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/emulator/Harness.h"

#include "runtime/model/Gpu.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

const std::string kCorpus = FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/";

uint64_t slots(const Counters &counters, Pipe pipe) { return counters.issueSlots[static_cast<size_t>(pipe)]; }

/// Runs a kernel of one buffer of 64 KiB, already written.
Counters countersOf(const std::string &body, unsigned grid, unsigned block, const std::string &globals = "", const char *target = "sm_80") {
  Device device(target);
  EXPECT_EQ(device.load(kernel(1, body, globals, target)), kSuccess) << lastFinding();
  CUdeviceptr data = device.upload(std::vector<uint32_t>(16384));
  resetCounters();
  EXPECT_EQ(device.launch("k", grid, block, 0, data), kSuccess) << lastFinding();
  return counters();
}

TEST(Counters, ACopyOfNBytesHasNOver32Sectors) {
  Device device("sm_80");
  ASSERT_EQ(device.load(kernel(2, R"(
    cvta.to.global.u64 %rd0, %rd0;
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mad.lo.s32 %r3, %r1, %r2, %r0;
    mul.wide.s32 %rd2, %r3, 4;
    add.s64 %rd3, %rd0, %rd2;
    add.s64 %rd4, %rd1, %rd2;
    ld.global.u32 %r4, [%rd3];
    st.global.u32 [%rd4], %r4;
    ret;)", "", "sm_80")),
            kSuccess)
      << lastFinding();
  CUdeviceptr from = device.upload(std::vector<uint32_t>(4096)), to = device.alloc(16384);
  resetCounters();
  ASSERT_EQ(device.launch("k", 16, 256, 0, from, to), kSuccess) << lastFinding();
  Counters c = counters();
  EXPECT_EQ(c.globalSectorsRead, 16384u / 32);
  EXPECT_EQ(c.globalSectorsWritten, 16384u / 32);
  EXPECT_EQ(c.sectorsReadOnceABlock, 16384u / 32);
  EXPECT_EQ(c.footprintRead, 16384u / 32);
  EXPECT_EQ(c.footprintWritten, 16384u / 32);
  EXPECT_EQ(c.globalRequests, (std::array<uint64_t, 4>{128, 128, 0, 0})); // 16 blocks of 8 warps
  // Of each warp: three special registers and ret, mad and mul.wide, two additions of two words, a load and a store; cvta is nothing.
  EXPECT_EQ(slots(c, Pipe::Control), 128u * 4);
  EXPECT_EQ(slots(c, Pipe::Multiply), 128u * 2);
  EXPECT_EQ(slots(c, Pipe::Integer), 128u * 4);
  EXPECT_EQ(slots(c, Pipe::Alu), 0u);
  EXPECT_EQ(slots(c, Pipe::Lsu), 128u * 2);
  EXPECT_EQ(c.totalIssueSlots(), 128u * 12);
}

TEST(Counters, FootprintIsLessThanTraffic) {
  // Each block reads the same 128 bytes twice.
  Counters c = countersOf(R"(
    mov.u32 %r0, %tid.x;
    mul.wide.u32 %rd1, %r0, 4;
    add.s64 %rd1, %rd0, %rd1;
    ld.global.u32 %r1, [%rd1];
    ld.global.u32 %r2, [%rd1];
    ret;)", 4, 32);
  EXPECT_EQ(c.globalSectorsRead, 4u * 2 * 4);
  EXPECT_EQ(c.sectorsReadOnceABlock, 4u * 4);
  EXPECT_EQ(c.footprintRead, 4u);
  EXPECT_EQ(c.footprintWritten, 0u);
}

TEST(Counters, FootprintsOfThreadsOfTheHostAreOne) {
  std::string body = R"(
    mov.u32 %r0, %tid.x;
    mul.wide.u32 %rd1, %r0, 4;
    add.s64 %rd1, %rd0, %rd1;
    ld.global.u32 %r1, [%rd1];
    ret;)";
  for (int threads : {1, 2, 4}) {
    Device device("sm_80");
    Options settings;
    settings.threads = threads;
    setOptions(settings);
    ASSERT_EQ(device.load(kernel(1, body, "", "sm_80")), kSuccess) << lastFinding();
    CUdeviceptr data = device.upload(std::vector<uint32_t>(64));
    resetCounters();
    ASSERT_EQ(device.launch("k", 64, 32, 0, data), kSuccess) << lastFinding();
    EXPECT_EQ(counters().footprintRead, 4u) << threads;
    EXPECT_EQ(counters().sectorsReadOnceABlock, 64u * 4) << threads;
  }
}

TEST(Counters, StridedLoadsTouchASectorALane) {
  Counters c = countersOf(R"(
    mov.u32 %r0, %tid.x;
    mul.wide.u32 %rd1, %r0, 64;
    add.s64 %rd1, %rd0, %rd1;
    ld.global.u32 %r1, [%rd1];
    ret;)", 1, 32);
  EXPECT_EQ(c.globalSectorsRead, 32u);
  EXPECT_EQ(c.globalBytesRead, 128u);
}

TEST(Counters, AtomicsOfAWarpOnOneWord) {
  Counters c = countersOf("red.global.add.u32 [%rd0], 1; ret;", 2, 64);
  EXPECT_EQ(c.globalRequests[2], 4u);
  EXPECT_EQ(c.atomicOperations, 128u);
  EXPECT_EQ(c.globalSectorsWritten, 4u);
  EXPECT_EQ(c.footprintWritten, 1u);
}

/// A load of 4 bytes from words `stride` apart.
class Conflicts : public ::testing::TestWithParam<int> {};

TEST_P(Conflicts, OfDegreeKHaveKWavefronts) {
  std::string stride = std::to_string(4 * GetParam());
  Counters c = countersOf(R"(
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, memory;
    mad.lo.u32 %r2, %r0, )" + stride + R"(, %r1;
    st.shared.u32 [%r2], %r0;
    ld.shared.u32 %r3, [%r2];
    ret;)", 3, 32, ".shared .align 128 .b8 memory[8192];");
  uint64_t degree = static_cast<uint64_t>(GetParam());
  EXPECT_EQ(c.sharedLoads.wavefronts, 3 * degree);
  EXPECT_EQ(c.sharedLoads.conflicts(), 3 * (degree - 1));
  EXPECT_EQ(c.sharedStores.wavefronts, 3 * degree);
  EXPECT_EQ(c.sharedTotal().wavefronts, 6 * degree);
}

INSTANTIATE_TEST_SUITE_P(PowersOfTwo, Conflicts, ::testing::Values(1, 2, 4, 8, 16, 32));

TEST(Counters, OddStridesAndBroadcastsHaveNoConflicts) {
  for (const char *stride : {"0", "12", "20", "132"}) {
    Counters c = countersOf(R"(
      mov.u32 %r0, %tid.x;
      mov.u32 %r1, memory;
      mad.lo.u32 %r2, %r0, )" + std::string(stride) + R"(, %r1;
      ld.shared.u32 %r3, [%r2];
      ret;)", 1, 32, ".shared .align 128 .b8 memory[8192];");
    EXPECT_EQ(c.sharedLoads.wavefronts, 1u) << stride;
  }
}

TEST(Counters, VectorsTakeAWavefrontAQuarterOfAWarp) {
  for (auto [stride, wavefronts] : {std::pair("16", 4u), std::pair("32", 8u), std::pair("128", 32u)}) {
    Counters c = countersOf(R"(
      mov.u32 %r0, %tid.x;
      mov.u32 %r1, memory;
      mad.lo.u32 %r2, %r0, )" + std::string(stride) + R"(, %r1;
      ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r2];
      ret;)", 1, 32, ".shared .align 128 .b8 memory[8192];");
    EXPECT_EQ(c.sharedLoads.wavefronts, wavefronts) << stride;
    EXPECT_EQ(c.sharedLoads.minimum, 4u) << stride;
  }
}

TEST(Counters, LdmatrixAndStmatrixTakeAWavefrontAMatrix) {
  // Rows of 16 bytes one after the other; 128 bytes apart, all eight are in the same banks.
  for (auto [stride, each] : {std::pair("16", 1u), std::pair("32", 2u), std::pair("128", 8u), std::pair("144", 1u)}) {
    Counters c = countersOf(R"(
      mov.u32 %r0, %tid.x;
      mov.u32 %r1, memory;
      mad.lo.u32 %r2, %r0, )" + std::string(stride) + R"(, %r1;
      ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r3, %r4, %r5, %r6}, [%r2];
      mov.b32 %r7, 1;
      bar.warp.sync 0xffffffff;
      stmatrix.sync.aligned.m8n8.x2.shared.b16 [%r2], {%r7, %r7};
      ret;)", 1, 32, ".shared .align 128 .b8 memory[8192];", "sm_90a");
    EXPECT_EQ(c.ldmatrix.wavefronts, 4 * each) << stride;
    EXPECT_EQ(c.stmatrix.wavefronts, 2 * each) << stride;
    EXPECT_EQ(c.sharedStores.wavefronts, 0u);
  }
}

TEST(Counters, AsynchronousCopies) {
  Counters c = countersOf(R"(
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, memory;
    mad.lo.u32 %r2, %r0, 16, %r1;
    mul.wide.u32 %rd1, %r0, 16;
    add.s64 %rd1, %rd0, %rd1;
    cp.async.cg.shared.global [%r2], [%rd1], 16;
    cp.async.wait_all;
    ret;)", 1, 32, ".shared .align 128 .b8 memory[8192];");
  EXPECT_EQ(c.asyncCopies.wavefronts, 4u); // 512 bytes
  EXPECT_EQ(c.globalSectorsRead, 16u);
  EXPECT_EQ(c.globalRequests, (std::array<uint64_t, 4>{0, 0, 0, 1}));
  EXPECT_EQ(c.footprintRead, 16u);
}

TEST(Counters, SharedAtomicsAreNoGlobalTraffic) {
  Counters c = countersOf(R"(
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, memory;
    mad.lo.u32 %r2, %r0, 8, %r1;
    mov.b32 %r3, 0;
    st.shared.u32 [%r2], %r3;
    cvt.u64.u32 %rd1, %r2;
    cvta.shared.u64 %rd1, %rd1;
    red.shared.add.u32 [%r2], 1;
    atom.add.u32 %r4, [%rd1], 1;
    ret;)", 1, 32, ".shared .align 128 .b8 memory[8192];");
  EXPECT_EQ(c.sharedAtomics.wavefronts, 4u); // two atomics with a conflict of degree two
  EXPECT_EQ(c.globalRequests[2], 0u);
  EXPECT_EQ(c.globalSectorsWritten, 0u);
}

TEST(Counters, BulkCopiesMoveRows) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kCorpus + "tma_bulk_O3.ptx")), kSuccess) << lastFinding();
  CUdeviceptr data = device.upload(std::vector<int>(3 * 1024 + 16));
  resetCounters();
  ASSERT_EQ(device.launch("addOne", 3, 128, 0, data, 8), kSuccess) << lastFinding();
  Counters c = counters();
  // Each of three blocks brings 4096 bytes and takes them back.
  EXPECT_EQ(c.bulkCopies.wavefronts, 3u * 2 * 32);
  EXPECT_EQ(c.globalSectorsRead, 3u * 128);
  EXPECT_EQ(c.globalSectorsWritten, 3u * 128);
  EXPECT_EQ(c.footprintRead, 3u * 128);
  EXPECT_EQ(c.footprintWritten, 3u * 128);
}

TEST(Counters, AMatmulHasMNKOverTheShapeMmas) {
  // M = 64, N = 32, K = 128 in steps of 16 x 8 x 16: a block a tile.
  Counters c = countersOf(R"(
    mov.b32 %r1, 0;
    mov.f32 %f0, 0f00000000;
    mov.b32 %r2, 0;
  LOOP:
    mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%f0, %f0, %f0, %f0};
    add.u32 %r2, %r2, 16;
    setp.lt.u32 %p1, %r2, 128;
    @%p1 bra LOOP;
    ret;)", 4 * 4, 32);
  EXPECT_EQ(c.mmas, (std::map<std::string, uint64_t>{{"bf16.f32.m16n8k16", 64 * 32 * 128 / (16 * 8 * 16)}}));
  EXPECT_EQ(mmaOperations("bf16.f32.m16n8k16") * c.mmas["bf16.f32.m16n8k16"], uint64_t{2} * 64 * 32 * 128);
  EXPECT_EQ(slots(c, Pipe::Tensor), 128u);
  EXPECT_EQ(slots(c, Pipe::Integer), 128u);
  EXPECT_EQ(slots(c, Pipe::Alu), 128u); // setp
  EXPECT_EQ(slots(c, Pipe::Control), 128u + 16);
}

TEST(Counters, OperationsOfEachKind) {
  EXPECT_EQ(mmaOperations("mxf4nvf4.4x.ue4m3"), 2u * 16 * 8 * 64);
  EXPECT_EQ(mmaOperations("mxf4.2x.ue8m0"), 2u * 16 * 8 * 64);
  EXPECT_EQ(mmaOperations("mxf8f6f4.1x.ue8m0"), 2u * 16 * 8 * 32);
  EXPECT_EQ(mmaOperations("wgmma.bf16.f32.m64n256k16"), 2u * 64 * 256 * 16);
  EXPECT_EQ(mmaOperations("tcgen05.mxf4nvf4.4x.ue4m3.m128n256k64"), 2u * 128 * 256 * 64);
  EXPECT_EQ(mmaOperations("f64.f64.m8n8k4"), 2u * 8 * 8 * 4);
  EXPECT_EQ(mmaOperations("something"), 0u);
}

TEST(Counters, WarpgroupsReadTheirOperandsOnce) {
  Device device("sm_90a");
  ASSERT_EQ(device.load(readText(kCorpus + "wgmma_O3.ptx")), kSuccess) << lastFinding();
  auto run = [&](const char *name, size_t n, size_t k, unsigned shared) {
    CUdeviceptr a = device.upload(std::vector<uint16_t>(64 * k)), b = device.upload(std::vector<uint16_t>(n * k)), out = device.alloc(64 * n * 4);
    EXPECT_EQ(device.d.funcSetAttribute(device.function(name), kFunctionMaxDynamicSharedBytes, static_cast<int>(shared)), kSuccess);
    resetCounters();
    EXPECT_EQ(device.launch(name, 1, 128, shared, a, b, out), kSuccess) << lastFinding();
    return counters();
  };
  // 64 x 64 x 128 in eight steps: A and B have 2048 bytes each, 16 wavefronts.
  Counters shared = run("bf16_kk_128", 64, 128, 49152);
  EXPECT_EQ(shared.wgmmaOperands.wavefronts, 8u * (16 + 16));
  EXPECT_EQ(shared.mmas["wgmma.bf16.f32.m64n64k16"], 8u);
  // 64 x 128 x 64 in four steps, A in registers: B has 4096 bytes.
  Counters registers = run("bf16_registers", 128, 64, 49152);
  EXPECT_EQ(registers.wgmmaOperands.wavefronts, 4u * 32);
}

TEST(Counters, RecordsHaveTheSharedMemoryOfABlock) {
  Device device("sm_80");
  ASSERT_EQ(device.load(kernel(0, "mov.u32 %r1, memory; ld.shared.u32 %r2, [%r1]; ret;", ".shared .align 16 .b8 memory[4096];", "sm_80")), kSuccess);
  resetCounters();
  ASSERT_EQ(device.launch("k", 1, 32, 512), kSuccess) << lastFinding();
  ASSERT_EQ(kernelRecords().size(), 1u);
  EXPECT_EQ(kernelRecords()[0].sharedBytes, 4096u + 512);
}

TEST(Costs, CountWhatTheAssemblerMakes) {
  auto of = [](const std::string &instruction) {
    Counters c = countersOf(instruction + "\nret;", 1, 32);
    c.issueSlots[static_cast<size_t>(Pipe::Control)] -= 1; // ret
    return c;
  };
  struct Case {
    const char *instruction;
    Pipe pipe;
    uint64_t slots;
  };
  for (const Case &c : {Case{"mov.b32 %r1, 5;", Pipe::None, 0}, Case{"mov.u32 %r1, %laneid;", Pipe::Control, 1},
                        Case{"fma.rn.f32 %f1, 0f00000000, 0f00000000, 0f00000000;", Pipe::Fma, 1},
                        Case{"add.f64 %fd1, 0d0000000000000000, 0d0000000000000000;", Pipe::Fp64, 1},
                        Case{"mul.lo.u32 %r1, 3, 4;", Pipe::Multiply, 1}, Case{"mul.lo.u64 %rd1, %rd0, %rd0;", Pipe::Multiply, 4},
                        Case{"shl.b32 %r1, 3, 4;", Pipe::Integer, 1}, Case{"add.s64 %rd1, %rd0, 4;", Pipe::Integer, 2},
                        Case{"shr.u32 %r1, 3, 4;", Pipe::Alu, 1}, Case{"lop3.b32 %r1, 3, 4, 5, 0x96;", Pipe::Alu, 1},
                        Case{"ex2.approx.ftz.f32 %f1, 0f00000000;", Pipe::Xu, 1}, Case{"cvt.rn.bf16.f32 %h1, 0f00000000;", Pipe::Xu, 1},
                        Case{"popc.b32 %r1, 3;", Pipe::Xu, 1}, Case{"bar.sync 0;", Pipe::Control, 1},
                        Case{"shfl.sync.idx.b32 %r1, 3, 0, 31, -1;", Pipe::Lsu, 1}}) {
    Counters counters = of(c.instruction);
    EXPECT_EQ(counters.totalIssueSlots(), c.slots) << c.instruction;
    EXPECT_EQ(slots(counters, c.pipe), c.slots) << c.instruction;
  }
}

} // namespace
