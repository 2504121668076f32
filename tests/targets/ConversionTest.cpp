// The conversions of every target against dialect/Numerics.h, at all their edges.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/emulator/Harness.h"
#include "tests/targets/KernelText.h"

#include "dialect/Numerics.h"

#include <cmath>

using namespace fourfold;
using namespace fourfold::compiler;
using emulator::test::Device;

namespace {

/// Values at which a rounding to e2m1 or e4m3 could go wrong, with both signs: all representable ones, all midpoints, their neighbours in
/// fp32, what surrounds the largest, subnormals, infinity; and many random bit patterns.
std::vector<uint32_t> edges() {
  std::vector<uint32_t> list;
  auto around = [&](float value) {
    for (int step = -2; step <= 2; ++step)
      for (uint32_t sign : {0u, 0x80000000u})
        list.push_back(((numerics::floatBits(value) + static_cast<uint32_t>(step)) & 0x7fffffffu) | sign);
  };
  auto grid = [&](auto decode, int count) {
    for (int code = 0; code < count; ++code) {
      float low = decode(static_cast<uint8_t>(code)), high = decode(static_cast<uint8_t>(code + 1));
      for (float value : {low, (low + high) / 2, high + (high - low) / 2})
        around(value);
    }
  };
  grid(numerics::decodeE2M1, 7);
  grid(numerics::decodeE4M3, 126);
  for (int exponent = 0; exponent < 256; ++exponent)
    for (uint32_t mantissa : {0u, 1u, 0x3fffffu, 0x400000u, 0x400001u, 0x7fffffu})
      for (uint32_t sign : {0u, 0x80000000u})
        list.push_back(sign | static_cast<uint32_t>(exponent) << 23 | mantissa);
  uint32_t state = 1;
  for (int i = 0; i < 40000; ++i) {
    state = state * 1664525u + 1013904223u;
    // Half of them with exponents near 1.
    list.push_back(i % 2 ? state : (state & 0x807fffffu) | (116 + (state >> 23) % 24) << 23);
  }
  return list;
}

constexpr int kThreads = 128;

/// Kernel k(in, out): out[3 i ..] = pair of in[i] and in[i + 1], e4m3 of in[i], and that decoded (or 0 where it has a sign or is NaN).
void buildConversions(KernelModule module, const Target &target) {
  auto global = globalPointerType(module->getContext());
  KernelBuilder k(module, "k", {global, global}, kThreads);
  Val index = k.blockId(0) * kThreads + k.threadId();
  Val from = k.offset(k.param(0), k.toI64(index * 4));
  Val low = k.load(k.f32(), from, 4), high = k.load(k.f32(), k.offset(from, 4), 4);
  Val byte = target.encodeE4M3(k, low);
  Val plain = k.select(byte < 0x7f, byte, k.c32(0));
  Val to = k.offset(k.param(1), k.toI64(index * 12));
  k.store(target.encodeE2M1Pair(k, low, high), to, 4);
  k.store(byte, k.offset(to, 4), 4);
  k.store(target.decodeE4M3(k, plain), k.offset(to, 8), 4);
  k.finish();
}

class ConversionTest : public ::testing::TestWithParam<const char *> {};

TEST_P(ConversionTest, IsThatOfNumerics) {
  std::vector<uint32_t> values = edges();
  while (values.size() % kThreads != 1)
    values.push_back(0x80000000u);
  size_t count = values.size() - 1;
  Device device(GetParam());
  ASSERT_EQ(device.load(tests::kernelText(GetParam(), buildConversions)), device::kSuccess) << emulator::lastFinding();
  auto in = device.upload(values), out = device.alloc(count * 12);
  ASSERT_EQ(device.launch("k", static_cast<unsigned>(count / kThreads), kThreads, 0, in, out), device::kSuccess)
      << emulator::lastFinding();
  std::vector<uint32_t> results = device.download<uint32_t>(out, count * 3);
  for (size_t i = 0; i < count; ++i) {
    float low = numerics::floatFromBits(values[i]), high = numerics::floatFromBits(values[i + 1]);
    uint32_t pair = numerics::encodeE2M1(low) | static_cast<uint32_t>(numerics::encodeE2M1(high)) << 4;
    ASSERT_EQ(results[3 * i], pair) << std::hexfloat << low << " " << high;
    // The interface leaves out NaN; what replaces the instruction does not.
    uint8_t byte = numerics::encodeE4M3(low);
    if (!std::isnan(low)) {
      ASSERT_EQ(results[3 * i + 1], byte) << std::hexfloat << low;
    }
    ASSERT_EQ(results[3 * i + 2], numerics::floatBits(byte < 0x7f ? numerics::decodeE4M3(byte) : 0.0f))
        << std::hexfloat << low;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ConversionTest, ::testing::Values("sm_80", "sm_90a", "sm_100a", "sm_120a"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
