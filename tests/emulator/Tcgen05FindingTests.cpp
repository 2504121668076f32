// Mistakes around tensor memory and tcgen05 that the emulated device finds: a program that is right, and what one edit makes of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ClusterLaunch.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// 128 x 16 = A (ones, 128 x 16) times B (ones, 16 x 16), bf16; each thread stores column 0 of its row. Lines end with names for edits.
const char *const kProgram = R"(
    mov.u32 %r1, %tid.x;
    shr.u32 %r2, %r1, 5;
    setp.eq.u32 %p1, %r2, 0;
    setp.eq.u32 %p2, %r1, 0;
    setp.ne.u32 %p3, %r1, %r1;
    mov.u32 %r3, operands;
    shl.b32 %r4, %r1, 4;
    add.u32 %r4, %r4, %r3;
    mov.b32 %r5, 0x3f803f80;
    st.shared.v4.b32 [%r4], {%r5, %r5, %r5, %r5};
    st.shared.v4.b32 [%r4+2048], {%r5, %r5, %r5, %r5};
    @%p1 st.shared.v4.b32 [%r4+4096], {%r5, %r5, %r5, %r5};
    @%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 32; // alloc
    @%p1 tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned; // relinquish
    @%p2 mbarrier.init.shared.b64 [done], 1; // init
    fence.mbarrier_init.release.cluster;
    fence.proxy.async.shared::cta; // proxy
    tcgen05.fence::before_thread_sync;
    bar.sync 0; // first
    tcgen05.fence::after_thread_sync;
    ld.shared.b32 %r6, [place];
    shr.u32 %r7, %r3, 4;
    cvt.u64.u32 %rd2, %r7;
    add.u64 %rd3, %rd2, 0x0000400800800000; // a
    add.u64 %rd4, %rd2, 0x0000400800100100; // b
    mov.b32 %r8, 0x08040490; // instruction
    @%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6], %rd3, %rd4, %r8, %p3; // mma
    @%p2 tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [done]; // commit
WAIT:
    mbarrier.try_wait.parity.shared.b64 %p4, [done], 0; // try
    @!%p4 bra WAIT;
    tcgen05.fence::after_thread_sync; // after
    shl.b32 %r9, %r2, 21; // lanes
    add.u32 %r9, %r9, %r6;
    tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r10, %r11}, [%r9]; // load
    tcgen05.wait::ld.sync.aligned; // loaded
    mul.wide.u32 %rd5, %r1, 4;
    add.u64 %rd5, %rd5, %rd0;
    add.u32 %r12, %r10, 0;
    st.global.b32 [%rd5], %r12;
    tcgen05.fence::before_thread_sync; // before
    bar.sync 0; // second
    @%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r6, 32; // dealloc
    ret;
)";

/// The line that ends with the name.
std::string lineOf(const std::string &text, const std::string &name) {
  size_t end = text.find("; // " + name + "\n"), start = text.rfind('\n', end);
  EXPECT_NE(end, std::string::npos) << name;
  return text.substr(start + 1, end + name.size() + 5 - start);
}

struct Edit {
  const char *name;
  std::string text; // in place of the line; '&' is the line
};

std::string edited(const std::vector<Edit> &edits) {
  std::string text = kProgram;
  for (const Edit &edit : edits) {
    std::string line = lineOf(text, edit.name), replacement = edit.text;
    if (size_t at = replacement.find('&'); at != std::string::npos)
      replacement.replace(at, 1, line);
    text.replace(text.find(line), line.size(), replacement + "\n");
  }
  return text;
}

/// The finding, "" if there is none and the result is right.
std::string run(const std::vector<Edit> &edits, CheckLevel checks = CheckLevel::Full, CUresult *code = nullptr) {
  Device device("sm_100a", checks);
  std::string globals = ".shared .align 1024 .b8 operands[8192];\n.shared .align 8 .b64 done;\n.shared .align 8 .b64 other;\n.shared .align 4 .b32 place;\n"
                        ".shared .align 4 .b32 place2;";
  if (device.load(kernel(1, edited(edits), globals, "sm_100a", "8.8")) != kSuccess)
    return "load: " + lastFinding();
  CUdeviceptr out = device.alloc(512);
  CUresult result = device.launch("k", 1, 128, 0, out);
  if (code)
    *code = result;
  if (result != kSuccess)
    return lastFinding();
  for (uint32_t value : device.download<uint32_t>(out, 128))
    if (value != 0x41800000) // 16
      return "wrong result " + std::to_string(value);
  return "";
}

