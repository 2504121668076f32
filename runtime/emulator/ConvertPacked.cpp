// cvt between pairs of small floats, and cvt.pack (PTX ISA 9.7.9.21, 9.7.9.22).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Convert.h"
#include "Lanes.h"
#include "SmallFloat.h"

namespace fourfold {
namespace emulator {

namespace {

using namespace numerics;

struct PairBF16 {
  static FOURFOLD_INLINE uint32_t apply(float a, float b) {
    return static_cast<uint32_t>(encodeBF16(a)) << 16 | encodeBF16(b);
  }
};
struct PairE2M1 {
  static FOURFOLD_INLINE uint32_t apply(float a, float b) {
    return static_cast<uint32_t>(encodeE2M1(a)) << 4 | encodeE2M1(b);
  }
};

/// One element of a packed conversion.
uint32_t encodeElement(Type to, float value, const Instr &in) {
  Rounding rounding = static_cast<Rounding>(in.variant2);
  if (in.flags & kRelu && !(value > 0) && value == value)
    value = 0.0f;
  bool satFinite = in.flags & kSatFinite;
  switch (to) {
  case Type::F16x2:
    return encodeSmall(value, kFormatF16, rounding, satFinite);
  case Type::BF16x2:
    return encodeSmall(value, kFormatBF16, rounding, satFinite);
  case Type::E4M3x2:
    return encodeSmall(value, kFormatE4M3, rounding, true);
  case Type::E5M2x2:
    return encodeSmall(value, kFormatE5M2, rounding, true);
  case Type::E2M3x2:
    return encodeSmall(value, kFormatE2M3, rounding, true);
  case Type::E3M2x2:
    return encodeSmall(value, kFormatE3M2, rounding, true);
  case Type::E2M1x2:
    // NaN gives +6: the format has neither NaN nor infinity.
    return encodeSmall(value, kFormatE2M1, rounding, true);
  default: { // UE8M0x2: the exponent of |value|, rounded toward zero or up
    uint32_t bits = floatBits(value) & 0x7fffffffu;
    if (bits > 0x7f800000u)
      return 0xff;
    uint32_t exponent = bits >> 23;
    if (rounding == Rounding::Up && (bits & 0x7fffffu) && !(exponent == 0 && bits <= 0x400000u))
      ++exponent;
    return exponent > 254 ? 254 : exponent;
  }
  }
}

int elementBits(Type type) { return typeBits(type) / 2; }

float decodeElement(Type from, uint32_t bits) {
  switch (from) {
  case Type::F16x2:
    return decodeF16(static_cast<uint16_t>(bits));
  case Type::BF16x2:
    return decodeBF16(static_cast<uint16_t>(bits));
  case Type::E4M3x2:
    return decodeE4M3(static_cast<uint8_t>(bits));
  case Type::E5M2x2:
    return decodeE5M2(static_cast<uint8_t>(bits));
  case Type::E2M3x2:
    return decodeFinite(bits, kFormatE2M3);
  case Type::E3M2x2:
    return decodeFinite(bits, kFormatE3M2);
  case Type::E2M1x2:
    return decodeE2M1(static_cast<uint8_t>(bits));
  default:
    return decodeUE8M0(static_cast<uint8_t>(bits));
  }
}

/// Two elements from two f32 (the first goes high) or from one packed register.
void convertPacked(Warp &warp, const Instr &in, uint32_t mask) {
  Type to = static_cast<Type>(in.variant), from = static_cast<Type>(in.bytes);
  int width = elementBits(to), fromWidth = elementBits(from);
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]);
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    float high, low;
    if (from == Type::F32) {
      high = floatFromBits(a[lane]);
      low = floatFromBits(b[lane]);
    } else {
      uint32_t keep = (1u << fromWidth) - 1;
      high = decodeElement(from, a[lane] >> fromWidth & keep);
      low = decodeElement(from, a[lane] & keep);
    }
    d[lane] = encodeElement(to, high, in) << width | encodeElement(to, low, in);
  }
}

} // namespace

