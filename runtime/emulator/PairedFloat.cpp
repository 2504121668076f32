// Arithmetic on pairs of floats in 64-bit registers: add, sub, mul, fma .f32x2 (PTX ISA 9.7.3).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include <cfenv>

namespace fourfold {
namespace emulator {

namespace {

enum : uint8_t { kAdd, kSub, kMul, kFma };

FOURFOLD_INLINE float flushed(float value) {
  uint32_t bits = toLane(value);
  return fromLane<float>((bits & 0x7f800000u) ? bits : bits & 0x80000000u);
}

template <uint8_t kOp, bool kFlush>
struct Half32 {
  static FOURFOLD_INLINE uint32_t apply(uint64_t x, uint64_t y, uint64_t z) {
    float a = fromLane<float>(static_cast<uint32_t>(x)), b = fromLane<float>(static_cast<uint32_t>(y)),
          c = fromLane<float>(static_cast<uint32_t>(z));
    if (kFlush) {
      a = flushed(a);
      b = flushed(b);
      c = flushed(c);
    }
    float result = kOp == kAdd ? a + b : kOp == kSub ? a - b : kOp == kMul ? a * b : __builtin_fmaf(a, b, c);
    if (kFlush)
      result = flushed(result);
    return result == result ? toLane(result) : 0x7fffffffu;
  }
};

template <uint8_t kOp, bool kFlush>
struct Pair {
  static FOURFOLD_INLINE uint64_t apply(uint64_t a, uint64_t b, uint64_t c) {
    using Half = Half32<kOp, kFlush>;
    return static_cast<uint64_t>(Half::apply(a >> 32, b >> 32, c >> 32)) << 32 | Half::apply(a, b, c);
  }
};

/// Directed rounding: the host's mode is switched around the loop; `volatile` keeps the arithmetic inside.
void runDirected(Warp &warp, const Instr &in, uint32_t mask) {
  static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  const uint64_t *a = warp.reg<uint64_t>(in.src[0]), *b = warp.reg<uint64_t>(in.src[1]), *c = warp.reg<uint64_t>(in.src[2]);
  uint64_t *d = warp.reg<uint64_t>(in.dst);
  bool flushes = in.flags != 0;
  auto half = [&](uint64_t x, uint64_t y, uint64_t z) -> uint64_t {
    auto read = [&](uint64_t bits) {
      float value = fromLane<float>(static_cast<uint32_t>(bits));
      return flushes ? flushed(value) : value;
    };
    volatile float p = read(x), q = read(y), r = read(z), result = 0;
    switch (in.variant) {
    case kAdd:
      result = p + q;
      break;
    case kSub:
      result = p - q;
      break;
    case kMul:
      result = p * q;
      break;
    default:
      result = __builtin_fmaf(p, q, r);
    }
    float value = flushes ? flushed(result) : result;
    return value == value ? toLane(value) : 0x7fffffffu;
  };
  int before = std::fegetround();
  std::fesetround(modes[in.variant2]);
  for (int i = 0; i < kLanes; ++i)
    if (mask >> i & 1)
      d[i] = half(a[i] >> 32, b[i] >> 32, c[i] >> 32) << 32 | half(a[i], b[i], c[i]);
  std::fesetround(before);
}

template <uint8_t kOp>
Handler pairs(bool flush) {
  return flush ? ternary<Pair<kOp, true>, uint64_t, uint64_t, uint64_t, uint64_t>()
               : ternary<Pair<kOp, false>, uint64_t, uint64_t, uint64_t, uint64_t>();
}

} // namespace

bool decodePairedFloat(Decoder &d) {
  const std::string &op = d.ast().opcode;
  if (op != "add" && op != "sub" && op != "mul" && op != "fma")
    return false;
  if (!d.take("f32x2"))
    return false;
  Instr &in = d.out();
  in.instrClass = InstrClass::Float;
  static const char *const modes[] = {"rn", "rz", "rm", "rp"};
  bool hasMode = false;
  for (uint8_t i = 0; i < 4; ++i)
    if (d.take(modes[i])) {
      in.variant2 = i;
      hasMode = true;
    }
  if (!hasMode && op == "fma")
    d.fail("fma.f32x2 needs a rounding modifier");
  bool flush = d.take("ftz");
  in.handler = op == "add"   ? pairs<kAdd>(flush)
               : op == "sub" ? pairs<kSub>(flush)
               : op == "mul" ? pairs<kMul>(flush)
                             : pairs<kFma>(flush);
  if (in.variant2 != 0) {
    in.handler = runDirected;
    in.variant = op == "add" ? kAdd : op == "sub" ? kSub : op == "mul" ? kMul : kFma;
    in.flags = flush;
  }
  size_t count = op == "fma" ? 3 : 2;
  d.expectOperands(count + 1, count + 1);
  in.dst = d.destination(d.operand(0), Type::B64);
  for (size_t i = 0; i < count; ++i) {
    uint32_t slot = d.source(d.operand(i + 1), Type::B64);
    d.out().src[i] = slot;
  }
  return true;
}

} // namespace emulator
} // namespace fourfold
