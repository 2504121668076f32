// cvt (PTX ISA 9.7.9.21).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Convert.h"
#include "Lanes.h"
#include "SmallFloat.h"

#include <cfenv>
#include <cmath>
#include <limits>

namespace fourfold {
namespace emulator {

namespace {

using namespace numerics;

Type typeOf(uint8_t value) { return static_cast<Type>(value); }

float flushed(float value) {
  return (floatBits(value) & 0x7f800000u) ? value : floatFromBits(floatBits(value) & 0x80000000u);
}

/// A lane of a scalar type as long double, exact for every type.
long double readValue(Type type, uint64_t lane, bool flush) {
  switch (type) {
  case Type::U8:
  case Type::B8:
    return static_cast<uint8_t>(lane);
  case Type::S8:
    return static_cast<int8_t>(lane);
  case Type::U16:
  case Type::B16:
    return static_cast<uint16_t>(lane);
  case Type::S16:
    return static_cast<int16_t>(lane);
  case Type::U32:
  case Type::B32:
    return static_cast<uint32_t>(lane);
  case Type::S32:
    return static_cast<int32_t>(lane);
  case Type::S64:
    return static_cast<int64_t>(lane);
  case Type::F16:
    return decodeF16(static_cast<uint16_t>(lane));
  case Type::BF16:
    return decodeBF16(static_cast<uint16_t>(lane));
  case Type::F32: {
    float value = floatFromBits(static_cast<uint32_t>(lane));
    return flush ? flushed(value) : value;
  }
  case Type::F64: {
    double value;
    std::memcpy(&value, &lane, 8);
    return value;
  }
  default:
    return lane;
  }
}

uint64_t writeInteger(Type type, long double value, bool fromWide) {
  int bits = typeBits(type);
  bool isSigned = isSignedInteger(type);
  if (std::isnan(value))
    return bits == 64 || fromWide ? uint64_t{1} << (bits - 1) : 0;
  long double high = std::ldexp(1.0L, isSigned ? bits - 1 : bits) - 1, low = isSigned ? -std::ldexp(1.0L, bits - 1) : 0;
  value = value > high ? high : value < low ? low : value;
  return isSigned ? static_cast<uint64_t>(static_cast<int64_t>(value)) : static_cast<uint64_t>(value);
}

uint64_t writeFloat(Type type, long double value, const Instr &in) {
  static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD, FE_TONEAREST};
  Rounding rounding = static_cast<Rounding>(in.variant2);
  if (in.flags & kSaturate)
    value = value > 0 ? (value < 1 ? value : 1.0L) : 0.0L;
  if (in.flags & kRelu && !std::isnan(value))
    value = value > 0 ? value : 0.0L;
  bool satFinite = in.flags & kSatFinite;
  switch (type) {
  case Type::F16:
    return encodeSmall(value, kFormatF16, rounding, satFinite);
  case Type::BF16:
    return encodeSmall(value, kFormatBF16, rounding, satFinite);
  case Type::TF32:
    return encodeSmall(value, kFormatTF32, rounding, satFinite) << 13;
  case Type::F32: {
    int before = std::fegetround();
    std::fesetround(modes[in.variant2]);
    volatile long double wide = value;
    volatile float narrow = static_cast<float>(wide);
    std::fesetround(before);
    float result = narrow;
    if (result != result)
      return 0x7fffffffu;
    return floatBits(in.flags & kFlush ? flushed(result) : result);
  }
  default: {
    double result = static_cast<double>(value);
    if (in.variant2 && static_cast<long double>(result) != value) { // a 64-bit integer
      int before = std::fegetround();
      std::fesetround(modes[in.variant2]);
      volatile long double wide = value;
      volatile double narrow = static_cast<double>(wide);
      std::fesetround(before);
      result = narrow;
    }
    uint64_t bits;
    std::memcpy(&bits, &result, 8);
    return result == result ? bits : 0x7fffffffffffffffull;
  }
  }
}

/// Any scalar type to any other; integers go through `int64` where that matters.
void convertScalar(Warp &warp, const Instr &in, uint32_t mask) {
  Type to = typeOf(in.variant), from = static_cast<Type>(in.bytes);
  bool fromFloat = isFloat(from), toFloat = isFloat(to) || to == Type::TF32;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t raw = typeBits(from) == 64 ? warp.reg<uint64_t>(in.src[0])[lane] : warp.reg<uint32_t>(in.src[0])[lane];
    long double value = readValue(from, raw, in.flags & kFlush);
    uint64_t result;
    if (fromFloat && (in.flags & kToInteger) && !std::isnan(value) && !std::isinf(value))
      value = std::copysign(roundInteger(value, static_cast<Rounding>(in.variant2)), value);
    if (toFloat)
      result = writeFloat(to, value, in);
    else
      result = writeInteger(to, value, from == Type::F64);
    if (typeBits(to) == 64)
      warp.reg<uint64_t>(in.dst)[lane] = result;
    else
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(result);
  }
}

/// Of integers without saturation: the low bits.
uint64_t truncated(Type type, uint64_t value) {
  int unused = 64 - typeBits(type);
  return isSignedInteger(type) ? static_cast<uint64_t>(static_cast<int64_t>(value << unused) >> unused) : value << unused >> unused;
}

/// Registers wider than the types (PTX ISA 9.4.1): of a source the low bits count, a result is extended to the register by its type.
void convertWide(Warp &warp, const Instr &in, uint32_t mask) {
  Type to = typeOf(in.variant), from = static_cast<Type>(in.bytes);
  bool fromFloat = isFloat(from), toFloat = isFloat(to) || to == Type::TF32;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t raw = in.flags & kWideSource || typeBits(from) == 64 ? warp.reg<uint64_t>(in.src[0])[lane] : warp.reg<uint32_t>(in.src[0])[lane];
    uint64_t result;
    if (!fromFloat && !toFloat && !(in.flags & kSaturate)) {
      result = truncated(from, raw);
    } else {
      long double value = readValue(from, raw, in.flags & kFlush);
      if (fromFloat && (in.flags & kToInteger) && !std::isnan(value) && !std::isinf(value))
        value = std::copysign(roundInteger(value, static_cast<Rounding>(in.variant2)), value);
      result = toFloat ? writeFloat(to, value, in) : writeInteger(to, value, from == Type::F64);
    }
    if (!toFloat)
      result = truncated(to, result);
    if (in.flags & kWideResult || typeBits(to) == 64)
      warp.reg<uint64_t>(in.dst)[lane] = result;
    else
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(result);
  }
}

