// What the assembler says of kernels, and the tables of a launch, from PTX to text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/emulator/Harness.h"

#include "runtime/jit/Cubin.h"
#include "runtime/model/Report.h"
#include "runtime/model/Resources.h"

#include <nlohmann/json.hpp>

#include <map>

using namespace fourfold;
using namespace fourfold::model;
using namespace fourfold::emulator::test;

namespace {

const char *kBody = R"(
    mov.u32 %r0, %tid.x;
    mul.wide.u32 %rd1, %r0, 4;
    add.s64 %rd1, %rd0, %rd1;
    mov.u32 %r2, memory;
    mad.lo.u32 %r2, %r0, 4, %r2;
    st.shared.u32 [%r2], %r0;
    ld.shared.u32 %r3, [%r2];
    st.global.u32 [%rd1], %r3;
    ret;)";

std::string ptx(const char *target = "sm_80") { return kernel(1, kBody, ".shared .align 16 .b8 memory[1024];", target, "8.0"); }

const Gpu &gpu(const char *name) {
  const Gpu *found = nullptr;
  EXPECT_TRUE(findGpu(name, &found).ok());
  return *found;
}

std::vector<LabelledRecord> launched() {
  emulator::test::Device device("sm_80");
  EXPECT_EQ(device.load(ptx()), kSuccess) << emulator::lastFinding();
  CUdeviceptr data = device.alloc(1024);
  emulator::resetCounters();
  EXPECT_EQ(device.launch("k", 10, 256, 0, data), kSuccess) << emulator::lastFinding();
  return {{"store", emulator::kernelRecords().at(0)}};
}

bool hasAssembler() { return !findCudaTools().ptxas.empty(); }

TEST(Resources, OfTheLogOfPtxas) {
  std::map<std::string, KernelResources> kernels;
  readVerboseLog(R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'first' for 'sm_80'
ptxas info    : Function properties for first
    24 bytes stack frame, 20 bytes spill stores, 28 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 24 bytes cumulative stack size, 4096 bytes smem, 400 bytes cmem[0]
ptxas info    : Compile time = 12.000 ms
ptxas info    : Compiling entry function 'second' for 'sm_80'
ptxas info    : Function properties for second
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, used 0 barriers, 360 bytes cmem[0]
)",
                 &kernels);
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels["first"].registers, 255u);
  EXPECT_EQ(kernels["first"].spillStores, 20u);
  EXPECT_EQ(kernels["first"].spillLoads, 28u);
  EXPECT_EQ(kernels["first"].staticShared, 4096u);
  EXPECT_TRUE(kernels["first"].spillsKnown);
  EXPECT_EQ(kernels["second"].registers, 12u);
  EXPECT_EQ(kernels["second"].spillStores, 0u);
}

TEST(Resources, WhatIsNoMachineCodeIsRefused) {
  std::map<std::string, KernelResources> kernels;
  EXPECT_FALSE(readCubin("", &kernels));
  EXPECT_FALSE(readCubin("no machine code", &kernels));
  EXPECT_FALSE(readCubin(std::string("\x7f") + "ELF", &kernels));
}

TEST(Resources, OfMachineCodeAgreeWithTheLog) {
  if (!hasAssembler())
    GTEST_SKIP() << "no ptxas";
  CachedTexts texts;
  ASSERT_TRUE(assembleVerbosely(ptx(), "sm_80", &texts).ok());
  std::map<std::string, KernelResources> fromFile, fromLog;
  ASSERT_TRUE(readCubin(texts->at("cubin"), &fromFile));
  readVerboseLog(texts->at("log"), &fromLog);
  ASSERT_EQ(fromFile.count("k"), 1u);
  EXPECT_GT(fromLog["k"].registers, 0u);
  EXPECT_EQ(fromFile["k"].registers, fromLog["k"].registers);
  EXPECT_EQ(fromFile["k"].staticShared, 1024u);
  EXPECT_EQ(fromLog["k"].staticShared, 1024u);
  EXPECT_GE(fromFile["k"].machineInstructions, 8u);
  // Half a file must not be read past its end.
  std::string half = texts->at("cubin").substr(0, texts->at("cubin").size() / 2);
  readCubin(half, &fromFile);
}

TEST(Resources, TargetsOfMachineCode) {
  EXPECT_EQ(machineTarget(gpu("h100"), "sm_90a"), "sm_90a");
  EXPECT_EQ(machineTarget(gpu("rtx4090"), "sm_80"), "sm_89");
  EXPECT_EQ(machineTarget(gpu("b200"), "sm_100f"), "sm_100f");
}

TEST(Report, HasCountsOccupancyAndTime) {
  nlohmann::ordered_json json;
  Status status = modelJson(gpu("a100"), ptx(), "sm_80", launched(), &json);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto &launch = json["launches"][0];
  EXPECT_EQ(launch["blocks"], 10);
  EXPECT_EQ(launch["sharedBytes"], 1024);
  EXPECT_EQ(launch["occupancy"]["blocks"], 8); // of eight warps; shared memory would allow 82
  EXPECT_EQ(launch["occupancy"]["byShared"], 82);
  EXPECT_EQ(launch["occupancy"]["limit"], "warps");
  EXPECT_EQ(launch["instructionsEstimated"], 9); // as below
  EXPECT_EQ(launch.contains("registers"), hasAssembler());
  EXPECT_EQ(json.contains("notAssembled"), !hasAssembler());
  // 80 warps, each with tid and ret, mul.wide and mad, an addition of two words, three accesses: 9 slots. One block in each of ten
  // multiprocessors: 18 cycles. The footprint is that of one block.
  std::map<std::string, double> terms;
  for (const auto &term : launch["speedOfLight"]["terms"])
    terms[term["name"]] = term["microseconds"];
  EXPECT_NEAR(terms["issue"], 18 / 1.41e9 * 1e6, 1e-12);
  EXPECT_NEAR(terms["memory"], 1024 / 2.039e12 * 1e6, 1e-12);
  std::string table = modelTable(json);
  EXPECT_NE(table.find("least times on NVIDIA A100 SXM4 80GB"), std::string::npos) << table;
  EXPECT_NE(table.find("store"), std::string::npos) << table;
  EXPECT_NE(table.find(hasAssembler() ? "(registers, spilled bytes and machine instructions of ptxas for sm_80;" : "(without registers"), std::string::npos) << table;
}

TEST(Report, RefusesAGpuThatDoesNotRunThePtx) {
  nlohmann::ordered_json json;
  Status status = modelJson(gpu("a100"), ptx(), "sm_90a", launched(), &json);
  EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
  EXPECT_EQ(status.message(), "--gpu a100: NVIDIA A100 SXM4 80GB has compute capability 8.0, which does not run PTX for sm_90a");
}

TEST(Report, RefusesBlocksThatDoNotFit) {
  std::vector<LabelledRecord> records = launched();
  records[0].record.sharedBytes = 160 * 1024;
  nlohmann::ordered_json json;
  Status status = modelJson(gpu("rtx4090"), ptx(), "sm_80", records, &json);
  EXPECT_NE(status.message().find("not one block of kernel 'k' fits into a multiprocessor of NVIDIA GeForce RTX 4090: 256 threads, 163840 bytes of shared "
                                  "memory; the limit is shared memory"),
            std::string::npos)
      << status.message();
}

} // namespace