struct Mistake {
  const char *name;
  std::vector<Edit> edits;
  std::vector<std::string> words;
  std::vector<Edit> twin; // what would have been right
};

const char *const kSecondProduct = "&\n    tcgen05.fence::after_thread_sync;\n    @%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6], %rd3, %rd4, %r8, %p3;\n"
                                   "    @%p2 tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [done];\nWAIT2:\n"
                                   "    mbarrier.try_wait.parity.shared.b64 %p4, [done], 1;\n    @!%p4 bra WAIT2;\n    bar.sync 0;";

const std::vector<Mistake> &mistakes() {
  static const std::vector<Mistake> list = {
      {"AllocationIsAPowerOfTwo",
       {{"alloc", "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 48;"}},
       {"an allocation of 48 columns", "a power of two from 32 to 512"},
       {{"alloc", "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 64;"}, {"dealloc", "@%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r6, 64;"}}},
      {"AllocationAfterThePermitIsGivenUp",
       {{"alloc", ""}, {"relinquish", "&\n@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 32;"}},
       {"after tcgen05.relinquish_alloc_permit at line"},
       {}},
      {"AllocationThatWaitsForEver",
       {{"relinquish", "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place2], 512;"}},
       {"for ever", "warp 0 waits for 512 columns of tensor memory, of which 32 of 512 are allocated"},
       {{"relinquish", "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place2], 256;"},
        {"dealloc", "&\n@%p1 ld.shared.b32 %r13, [place2];\n@%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r13, 256;"}}},
      {"MissingDeallocation", {{"dealloc", ""}}, {"ends with 32 columns of tensor memory allocated", "tcgen05.alloc"}, {}},
      {"DeallocationOfWhatWasNotAllocated",
       {{"dealloc", "@%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r6, 64;"}},
       {"a deallocation of 64 columns at tensor memory address 0x0, which were not allocated together: allocated are 32 at 0x0"},
       {}},
      {"ColumnsThatAreNotAllocated",
       {{"load", "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r10, %r11}, [%r9+31];"}},
       {"columns [0x1f, 0x21) of tensor memory are not allocated: allocated are [0x0, 0x20)"},
       {{"load", "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r10, %r11}, [%r9+14];"}}},
      {"LanesOfAnotherWarp", {{"lanes", "mov.b32 %r9, 0;"}}, {"warp 1 may access lanes 32 to 63 alone"}, {}},
      {"RegistersBeforeTheWait", {{"loaded", ""}}, {"`add.u32 %r12, %r10, 0;`", "uses a register that the tcgen05.ld at line", "does not execute tcgen05.wait::ld"}, {{"loaded", "add.u32 %r13, %r10, 0;\n&"}}},
      {"ResultBeforeTheWait", {{"commit", "&\n    bar.sync 0;"}, {"try", "setp.eq.u32 %p4, %r1, %r1;"}}, {"which the mma at line", "may still write", "tcgen05.commit"}, {{"commit", "&\n    bar.sync 0;"}}},
      {"MissingFenceAfter", {{"after", ""}}, {"tcgen05.fence::after_thread_sync is missing"}, {}},
      {"MissingFenceBefore", {{"before", ""}, {"second", kSecondProduct}}, {"tcgen05.fence::before_thread_sync is missing", "which warp 1 at line"}, {{"second", kSecondProduct}}},
      {"ProductBeforeOthersHaveLoaded",
       {{"second", std::string("setp.gt.u32 %p6, %r2, 1;\n    @%p6 bra SKIP;\n    bar.sync 1, 64;\nSKIP:") + (kSecondProduct + 1)}},
       {"tensor memory race: column 0x0, which warp", "without a barrier in between"},
       {{"second", kSecondProduct}}},
      {"LoadThatIsNotWaitedFor",
       {{"loaded", ""}, {"load", "&\n    add.u32 %r10, %r5, 0;"}},
       {"writes a register that the tcgen05.ld at line"},
       {}},
      {"SourceIsOverwritten", {{"commit", "&\n    @%p2 st.shared.b32 [%r3], %r5;"}}, {"write of 4 bytes at shared address", "which the mma at line", "may still read"}, {{"after", "&\n    @%p2 st.shared.b32 [%r3], %r5;"}}},
      {"MissingProxyFence", {{"proxy", ""}}, {"fence.proxy.async is missing"}, {}},
      {"SumOnNothing", {{"mma", "@%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6], %rd3, %rd4, %r8, 1;"}}, {"the product is added to D, which was never written: lane 0, column 0x0"}, {}},
      {"DeallocationTooEarly", {{"dealloc", "@%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6], %rd3, %rd4, %r8, %p3;\n&"}, {"second", "&\n    tcgen05.fence::after_thread_sync;"}}, {"tcgen05.dealloc", "may still write"}, {{"second", kSecondProduct}}},
      {"ProductOfAnotherThread",
       {{"commit", "&\n    setp.eq.u32 %p5, %r1, 1;\n    @%p5 tcgen05.mma.cta_group::1.kind::f16 [%r6], %rd3, %rd4, %r8, %p3;"}},
       {"may still write"},
       {{"mma", "&\n    @%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6], %rd3, %rd4, %r8, %p3;"}}},
      {"AnotherShapeOnTheSameColumns",
       {{"mma", "&\n    @%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6+8], %rd3, %rd4, %r8, %p3;"}},
       {"may still write"},
       {{"mma", "&\n    @%p2 tcgen05.mma.cta_group::1.kind::f16 [%r6+16], %rd3, %rd4, %r8, %p3;"}}},
      {"StoreThatIsNotWaitedFor",
       {{"after", "&\n    shl.b32 %r13, %r2, 21;\n    add.u32 %r13, %r13, %r6;\n    mov.b32 %r14, 0x41800000;\n    tcgen05.st.sync.aligned.32x32b.x1.b32 [%r13], {%r14};"}},
       {"it has not executed tcgen05.wait::st"},
       {{"after", "&\n    shl.b32 %r13, %r2, 21;\n    add.u32 %r13, %r13, %r6;\n    mov.b32 %r14, 0x41800000;\n    tcgen05.st.sync.aligned.32x32b.x1.b32 [%r13], {%r14};\n"
                  "    tcgen05.wait::st.sync.aligned;"}}},
      {"ScalesThatWereNeverWritten",
       {{"instruction", "mov.b32 %r8, 0x08840480;"}, {"mma", "@%p2 tcgen05.mma.cta_group::1.kind::mxf4.block_scale.block32 [%r6], %rd3, %rd4, %r8, [%r6+16], [%r6+20], %p3;"}},
       {"the scale of row 0 was never written: lane 0, column 0x10"},
       {}},
      {"CopyFromOutOfBounds",
       {{"mma", "@%p2 tcgen05.cp.cta_group::1.128x256b [%r6+16], %rd6;\n&"}, {"a", "&\n    add.u64 %rd6, %rd2, 0x0000700800010100;"}},
       {"out of bounds"},
       {{"mma", "@%p2 tcgen05.cp.cta_group::1.128x256b [%r6+16], %rd3;\n&"}}},
      {"ArrivalsWithoutRoom",
       {{"commit", "@%p2 mbarrier.arrive.shared.b64 %rd6, [done];\n    @%p2 mbarrier.inval.shared.b64 [done];\n&"}},
       {"no mbarrier was initialised"},
       {{"commit", "@%p2 mbarrier.init.shared.b64 [other], 1;\n    @%p2 tcgen05.commit.cta_group::1.mbarrier::arrive::one.b64 [other];\n&"}}},
  };
  return list;
}