template <class R>
struct Narrow {
  template <class A>
  static FOURFOLD_INLINE R apply(A a) {
    return static_cast<R>(a);
  }
};
struct ToBF16 {
  static FOURFOLD_INLINE uint16_t apply(float a) { return encodeBF16(a); }
};
struct FromBF16 {
  static FOURFOLD_INLINE float apply(uint16_t a) {
    return (a & 0x7fff) > 0x7f80 ? floatFromBits(0x7fffffffu) : decodeBF16(a);
  }
};
/// Integer to integer: truncation or extension, optionally clamped.
template <class R, class A>
struct Clamp {
  static FOURFOLD_INLINE R apply(A a) {
    using Wide = __int128;
    Wide value = a, high = std::numeric_limits<R>::max(), low = std::numeric_limits<R>::min();
    return static_cast<R>(value > high ? high : value < low ? low : value);
  }
};

/// Signed results narrower than the register are extended to it.
template <class R>
using Extended = std::conditional_t<sizeof(R) == 8, R, std::conditional_t<std::is_signed_v<R>, int32_t, uint32_t>>;

template <class R, class A>
struct Resize {
  static FOURFOLD_INLINE Extended<R> apply(A a) { return static_cast<Extended<R>>(static_cast<R>(a)); }
};
template <class R, class A>
struct ResizeClamped {
  static FOURFOLD_INLINE Extended<R> apply(A a) { return static_cast<Extended<R>>(Clamp<R, A>::apply(a)); }
};

template <class R, class A>
Handler resize(bool clamp) {
  return clamp ? runBaseline<UnaryLanes<ResizeClamped<R, A>, Extended<R>, A>> : unary<Resize<R, A>, Extended<R>, A>();
}

template <class R>
Handler resizeFrom(Type from, bool clamp) {
  switch (from) {
  case Type::U8:
  case Type::B8:
    return resize<R, uint8_t>(clamp);
  case Type::S8:
    return resize<R, int8_t>(clamp);
  case Type::U16:
    return resize<R, uint16_t>(clamp);
  case Type::S16:
    return resize<R, int16_t>(clamp);
  case Type::U32:
    return resize<R, uint32_t>(clamp);
  case Type::S32:
    return resize<R, int32_t>(clamp);
  case Type::U64:
    return resize<R, uint64_t>(clamp);
  case Type::S64:
    return resize<R, int64_t>(clamp);
  default:
    return nullptr;
  }
}

