// The table of GPUs against the figures that their makers publish.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/Gpu.h"

#include <gtest/gtest.h>

using namespace fourfold;
using namespace fourfold::model;

namespace {

const Gpu &gpu(const char *name) {
  const Gpu *found = nullptr;
  EXPECT_TRUE(findGpu(name, &found).ok());
  return *found;
}

struct Published {
  const char *gpu;
  TensorKind kind;
  double peak; // T operations a second, dense
};

class Peaks : public ::testing::TestWithParam<Published> {};

TEST_P(Peaks, ComeOutOfTheTable) {
  // Data sheets round, to two digits at worst.
  double peak = gpu(GetParam().gpu).peak(GetParam().kind) / 1e12;
  EXPECT_NEAR(peak, GetParam().peak, 0.007 * GetParam().peak);
}

INSTANTIATE_TEST_SUITE_P(DataSheets, Peaks,
                         ::testing::Values(Published{"a100", TensorKind::F16, 312}, Published{"a100", TensorKind::Tf32, 156},
                                           Published{"a100", TensorKind::Int8, 624}, Published{"a100", TensorKind::Int4, 1248},
                                           Published{"a100", TensorKind::Bit, 4992}, Published{"a100", TensorKind::F64, 19.5},
                                           Published{"h100", TensorKind::F16, 989.4}, Published{"h100", TensorKind::Tf32, 494.7},
                                           Published{"h100", TensorKind::Fp8, 1978.9}, Published{"h100", TensorKind::Int8, 1978.9},
                                           Published{"h100", TensorKind::F64, 66.9}, Published{"h200", TensorKind::F16, 989.4},
                                           Published{"rtx4090", TensorKind::F16, 165.2}, Published{"rtx4090", TensorKind::F16HalfSums, 330.3},
                                           Published{"rtx4090", TensorKind::Fp8, 330.3}, Published{"rtx4090", TensorKind::Fp8HalfSums, 660.6},
                                           Published{"rtx4090", TensorKind::Tf32, 82.6}, Published{"rtx4090", TensorKind::Int8, 660.6},
                                           Published{"rtx5090", TensorKind::Fp4, 1676}, Published{"rtx5090", TensorKind::Fp8, 419},
                                           Published{"rtx5090", TensorKind::Fp8HalfSums, 838}, Published{"rtx5090", TensorKind::F16, 209.5},
                                           Published{"rtx5090", TensorKind::Tf32, 104.8}, Published{"rtx5090", TensorKind::Int8, 838},
                                           Published{"b200", TensorKind::F16, 2250}, Published{"b200", TensorKind::Fp8, 4500},
                                           Published{"b200", TensorKind::Fp4, 9000}, Published{"b200", TensorKind::F64, 37}));

TEST(Table, ScalarPeaksAreThoseOfTheDataSheets) {
  // Two operations an fma.
  auto peak = [](const char *name, emulator::Pipe pipe) {
    return 2 * gpu(name).multiprocessors * gpu(name).clock * gpu(name).lanes[static_cast<size_t>(pipe)] / 1e12;
  };
  EXPECT_NEAR(peak("a100", emulator::Pipe::Fma), 19.5, 0.1);
  EXPECT_NEAR(peak("h100", emulator::Pipe::Fma), 66.9, 0.1);
  EXPECT_NEAR(peak("rtx4090", emulator::Pipe::Fma), 82.6, 0.1);
  EXPECT_NEAR(peak("rtx5090", emulator::Pipe::Fma), 104.8, 0.1);
  EXPECT_NEAR(peak("a100", emulator::Pipe::Fp64), 9.7, 0.1);
  EXPECT_NEAR(peak("h100", emulator::Pipe::Fp64), 33.5, 0.1);
}

TEST(Table, AnUnknownNameListsTheKnown) {
  const Gpu *found = nullptr;
  Status status = findGpu("h300", &found);
  EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
  EXPECT_EQ(status.message(), "there is no GPU 'h300' in the cost model: use one of a100, h100, h200, rtx4090, rtx5090, b200");
  EXPECT_EQ(found, nullptr);
}

TEST(Table, RunsWhatItsComputeCapabilityRuns) {
  EXPECT_EQ(whyNot(gpu("a100"), "sm_80"), "");
  EXPECT_EQ(whyNot(gpu("a100"), "sm_75"), "");
  EXPECT_EQ(whyNot(gpu("a100"), "sm_90a"), "NVIDIA A100 SXM4 80GB has compute capability 8.0, which does not run PTX for sm_90a");
  EXPECT_EQ(whyNot(gpu("h100"), "sm_90a"), "");
  EXPECT_EQ(whyNot(gpu("h100"), "sm_90"), "");
  EXPECT_NE(whyNot(gpu("h100"), "sm_100"), "");
  EXPECT_NE(whyNot(gpu("b200"), "sm_90a"), "");
  EXPECT_EQ(whyNot(gpu("b200"), "sm_90"), "");
  EXPECT_EQ(whyNot(gpu("b200"), "sm_100f"), "");
  EXPECT_NE(whyNot(gpu("rtx5090"), "sm_100f"), "");
  EXPECT_EQ(whyNot(gpu("rtx5090"), "sm_120a"), "");
  EXPECT_NE(whyNot(gpu("rtx5090"), "compute_80"), "");
}

TEST(TensorKinds, FollowTheNamesOfMmas) {
  auto kind = [](const char *name) {
    TensorKind found = TensorKind::Count;
    EXPECT_TRUE(tensorKindOf(name, &found)) << name;
    return found;
  };
  EXPECT_EQ(kind("bf16.f32.m16n8k16"), TensorKind::F16);
  EXPECT_EQ(kind("f16.f16.m16n8k16"), TensorKind::F16HalfSums);
  EXPECT_EQ(kind("f16.f32.m16n8k8"), TensorKind::F16);
  EXPECT_EQ(kind("tf32.f32.m16n8k8"), TensorKind::Tf32);
  EXPECT_EQ(kind("e4m3.e5m2.f32.m16n8k32"), TensorKind::Fp8);
  EXPECT_EQ(kind("e4m3.f16.m16n8k32"), TensorKind::Fp8HalfSums);
  EXPECT_EQ(kind("e2m1.f32.m16n8k32"), TensorKind::Fp8);
  EXPECT_EQ(kind("s8.u8.s32.m16n8k32"), TensorKind::Int8);
  EXPECT_EQ(kind("f64.f64.m8n8k4"), TensorKind::F64);
  EXPECT_EQ(kind("mxf4nvf4.4x.ue4m3"), TensorKind::Fp4);
  EXPECT_EQ(kind("mxf4.2x.ue8m0"), TensorKind::Fp4);
  EXPECT_EQ(kind("mxf8f6f4.1x.ue8m0"), TensorKind::MxFp8);
  EXPECT_EQ(kind("wgmma.bf16.f32.m64n256k16"), TensorKind::F16);
  EXPECT_EQ(kind("tcgen05.bf16.f32.m128n256k16"), TensorKind::F16);
  EXPECT_EQ(kind("tcgen05.f16.f16.m64n32k16"), TensorKind::F16HalfSums);
  EXPECT_EQ(kind("tcgen05.e4m3.e5m2.f32.m128n64k32"), TensorKind::Fp8);
  EXPECT_EQ(kind("tcgen05.s8.u8.s32.m128n64k32"), TensorKind::Int8);
  EXPECT_EQ(kind("tcgen05.mxf8f6f4.e4m3.e2m1.m128n64k32"), TensorKind::MxFp8);
  EXPECT_EQ(kind("tcgen05.mxf4nvf4.4x.ue4m3.m128n256k64"), TensorKind::Fp4);
  EXPECT_EQ(kind("wgmma.f16.f16.m64n32k16"), TensorKind::F16HalfSums);
  EXPECT_EQ(kind("wmma.f32.f16.f16.f32.m16n16k16"), TensorKind::F16);
  EXPECT_EQ(kind("wmma.f16.f16.f16.f16.m16n16k16"), TensorKind::F16HalfSums);
  TensorKind found;
  EXPECT_FALSE(tensorKindOf("unheard.of.m16n8k16", &found));
}

} // namespace