class Tcgen05Finding : public ::testing::TestWithParam<Mistake> {};

TEST_P(Tcgen05Finding, IsReported) {
  const Mistake &mistake = GetParam();
  EXPECT_EQ(run(mistake.twin), "");
  std::string found = run(mistake.edits);
  for (const std::string &word : mistake.words)
    EXPECT_NE(found.find(word), std::string::npos) << "'" << word << "' is not in: " << found;
}

INSTANTIATE_TEST_SUITE_P(Mistakes, Tcgen05Finding, ::testing::ValuesIn(mistakes()), [](const auto &info) { return std::string(info.param.name); });

TEST(Tcgen05Findings, TheProgramIsRightAtAllLevels) {
  for (CheckLevel level : {CheckLevel::None, CheckLevel::Fast, CheckLevel::Full})
    EXPECT_EQ(run({}, level), "");
  // Without any tcgen05.fence, as CUTLASS and Triton write it, the barriers are what counts.
  std::string text = kProgram;
  std::vector<Edit> noFences = {{"after", ""}, {"before", ""}};
  EXPECT_NE(run(noFences), "");
}

/// Two blocks, each of which commits to the mbarriers of both: neither phase is complete before both products are.
TEST(Tcgen05Findings, CommitsToSeveralBlocks) {
  std::string globals = ".shared .align 1024 .b8 operands[8192];\n.shared .align 8 .b64 done;\n.shared .align 4 .b32 place;";
  for (const char *mask : {"3", "1", "6"}) {
    std::string text = edited({{"first", "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;"},
                               {"init", "@%p2 mbarrier.init.shared.b64 [done], 2;"},
                               {"commit", "mov.u16 %h1, " + std::string(mask) +
                                              ";\n@%p2 tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.multicast::cluster.b64 [done], %h1;"},
                               {"second", "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;"}});
    Device device("sm_100a");
    ASSERT_EQ(device.load(kernel(1, text, globals, "sm_100a", "8.8")), kSuccess) << lastFinding();
    CUdeviceptr out = device.alloc(512);
    CUresult code = launchShape(device, "k", {{2, 1, 1}, {128, 1, 1}, {2, 1, 1}}, out);
    if (mask[0] == '3') {
      ASSERT_EQ(code, kSuccess) << lastFinding();
      EXPECT_EQ(device.download<uint32_t>(out, 128), std::vector<uint32_t>(128, 0x41800000));
    } else { // the second block gets no arrival; the third does not exist
      EXPECT_NE(code, kSuccess);
      EXPECT_NE(lastFinding().find(mask[0] == '1' ? "for ever" : "the mask 0x6 of a multicast commit names blocks that do not exist"), std::string::npos) << lastFinding();
    }
  }
}

