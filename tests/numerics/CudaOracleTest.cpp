// The number formats against CUDA's own host-side conversions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Numerics.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>

#include <gtest/gtest.h>

using namespace fourfold::numerics;

namespace {

/// Every exponent and sign, mantissas in odd strides: 2^24 and more fp32 patterns.
template <typename CheckFn> void forManyFloats(CheckFn check) {
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 251)
    check(floatFromBits(static_cast<uint32_t>(bits)));
  for (uint32_t high = 0; high < 65536; ++high)
    for (uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      check(floatFromBits((high << 16) | low));
}

TEST(CudaOracle, E2M1) {
  int64_t mismatches = 0;
  forManyFloats([&](float x) { mismatches += encodeE2M1(x) != __nv_cvt_float_to_fp4(x, __NV_E2M1, cudaRoundNearest); });
  EXPECT_EQ(mismatches, 0);
}

TEST(CudaOracle, E4M3) {
  int64_t mismatches = 0;
  forManyFloats([&](float x) {
    uint8_t theirs = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
    mismatches += std::isnan(x) ? (theirs & 0x7f) != 0x7f || encodeE4M3(x) != 0x7f : encodeE4M3(x) != theirs;
  });
  EXPECT_EQ(mismatches, 0);
  for (int code = 0; code < 256; ++code) {
    float theirs = __half2float(__half(__nv_cvt_fp8_to_halfraw(static_cast<uint8_t>(code), __NV_E4M3)));
    float ours = decodeE4M3(static_cast<uint8_t>(code));
    EXPECT_TRUE(theirs == ours || (std::isnan(theirs) && std::isnan(ours))) << code;
  }
}

TEST(CudaOracle, HalfFormats) {
  int64_t mismatches = 0;
  forManyFloats([&](float x) {
    if (std::isnan(x))
      return;
    mismatches += encodeBF16(x) != __nv_bfloat16_raw(__float2bfloat16_rn(x)).x;
    mismatches += encodeF16(x) != __half_raw(__float2half_rn(x)).x;
  });
  EXPECT_EQ(mismatches, 0);
}

} // namespace