bool isPackedFloat(Type type) {
  return type == Type::F16x2 || type == Type::BF16x2 || type == Type::E4M3x2 || type == Type::E5M2x2 ||
         type == Type::E2M1x2 || type == Type::UE8M0x2 || type == Type::E2M3x2 || type == Type::E3M2x2;
}

namespace {

/// The packed conversions of PTX ISA 9.0, and those between small formats and pairs of either 16-bit format that later versions add (Triton has
/// bf16x2 from e2m1x2).
bool packedExists(Type to, Type from) {
  bool toSmall = to == Type::E4M3x2 || to == Type::E5M2x2 || to == Type::E2M1x2 || to == Type::E2M3x2 || to == Type::E3M2x2;
  if (from == Type::F32)
    return isPackedFloat(to);
  if (from == Type::F16x2)
    return toSmall;
  if (from == Type::BF16x2)
    return to == Type::UE8M0x2 || toSmall;
  if (from == Type::UE8M0x2)
    return to == Type::BF16x2;
  return to == Type::F16x2 || to == Type::BF16x2;
}

} // namespace

bool decodePackedConversion(Decoder &d, Type to, Type from) {
  Instr &in = d.out();
  if (!packedExists(to, from))
    return false;
  bool pair = from == Type::F32;
  d.expectOperands(pair ? 3 : 2, pair ? 3 : 2);
  in.dst = d.destination(d.operand(0), to);
  in.src[0] = d.source(d.operand(1), from);
  if (pair)
    in.src[1] = d.source(d.operand(2), from);
  bool plain = in.variant2 == 0 && !(in.flags & (kRelu | kFlush));
  if (to == Type::BF16x2 && pair && plain && !(in.flags & kSatFinite))
    in.handler = binary<PairBF16, uint32_t, float, float>();
  else if (to == Type::E2M1x2 && pair && plain)
    in.handler = binary<PairE2M1, uint32_t, float, float>();
  else
    in.handler = convertPacked;
  return true;
}

namespace {

/// cvt.pack: two integers are clamped to `variant` bits; b goes lowest, a above it, and above them what is low in c.
void packIntegers(Warp &warp, const Instr &in, uint32_t mask) {
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]), *c = warp.reg<uint32_t>(in.src[2]);
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  uint32_t bits = in.variant, keep = (1u << bits) - 1;
  int32_t high = static_cast<int32_t>(in.variant2 ? keep >> 1 : keep), low = in.variant2 ? -high - 1 : 0;
  auto clamp = [&](uint32_t lane) {
    auto value = static_cast<int32_t>(lane);
    return static_cast<uint32_t>(value > high ? high : value < low ? low : value) & keep;
  };
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = clamp(b[lane]) | clamp(a[lane]) << bits | (bits < 16 ? c[lane] << (2 * bits) : 0);
}

} // namespace

bool decodeIntegerPack(Decoder &d) {
  if (!d.take("sat"))
    return false;
  Instr &in = d.out();
  static const std::pair<const char *, int> types[] = {{"u16", 16}, {"u8", 8}, {"u4", 4}, {"u2", 2},
                                                       {"s16", 16}, {"s8", 8}, {"s4", 4}, {"s2", 2}};
  for (const auto &[name, bits] : types)
    if (d.take(name)) {
      in.variant = static_cast<uint8_t>(bits);
      in.variant2 = name[0] == 's';
    }
  if (!in.variant || !d.take("s32"))
    return false;
  bool hasC = in.variant < 16;
  if (hasC && !d.take("b32"))
    return false;
  d.expectOperands(hasC ? 4 : 3, hasC ? 4 : 3);
  in.handler = packIntegers;
  in.dst = d.destination(d.operand(0), Type::B32);
  for (size_t i = 0; i < (hasC ? 3u : 2u); ++i)
    in.src[i] = d.source(d.operand(i + 1), Type::B32);
  return true;
}

} // namespace emulator
} // namespace fourfold
