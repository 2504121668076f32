// mma.sync without scales: f16, bf16, s8/u8, s4/u4 (PTX ISA 9.7.14.5.7 to 9.7.14.5.11, 9.7.14.5.14).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ElementFormat.h"
#include "Matrix.h"
#include "MmaDense.h"
#include "MmaFragments.h"
#include "MmaSparse.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::variant: element type; variant2: k; bytes: registers of A; list: a, b, c; list2: d.
inline constexpr uint32_t kHalfC = 1, kHalfD = 2, kSaturate = 4, kSignedB = 8;

void mmaFloat(Warp &warp, const Instr &in, uint32_t mask) {
  beginMma(warp, in, mask);
  static thread_local float a[16][64], b[8][64];
  bool brain = static_cast<Type>(in.variant) == Type::BF16;
  gather(warp, in, 2, a, b, [brain](uint32_t bits, bool) {
    return brain ? numerics::decodeBF16(static_cast<uint16_t>(bits)) : numerics::decodeF16(static_cast<uint16_t>(bits));
  });
  size_t firstC = in.bytes + in.bytes / 2u;
  // MMA-Sim: Ampere and Ada do k16 as two k8 steps with 24 fractional bits, Hopper and Blackwell in one with 25.
  bool isNew = warp.launch->major >= 9;
  int step = isNew ? in.variant2 : 8;
  DotModel model{isNew ? 25 : 24, 0, brain ? -126 : -14, in.flags & kHalfC ? -14 : -126};
  model.zeroExponent = (in.flags & kHalfD ? 4 : -108) - model.fractionBits;
  // The common case as vectors: fp32 accumulators, one step, everything finite.
  static thread_local FusedRows rows;
  bool isPlain = !(in.flags & (kHalfC | kHalfD)) && step == in.variant2 && rows.load(a, b, step, model);
  for (int row = 0; row < 16; ++row) {
    if (isPlain) {
      float c[8], sums[8];
      for (int column = 0; column < 8; ++column)
        c[column] = numerics::floatFromBits(
            warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(2 * (row / 8) + column % 2)])[4 * (row % 8) + column / 2]);
      if (rows.row(row, c, sums)) {
        for (int column = 0; column < 8; ++column)
          warp.block->mmaScratch[2 * (row / 8) + column % 2][4 * (row % 8) + column / 2] = numerics::floatBits(sums[column]);
        continue;
      }
    }
    for (int column = 0; column < 8; ++column) {
      int lane = 4 * (row % 8) + column / 2;
      uint32_t c;
      if (in.flags & kHalfC)
        c = warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(row / 8)])[lane] >> (16 * (column % 2)) & 0xffff;
      else
        c = warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(2 * (row / 8) + column % 2)])[lane];
      float sum = in.flags & kHalfC ? numerics::decodeF16(static_cast<uint16_t>(c)) : numerics::floatFromBits(c);
      uint32_t result = 0;
      for (int k = 0; k < in.variant2; k += step) {
        FusedDot dot = fusedDot(&a[row][k], &b[column][k], step, sum, model);
        if (in.flags & kHalfD) {
          result = dotToHalf(dot);
          sum = numerics::decodeF16(static_cast<uint16_t>(result));
        } else {
          sum = dotToFloat(dot);
          result = numerics::floatBits(sum);
        }
      }
      if (in.flags & kHalfD) {
        uint32_t &word = warp.block->mmaScratch[row / 8][lane];
        word = column % 2 ? (word & 0xffffu) | result << 16 : (word & 0xffff0000u) | result;
      } else {
        warp.block->mmaScratch[2 * (row / 8) + column % 2][lane] = result;
      }
    }
  }
  for (size_t r = 0; r < in.list2.size(); ++r)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.reg<uint32_t>(in.list2[r])[lane] = warp.block->mmaScratch[r][lane];
  finishMma(warp, in, mask);
}

void mmaInteger(Warp &warp, const Instr &in, uint32_t mask) {
  beginMma(warp, in, mask);
  static thread_local int32_t a[16][64], b[8][64];
  Type type = static_cast<Type>(in.variant);
  bool isByte = in.offset == 8;
  int bits = isByte ? 8 : 4;
  bool signedA = type == Type::S8, signedB = in.flags & kSignedB;
  gather(warp, in, isByte ? 4 : 8, a, b, [&](uint32_t value, bool isA) {
    int shift = 32 - bits;
    return (isA ? signedA : signedB) ? static_cast<int32_t>(value << shift) >> shift : static_cast<int32_t>(value);
  });
  size_t firstC = in.bytes + in.bytes / 2u;
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int lane = 4 * (row % 8) + column / 2;
      size_t r = static_cast<size_t>(2 * (row / 8) + column % 2);
      int64_t sum = static_cast<int32_t>(warp.reg<uint32_t>(in.list[firstC + r])[lane]);
      for (int k = 0; k < in.variant2; ++k)
        sum += a[row][k] * b[column][k];
      if (in.flags & kSaturate)
        sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
      warp.block->mmaScratch[r][lane] = static_cast<uint32_t>(sum);
    }
  for (size_t r = 0; r < in.list2.size(); ++r)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.reg<uint32_t>(in.list2[r])[lane] = warp.block->mmaScratch[r][lane];
  finishMma(warp, in, mask);
}

