// Mixed-precision add, sub and fma: f16 or bf16 operands with an f32 addend and result (PTX ISA 9.7.5, PTX 8.6, sm_100 and later).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include "dialect/Numerics.h"

#include <cfenv>
#include <cmath>

namespace fourfold {
namespace emulator {

namespace {

enum MixedOp : uint8_t { kAdd, kSub, kFma };
enum MixedFlags : uint8_t { kBrain = 1, kSaturate = 2 };

float widen(uint32_t bits, bool brain) {
  auto half = static_cast<uint16_t>(bits);
  return brain ? numerics::decodeBF16(half) : numerics::decodeF16(half);
}

void run(Warp &warp, const Instr &in, uint32_t mask) {
  static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]), *c = warp.reg<uint32_t>(in.src[2]);
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  bool brain = in.flags & kBrain, isFma = in.variant == kFma;
  int before = std::fegetround();
  std::fesetround(modes[in.variant2]);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    // Volatile: the compiler must not move the operation out of the rounding mode.
    volatile float x = widen(a[lane], brain), y = isFma ? widen(b[lane], brain) : 1.0f;
    volatile float z = fromLane<float>(isFma ? c[lane] : b[lane]);
    volatile float sum = isFma ? __builtin_fmaf(x, y, z) : in.variant == kAdd ? x + z : x - z;
    float result = sum;
    if (result != result)
      result = fromLane<float>(0x7fffffffu);
    if (in.flags & kSaturate)
      result = result > 0.0f ? (result < 1.0f ? result : 1.0f) : 0.0f;
    d[lane] = toLane<float>(result);
  }
  std::fesetround(before);
}

} // namespace

bool decodeMixedFloat(Decoder &d) {
  static const std::pair<const char *, MixedOp> names[] = {{"add", kAdd}, {"sub", kSub}, {"fma", kFma}};
  static const char *const modes[] = {"rn", "rz", "rm", "rp"};
  Type wide = Type::None, narrow = Type::None;
  for (const std::string &mod : d.ast().mods) {
    Type type = parseType(mod);
    if (type == Type::None)
      continue;
    (wide == Type::None ? wide : narrow) = type;
  }
  if (wide != Type::F32 || (narrow != Type::F16 && narrow != Type::BF16))
    return false;
  for (const auto &[name, op] : names) {
    if (d.ast().opcode != name)
      continue;
    Instr &in = d.out();
    in.instrClass = InstrClass::Float;
    in.handler = run;
    in.variant = op;
    in.variant2 = 0;
    for (uint8_t i = 0; i < 4; ++i)
      if (d.take(modes[i]))
        in.variant2 = i;
    in.flags = (narrow == Type::BF16 ? kBrain : 0) | (d.take("sat") ? kSaturate : 0);
    d.requireType();
    d.requireType();
    size_t args = op == kFma ? 3 : 2;
    d.expectOperands(args + 1, args + 1);
    in.dst = d.destination(d.operand(0), Type::F32);
    for (size_t i = 0; i < args; ++i)
      in.src[i] = d.source(d.operand(i + 1), i + 1 == args ? Type::F32 : narrow);
    return true;
  }
  return false;
}

} // namespace emulator
} // namespace fourfold
