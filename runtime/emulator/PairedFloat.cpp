// Arithmetic on pairs of floats in 64-bit registers: add, sub, mul, fma .f32x2 (PTX ISA 9.7.3).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

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
  if (!d.take("rn") && op == "fma")
    d.fail("fma.f32x2 needs a rounding modifier, of which the emulated device has .rn");
  bool flush = d.take("ftz");
  in.handler = op == "add"   ? pairs<kAdd>(flush)
               : op == "sub" ? pairs<kSub>(flush)
               : op == "mul" ? pairs<kMul>(flush)
                             : pairs<kFma>(flush);
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