void operands(Decoder &d, int numA, bool halfC, bool halfD) {
  Instr &in = d.out();
  d.expectOperands(4, 4);
  size_t counts[4] = {halfD ? 2u : 4u, static_cast<size_t>(numA), static_cast<size_t>(numA / 2), halfC ? 2u : 4u};
  for (size_t i = 0; i < 4; ++i) {
    const Operand &operand = d.operand(i);
    std::vector<Operand> single{operand};
    const std::vector<Operand> &elements = operand.kind == Operand::Vector ? operand.elements : single;
    if (elements.size() != counts[i])
      d.fail(fmt::format("operand {} has {} registers, the shape needs {}", i + 1, elements.size(), counts[i]));
    for (const Operand &element : elements) {
      if (i == 0)
        in.list2.push_back(d.destination(element, Type::B32));
      else
        in.list.push_back(d.source(element, Type::B32));
    }
  }
  in.bytes = static_cast<uint8_t>(numA);
  in.ownInit = true;
  in.instrClass = InstrClass::Mma;
}

} // namespace

void setMmaKind(Decoder &d, const std::string &name) {
  auto &kinds = d.result().mmaKinds;
  uint32_t index = 0;
  while (index < kinds.size() && kinds[index] != name)
    ++index;
  if (index == kMaxMmaKinds)
    d.fail(fmt::format("the kernel has more than {} kinds of matrix steps", kMaxMmaKinds));
  if (index == kinds.size())
    kinds.push_back(name);
  d.out().mmaKind = index;
}

bool decodeMma(Decoder &d) {
  Instr &in = d.out();
  if (!d.take("sync") || !d.take("aligned"))
    return false;
  const std::vector<std::string> &mods = d.ast().mods;
  auto has = [&](const char *mod) { return std::find(mods.begin(), mods.end(), mod) != mods.end(); };
  if (has("sp") || has("sp::ordered_metadata"))
    return decodeMmaSparse(d);
  if (has("m8n8k4") && has("f16"))
    return decodeMmaQuadPairs(d);
  std::string kind = d.takePrefix("kind::");
  bool isScaled = d.take("block_scale");
  if (isScaled != (kind.rfind("kind::mx", 0) == 0))
    return false;
  if (isScaled && kind != "kind::mxf8f6f4")
    return decodeMmaScaled(d, kind);
  std::string shape = d.takePrefix("m16n8k");
  int rows = 16;
  if (shape.empty()) {
    shape = d.takePrefix("m8n8k");
    rows = 8;
  }
  if (shape.empty() || !d.take("row") || !d.take("col"))
    return false;
  int k = std::atoi(shape.c_str() + (rows == 16 ? 6 : 5));
  // Modifiers stand in the order d, a, b, c.
  std::vector<std::string> types;
  for (const std::string &mod : d.ast().mods)
    if (parseElementFormat(mod) != ElementFormat::None || mod == "f32" || mod == "s32" || mod == "f64" || mod == "b1")
      types.push_back(mod);
  if (types.size() != 4)
    return false;
  for (const std::string &type : types)
    d.take(type);
  const std::string &typeD = types[0], &typeA = types[1], &typeB = types[2], &typeC = types[3];
  setMmaKind(d, fmt::format("{}{}.{}.{}", typeA, typeB == typeA ? "" : "." + typeB, typeD, shape));
  ElementFormat format = parseElementFormat(typeA);
  if (rows == 8 || !kind.empty() || typeA == "f64" || typeA == "b1" || format == ElementFormat::TF32 || isSmallFloat(format))
    return decodeMmaSmall(d, {rows, k, kind, types});
  bool saturate = d.take("satfinite");
  in.variant2 = static_cast<uint8_t>(k);
  if (typeA == "f16" || typeA == "bf16") {
    bool halfC = typeC == "f16", halfD = typeD == "f16";
    if (typeB != typeA || (k != 8 && k != 16) || saturate || (!halfC && typeC != "f32") || (!halfD && typeD != "f32") ||
        (typeA == "bf16" && (halfC || halfD)))
      return false;
    in.handler = mmaFloat;
    in.variant = static_cast<uint8_t>(typeA == "bf16" ? Type::BF16 : Type::F16);
    in.flags = (halfC ? kHalfC : 0) | (halfD ? kHalfD : 0);
    operands(d, k == 8 ? 2 : 4, halfC, halfD);
    return true;
  }
  bool byteA = typeA == "s8" || typeA == "u8", byteB = typeB == "s8" || typeB == "u8";
  bool nibbleA = typeA == "s4" || typeA == "u4", nibbleB = typeB == "s4" || typeB == "u4";
  if (typeD != "s32" || typeC != "s32" || byteA != byteB || nibbleA != nibbleB || (!byteA && !nibbleA))
    return false;
  int full = byteA ? 32 : 64;
  if (k != full && k != full / 2)
    return false;
  in.handler = mmaInteger;
  in.variant = static_cast<uint8_t>(typeA[0] == 's' ? Type::S8 : Type::U8);
  in.offset = byteA ? 8 : 4;
  in.flags = (saturate ? kSaturate : 0) | (typeB[0] == 's' ? kSignedB : 0);
  operands(d, k == full ? 4 : 2, false, false);
  return true;
}

} // namespace emulator
} // namespace fourfold