/// Instruction descriptors, each with one field that is wrong, and what the finding says of it.
TEST(Tcgen05Findings, InstructionDescriptors) {
  const std::pair<uint32_t, const char *> wrong[] = {
      {0x08040491, "the sparsity selector"},       {0x08040494, "the flag of sparsity"},  {0x08040498, "saturation"},       {0x080404d0, "bit 6"},
      {0x08040590, "the type of A (bits 7 to 9) is 3"}, {0x08040890, "the type of B (bits 10 to 12) is 2"}, {0x08040480, "the type of D (bits 4, 5) is 0"},
      {0x080404a0, "the type of D (bits 4, 5) is 2"},   {0x08020490, "N (bits 17 to 22, in units of 8) is 8"}, {0x08440490 | 1u << 22, "is 272"},
      {0x0c040490, "M is 192"},                     {0x08840490, "bit 23"},                {0x28040490, "bit 29"},            {0x48040490, "the largest shift"}};
  for (auto [bits, part] : wrong) {
    CUresult code;
    std::string found = run({{"instruction", "mov.b32 %r8, " + std::to_string(bits) + ";"}}, CheckLevel::Full, &code);
    EXPECT_NE(found.find(part), std::string::npos) << part << ": " << found;
    EXPECT_EQ(code, kErrorIllegalInstruction);
  }
}

TEST(Tcgen05Findings, SharedMemoryDescriptors) {
  const std::pair<const char *, const char *> wrong[] = {{"0x0000000800800000", "bits 46 to 48 are 0b000"},
                                                         {"0x6000400800800000", "the swizzle mode (bits 61 to 63) is 3"},
                                                         {"0x0010400800800000", "the mode of the leading dimension (bit 52)"},
                                                         {"0x0020400800800000", "bits 53 to 60"},
                                                         {"0x2000400800800000", "is for transposed tf32"}};
  for (auto [bits, part] : wrong) {
    std::string found = run({{"a", std::string("add.u64 %rd3, %rd2, ") + bits + ";"}});
    EXPECT_NE(found.find(part), std::string::npos) << part << ": " << found;
  }
}

} // namespace