Handler resizeTo(Type to, Type from, bool clamp) {
  switch (to) {
  case Type::U8:
    return resizeFrom<uint8_t>(from, clamp);
  case Type::S8:
    return resizeFrom<int8_t>(from, clamp);
  case Type::U16:
    return resizeFrom<uint16_t>(from, clamp);
  case Type::S16:
    return resizeFrom<int16_t>(from, clamp);
  case Type::U32:
    return resizeFrom<uint32_t>(from, clamp);
  case Type::S32:
    return resizeFrom<int32_t>(from, clamp);
  case Type::U64:
    return resizeFrom<uint64_t>(from, clamp);
  case Type::S64:
    return resizeFrom<int64_t>(from, clamp);
  default:
    return nullptr;
  }
}

} // namespace

bool decodeConvert(Decoder &d) {
  if (d.ast().opcode != "cvt")
    return false;
  Instr &in = d.out();
  in.instrClass = InstrClass::Conversion;
  if (d.take("pack"))
    return decodeIntegerPack(d);
  static const char *const modes[] = {"rn", "rz", "rm", "rp", "rna"}, *const integerModes[] = {"rni", "rzi", "rmi",
                                                                                               "rpi"};
  bool hasMode = false;
  for (uint8_t i = 0; i < 5; ++i)
    if (d.take(modes[i])) {
      in.variant2 = i;
      hasMode = true;
    }
  for (uint8_t i = 0; i < 4; ++i)
    if (d.take(integerModes[i])) {
      in.variant2 = i;
      in.flags |= kToInteger;
      hasMode = true;
    }
  in.flags |= d.take("ftz") ? kFlush : 0;
  in.flags |= d.take("satfinite") ? kSatFinite : 0;
  in.flags |= d.take("sat") ? kSaturate : 0;
  in.flags |= d.take("relu") ? kRelu : 0;
  Type to = d.requireType(), from = d.requireType();
  in.variant = static_cast<uint8_t>(to);
  in.bytes = static_cast<uint8_t>(from);
  if (isPackedFloat(to) || isPackedFloat(from))
    return decodePackedConversion(d, to, from);
  d.expectOperands(2, 2);
  bool fromFloat = isFloat(from), toFloat = isFloat(to) || to == Type::TF32;
  if (fromFloat && !toFloat && !(in.flags & kToInteger))
    d.fail("a conversion from floating point to integer needs an integer rounding such as .rzi");
  if (!hasMode && ((!fromFloat && toFloat) || (fromFloat && toFloat && typeBits(to) < typeBits(from))))
    d.fail("this conversion needs a rounding modifier");
  auto isWide = [&](size_t i, Type type) { return typeBits(type) <= 32 && typeBits(d.registerType(d.operand(i))) == 64; };
  bool wideResult = isWide(0, to), wideSource = isWide(1, from);
  in.dst = d.destination(d.operand(0), wideResult ? Type::B64 : to == Type::TF32 ? Type::B32 : to);
  in.src[0] = d.source(d.operand(1), wideSource ? Type::B64 : from);
  if (wideResult || wideSource) {
    in.flags |= (wideResult ? kWideResult : 0) | (wideSource ? kWideSource : 0);
    in.handler = convertWide;
    return true;
  }
  if (!fromFloat && !toFloat) {
    in.handler = resizeTo(to, from, in.flags & kSaturate);
    return in.handler != nullptr;
  }
  bool plain = in.flags == 0 && in.variant2 == 0;
  if (plain && to == Type::F32 && from == Type::S32)
    in.handler = unary<Narrow<float>, float, int32_t>();
  else if (plain && to == Type::F32 && from == Type::U32)
    in.handler = unary<Narrow<float>, float, uint32_t>();
  else if (plain && to == Type::BF16 && from == Type::F32)
    in.handler = unary<ToBF16, uint16_t, float>();
  else if (in.flags == 0 && to == Type::F32 && from == Type::BF16)
    in.handler = unary<FromBF16, float, uint16_t>();
  else
    in.handler = convertScalar;
  return true;
}

} // namespace emulator
} // namespace fourfold
