// Arithmetic on f16, bf16 and their pairs (PTX ISA 9.7.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"
#include "SmallFloat.h"

#include <cmath>

namespace fourfold {
namespace emulator {

namespace {

using namespace numerics;

enum class HalfOp : uint8_t { Add, Sub, Mul, Fma, Min, Max, Neg, Abs, Ex2, Tanh };
inline constexpr uint32_t kBrain = 1, kPair = 2, kFlush = 4, kSaturate = 8, kRelu = 16, kPropagateNaN = 32, kXorSign = 64;

float read(uint32_t bits, uint32_t flags) {
  if (flags & kBrain)
    return decodeBF16(static_cast<uint16_t>(bits));
  uint16_t half = static_cast<uint16_t>(bits);
  return decodeF16(flags & kFlush && !(half & 0x7c00) ? half & 0x8000 : half);
}

uint32_t write(double value, uint32_t flags) {
  if (flags & kSaturate)
    value = value > 0 ? (value < 1 ? value : 1.0) : 0.0;
  if (flags & kRelu && !std::isnan(value))
    value = value > 0 ? value : 0.0;
  uint32_t bits = encodeSmall(value, flags & kBrain ? kFormatBF16 : kFormatF16, Rounding::Nearest, false);
  return flags & kFlush && !(flags & kBrain) && !(bits & 0x7c00) ? bits & 0x8000 : bits;
}

uint32_t apply(HalfOp op, uint32_t x, uint32_t y, uint32_t z, uint32_t flags) {
  if (op == HalfOp::Neg || op == HalfOp::Abs) {
    if (flags & kFlush && !(x & 0x7c00))
      x &= 0x8000;
    return op == HalfOp::Neg ? (x ^ 0x8000) & 0xffff : x & 0x7fff;
  }
  uint32_t sign = 0;
  if (flags & kXorSign) { // the minimum or maximum of the magnitudes, with this sign
    sign = (x ^ y) & 0x8000;
    x &= 0x7fff;
    y &= 0x7fff;
  }
  double a = read(x, flags), b = read(y, flags), c = read(z, flags);
  switch (op) {
  case HalfOp::Add:
    return write(fmaToOdd(a, 1.0, b), flags);
  case HalfOp::Sub:
    return write(fmaToOdd(a, 1.0, -b), flags);
  case HalfOp::Mul:
    return write(a * b, flags);
  case HalfOp::Fma:
    return write(fmaToOdd(a, b, c), flags);
  case HalfOp::Ex2:
    return write(std::exp2(a), flags);
  case HalfOp::Tanh:
    return write(std::tanh(a), flags);
  default: {
    bool isMax = op == HalfOp::Max;
    if (std::isnan(a) || std::isnan(b)) {
      bool both = std::isnan(a) && std::isnan(b);
      if (both || flags & kPropagateNaN)
        return write(NAN, flags);
      return write(std::isnan(a) ? b : a, flags) | sign;
    }
    if (a == b)
      return write((isMax ? std::signbit(a) : !std::signbit(a)) ? b : a, flags) | sign;
    return write((isMax ? a > b : a < b) ? a : b, flags) | sign;
  }
  }
}

void run(Warp &warp, const Instr &in, uint32_t mask) {
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]),
                 *c = warp.reg<uint32_t>(in.src[2]);
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  HalfOp op = static_cast<HalfOp>(in.variant);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint32_t result = apply(op, a[lane] & 0xffff, b[lane] & 0xffff, c[lane] & 0xffff, in.flags);
    if (in.flags & kPair)
      result |= apply(op, a[lane] >> 16, b[lane] >> 16, c[lane] >> 16, in.flags) << 16;
    d[lane] = result;
  }
}

} // namespace

bool decodeHalf(Decoder &d) {
  static const std::pair<const char *, HalfOp> names[] = {
      {"add", HalfOp::Add}, {"sub", HalfOp::Sub}, {"mul", HalfOp::Mul}, {"fma", HalfOp::Fma}, {"min", HalfOp::Min},
      {"max", HalfOp::Max}, {"neg", HalfOp::Neg}, {"abs", HalfOp::Abs}, {"ex2", HalfOp::Ex2}, {"tanh", HalfOp::Tanh}};
  const std::string &opcode = d.ast().opcode;
  Type type = Type::None;
  for (const std::string &mod : d.ast().mods)
    if (type == Type::None)
      type = parseType(mod);
  if (type != Type::F16 && type != Type::F16x2 && type != Type::BF16 && type != Type::BF16x2)
    return false;
  for (const auto &[name, op] : names) {
    if (opcode != name)
      continue;
    d.requireType();
    Instr &in = d.out();
    in.instrClass = InstrClass::Float;
    in.handler = run;
    in.variant = static_cast<uint8_t>(op);
    in.flags = (type == Type::BF16 || type == Type::BF16x2 ? kBrain : 0) |
               (type == Type::F16x2 || type == Type::BF16x2 ? kPair : 0);
    d.take("rn");
    d.take("approx");
    in.flags |= d.take("ftz") ? kFlush : 0;
    in.flags |= d.take("sat") ? kSaturate : 0;
    in.flags |= d.take("relu") ? kRelu : 0;
    in.flags |= d.take("NaN") ? kPropagateNaN : 0;
    bool isExtreme = op == HalfOp::Min || op == HalfOp::Max;
    if (isExtreme && d.take("xorsign")) {
      in.flags |= kXorSign;
      if (!d.take("abs"))
        d.fail("'.xorsign' needs '.abs'");
    }
    size_t args = op == HalfOp::Fma ? 3 : op >= HalfOp::Neg ? 1 : 2;
    d.expectOperands(args + 1, args + 1);
    in.dst = d.destination(d.operand(0), type);
    for (size_t i = 0; i < args; ++i)
      in.src[i] = d.source(d.operand(i + 1), type);
    return true;
  }
  return false;
}

} // namespace emulator
} // namespace fourfold
