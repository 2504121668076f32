// Floating-point arithmetic and conversions against the host.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Table.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <cfenv>
#include <cmath>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

using U = uint64_t;
float f(U bits) { return numerics::floatFromBits(static_cast<uint32_t>(bits)); }
double g(U bits) {
  double value;
  std::memcpy(&value, &bits, 8);
  return value;
}
U b(float value) { return value != value ? 0x7fffffffu : numerics::floatBits(value); }
U b(double value) {
  U bits;
  std::memcpy(&bits, &value, 8);
  return value != value ? 0x7fffffffffffffffull : bits;
}
float flush(float value) { return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value; }
template <class Fn>
float directed(int mode, Fn fn) {
  std::fesetround(mode);
  volatile float result = fn();
  std::fesetround(FE_TONEAREST);
  return result;
}
float volatileAdd(float x, float y) {
  volatile float a = x, c = y;
  return a + c;
}
float clamp01(float v) { return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f; }
U toInt(double v, double low, double high) {
  return v != v ? 0 : static_cast<U>(static_cast<int64_t>(std::clamp(v, low, high)));
}

const Row kRows[] = {
    {"add.rn.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(f(x) + f(y)); }},
    {"add.ftz.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(flush(flush(f(x)) + flush(f(y)))); }},
    {"add.sat.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(clamp01(f(x) + f(y))); }},
    {"add.rz.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(directed(FE_TOWARDZERO, [&] { return volatileAdd(f(x), f(y)); })); }},
    {"add.rp.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(directed(FE_UPWARD, [&] { return volatileAdd(f(x), f(y)); })); }},
    {"sub.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(f(x) - f(y)); }},
    {"mul.rn.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(f(x) * f(y)); }},
    {"fma.rn.f32 {d}, {a}, {b}, {c};", 32, 32, 32, 32, [](U x, U y, U z) { return b(std::fma(f(x), f(y), f(z))); }},
    {"fma.rn.f64 {d}, {a}, {b}, {c};", 64, 64, 64, 64, [](U x, U y, U z) { return b(std::fma(g(x), g(y), g(z))); }},
    {"add.rn.f32x2 {d}, {a}, {b};", 64, 64, 64, 0, [](U x, U y, U) { return b(f(x >> 32) + f(y >> 32)) << 32 | b(f(x) + f(y)); }},
    {"sub.f32x2 {d}, {a}, {b};", 64, 64, 64, 0, [](U x, U y, U) { return b(f(x >> 32) - f(y >> 32)) << 32 | b(f(x) - f(y)); }},
    {"mul.ftz.f32x2 {d}, {a}, {b};", 64, 64, 64, 0,
     [](U x, U y, U) {
       return b(flush(flush(f(x >> 32)) * flush(f(y >> 32)))) << 32 | b(flush(flush(f(x)) * flush(f(y))));
     }},
    {"fma.rn.f32x2 {d}, {a}, {b}, {c};", 64, 64, 64, 64,
     [](U x, U y, U z) { return b(std::fma(f(x >> 32), f(y >> 32), f(z >> 32))) << 32 | b(std::fma(f(x), f(y), f(z))); }},
    {"div.rn.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return b(f(x) / f(y)); }},
    {"rcp.rn.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return b(1.0f / f(x)); }},
    {"sqrt.rn.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return b(std::sqrt(f(x))); }},
    {"sqrt.rn.f64 {d}, {a};", 64, 64, 0, 0, [](U x, U, U) { return b(std::sqrt(g(x))); }},
    {"min.f32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) { return f(x) != f(x) ? b(f(y)) : f(y) != f(y) ? x : f(x) == f(y) ? x | y : b(std::min(f(x), f(y))); }},
    {"max.f32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) { return f(x) != f(x) ? b(f(y)) : f(y) != f(y) ? x : f(x) == f(y) ? x & y : b(std::max(f(x), f(y))); }},
    {"max.NaN.f32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) { return f(x) != f(x) || f(y) != f(y) ? 0x7fffffffu : f(x) == f(y) ? x & y : b(std::max(f(x), f(y))); }},
    {"abs.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return x & 0x7fffffff; }},
    {"neg.f64 {d}, {a};", 64, 64, 0, 0, [](U x, U, U) { return x ^ 0x8000000000000000ull; }},
    {"copysign.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return (y & 0x7fffffff) | (x & 0x80000000); }},
    {"testp.subnormal.f32 %p1, {a};\nselp.u32 {d}, 1, 0, %p1;", 32, 32, 0, 0, [](U x, U, U) { return U{std::fpclassify(f(x)) == FP_SUBNORMAL}; }},
    {"setp.ltu.f32 %p1, {a}, {b};\nselp.u32 {d}, 1, 0, %p1;", 32, 32, 32, 0, [](U x, U y, U) { return U{!(f(x) >= f(y))}; }},
    {"setp.ne.f32 %p1, {a}, {b};\nselp.u32 {d}, 1, 0, %p1;", 32, 32, 32, 0, [](U x, U y, U) { return U{f(x) < f(y) || f(x) > f(y)}; }},
    {"setp.nan.f32 %p1, {a}, {b};\nselp.u32 {d}, 1, 0, %p1;", 32, 32, 32, 0, [](U x, U y, U) { return U{std::isunordered(f(x), f(y))}; }},
    {"cvt.rzi.s32.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return toInt(std::trunc(f(x)), INT32_MIN, INT32_MAX); }},
    {"cvt.rni.u32.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return toInt(std::nearbyint(f(x)), 0, UINT32_MAX); }},
    {"cvt.rmi.f32.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return b(std::floor(f(x))); }},
    {"cvt.rn.f32.s32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return b(static_cast<float>(static_cast<int32_t>(x))); }},
    {"cvt.rz.f32.u64 {d}, {a};", 32, 64, 0, 0,
     [](U x, U, U) {
       int drop = x >> 24 ? 40 - __builtin_clzll(x) : 0;
       return b(static_cast<float>(x >> drop << drop));
     }},
    {"cvt.f64.f32 {d}, {a};", 64, 32, 0, 0, [](U x, U, U) { return b(static_cast<double>(f(x))); }},
    {"cvt.rn.f32.f64 {d}, {a};", 32, 64, 0, 0, [](U x, U, U) { return b(static_cast<float>(g(x))); }},
    {"cvt.sat.f32.f32 {d}, {a};", 32, 32, 0, 0, [](U x, U, U) { return b(clamp01(f(x))); }},
    {"cvt.rn.f16.f32 {d}, {a};", 16, 32, 0, 0, [](U x, U, U) { return U{numerics::encodeF16(f(x))}; }},
    {"cvt.f32.f16 {d}, {a};", 32, 16, 0, 0, [](U x, U, U) { return b(numerics::decodeF16(static_cast<uint16_t>(x))); }},
    {"cvt.rn.bf16.f32 {d}, {a};", 16, 32, 0, 0, [](U x, U, U) { return U{numerics::encodeBF16(f(x))}; }},
    {"cvt.f32.bf16 {d}, {a};", 32, 16, 0, 0, [](U x, U, U) { return b(numerics::decodeBF16(static_cast<uint16_t>(x))); }},
    {"cvt.rn.bf16x2.f32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) { return U{numerics::encodeBF16(f(x))} << 16 | numerics::encodeBF16(f(y)); }},
    {"cvt.rz.bf16x2.f32 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) {
       auto cut = [](U v) { return f(v) != f(v) ? U{0x7fff} : v >> 16; };
       return cut(x) << 16 | cut(y);
     }},
    {"cvt.rn.f16x2.f32 {d}, {a}, {b};", 32, 32, 32, 0, [](U x, U y, U) { return U{numerics::encodeF16(f(x))} << 16 | numerics::encodeF16(f(y)); }},
    {"cvt.rn.satfinite.e4m3x2.f32 {d}, {a}, {b};", 16, 32, 32, 0,
     [](U x, U y, U) { return U{numerics::encodeE4M3(f(x))} << 8 | numerics::encodeE4M3(f(y)); }},
    {"{.reg .b8 q;\ncvt.rn.satfinite.e2m1x2.f32 q, {a}, {b};\ncvt.u32.u8 {d}, q;}", 32, 32, 32, 0,
     [](U x, U y, U) { return U{numerics::encodeE2M1(f(x))} << 4 | numerics::encodeE2M1(f(y)); }},
    {"{.reg .b8 q;\ncvt.u8.u16 q, {a};\ncvt.rn.f16x2.e2m1x2 {d}, q;}", 32, 16, 0, 0,
     [](U x, U, U) {
       auto half = [](U code) { return U{numerics::encodeF16(numerics::decodeE2M1(static_cast<uint8_t>(code)))}; };
       return half(x >> 4 & 15) << 16 | half(x & 15);
     }},
    {"cvt.rn.f16x2.e4m3x2 {d}, {a};", 32, 16, 0, 0,
     [](U x, U, U) {
       auto half = [](U code) { return U{numerics::encodeF16(numerics::decodeE4M3(static_cast<uint8_t>(code)))}; };
       return half(x >> 8) << 16 | half(x & 255);
     }},
    {"cvt.rn.bf16x2.ue8m0x2 {d}, {a};", 32, 16, 0, 0,
     [](U x, U, U) {
       auto half = [](U code) { return U{numerics::encodeBF16(numerics::decodeUE8M0(static_cast<uint8_t>(code)))}; };
       return half(x >> 8) << 16 | half(x & 255);
     }},
    {"add.rn.bf16x2 {d}, {a}, {b};", 32, 32, 32, 0,
     [](U x, U y, U) {
       auto add = [](U p, U q) {
         return U{numerics::encodeBF16(numerics::decodeBF16(static_cast<uint16_t>(p)) + numerics::decodeBF16(static_cast<uint16_t>(q)))};
       };
       return add(x >> 16, y >> 16) << 16 | add(x, y);
     }},
    {"mul.rn.f16 {d}, {a}, {b};", 16, 16, 16, 0,
     [](U x, U y, U) {
       return U{numerics::encodeF16(numerics::decodeF16(static_cast<uint16_t>(x)) * numerics::decodeF16(static_cast<uint16_t>(y)))};
     }},
};

class Float : public ::testing::TestWithParam<size_t> {};
TEST_P(Float, EqualsHost) { runRow(kRows[GetParam()]); }
INSTANTIATE_TEST_SUITE_P(Rows, Float, ::testing::Range(size_t{0}, std::size(kRows)));

TEST(Float, SetOnPairs) {
  // Halves 1, NaN against 1, 1: equal in the low half alone; `neu` holds where one is NaN.
  Device device;
  ASSERT_EQ(device.load(kernel(1, "mov.b32 %r1, 0x7e003c00;\nmov.b32 %r2, 0x3c003c00;\nmov.b32 %r3, 0x7fc03f80;\nmov.b32 %r4, 0x3f803f80;\n"
                                  "set.eq.f16x2.f16x2 %r5, %r1, %r2;\nset.neu.u32.f16x2 %r6, %r1, %r2;\n"
                                  "set.eq.bf16x2.bf16x2 %r7, %r3, %r4;\nset.lt.f16x2.f16x2 %r8, %r1, %r2;\n"
                                  "st.global.v4.u32 [%rd0], {%r5, %r6, %r7, %r8};")),
            kSuccess)
      << lastFinding();
  CUdeviceptr out = device.alloc(16);
  ASSERT_EQ(device.launch("k", 1, 1, 0, out), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint32_t>(out, 4), (std::vector<uint32_t>{0x00003c00, 0xffff0000, 0x00003f80, 0}));
}

} // namespace
