// mma.sync of tf32 and of floats of 8 bits and less, with one block scale or none; of f64; and of single bits (PTX ISA 9.7.14.5).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ElementFormat.h"
#include "MmaDense.h"
#include "MmaFragments.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::variant, offset: formats of A and B; variant2: k; bytes: registers of A; list: a, b, c, [scales, selectors]; list2: d.
inline constexpr uint32_t kHalfC = 1, kHalfD = 2, kScaled = 4;

/// The exponent of a ue8m0 scale; 128 for NaN.
int scaleExponent(uint32_t word, uint32_t byte) { return static_cast<int>(word >> (8 * byte) & 0xff) - 127; }

uint32_t uniformSelector(Warp &warp, const Instr &in, size_t index, uint32_t limit, const char *name) {
  requireInit(warp, in, in.list[index], kAllLanes, "as a scale selector");
  const uint32_t *values = warp.reg<uint32_t>(in.list[index]);
  for (int lane = 0; lane < kLanes; ++lane)
    if ((values[lane] & 0xffff) != (values[0] & 0xffff) || (values[lane] & 0xffff) > limit)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("{} is {}: it must be at most {} and the same in all lanes", name, values[lane] & 0xffff, limit));
  return values[0] & 0xffff;
}

void mmaSmall(Warp &warp, const Instr &in, uint32_t mask) {
  size_t firstC = in.bytes + in.bytes / 2u, numC = in.flags & kHalfC ? 2 : 4;
  requireFullWarp(warp, in, mask);
  for (size_t i = 0; i < firstC + numC; ++i)
    requireInit(warp, in, in.list[i], mask, "as an mma operand");
  ElementFormat formatA = static_cast<ElementFormat>(in.variant), formatB = static_cast<ElementFormat>(in.offset);
  bool isTF32 = formatA == ElementFormat::TF32;
  static thread_local float a[16][64], b[8][64];
  gather(warp, in, isTF32 ? 1 : 4, a, b, [&](uint32_t bits, bool isA) { return decodeElement(isA ? formatA : formatB, bits); });

  int exponentsA[16] = {}, exponentsB[8] = {};
  if (in.flags & kScaled) {
    size_t first = firstC + numC;
    uint32_t byteA = uniformSelector(warp, in, first + 2, 3, "byte-id-a"), threadA = uniformSelector(warp, in, first + 3, 1, "thread-id-a");
    uint32_t byteB = uniformSelector(warp, in, first + 4, 3, "byte-id-b"), threadB = uniformSelector(warp, in, first + 5, 3, "thread-id-b");
    uint32_t selectedA = 0, selectedB = 0;
    for (int row = 0; row < 16; ++row) {
      int lane = 4 * (row % 8) + 2 * static_cast<int>(threadA) + row / 8;
      selectedA |= 1u << lane;
      exponentsA[row] = scaleExponent(warp.reg<uint32_t>(in.list[first])[lane], byteA);
    }
    for (int column = 0; column < 8; ++column) {
      int lane = 4 * column + static_cast<int>(threadB);
      selectedB |= 1u << lane;
      exponentsB[column] = scaleExponent(warp.reg<uint32_t>(in.list[first + 1])[lane], byteB);
    }
    requireInit(warp, in, in.list[first], selectedA, "as a scale of an mma");
    requireInit(warp, in, in.list[first + 1], selectedB, "as a scale of an mma");
  }

  // MMA-Sim: Hopper and Blackwell take 32 bytes of K in one step with 25 fractional bits, Ampere 16 with 24.
  bool isNew = warp.launch->major >= 9;
  int step = std::min<int>(in.variant2, (isNew ? 32 : 16) / (isTF32 ? 4 : 1)), fractionBits = isNew ? 25 : 24;
  int smallestA = smallestExponent(formatA), smallestB = smallestExponent(formatB);
  if (!isTF32 && warp.launch->major < 12) { // no such steps there: ptxas makes f16 steps of K = 16 of them
    step = 16;
    smallestA = smallestB = smallestExponent(ElementFormat::F16);
  }
  DotModel model{fractionBits, (in.flags & kHalfD ? 4 : -108) - fractionBits, smallestA, in.flags & kHalfC ? -14 : -126, smallestB};
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int lane = 4 * (row % 8) + column / 2, half = column % 2;
      uint32_t bits = in.flags & kHalfC ? warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(row / 8)])[lane] >> (16 * half) & 0xffff
                                        : warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(2 * (row / 8) + half)])[lane];
      float sum = in.flags & kHalfC ? numerics::decodeF16(static_cast<uint16_t>(bits)) : numerics::floatFromBits(bits);
      for (int k = 0; k < in.variant2; k += step) {
        FusedDot dot = fusedDot(&a[row][k], &b[column][k], step, sum, model, exponentsA[row] + exponentsB[column]);
        dot.isNaN |= exponentsA[row] == 128 || exponentsB[column] == 128;
        bits = in.flags & kHalfD ? dotToHalf(dot) : numerics::floatBits(dotToFloat(dot));
        sum = in.flags & kHalfD ? numerics::decodeF16(static_cast<uint16_t>(bits)) : numerics::floatFromBits(bits);
      }
      if (in.flags & kHalfD) {
        uint32_t &word = warp.block->mmaScratch[row / 8][lane];
        word = half ? (word & 0xffffu) | bits << 16 : (word & 0xffff0000u) | bits;
      } else {
        warp.block->mmaScratch[2 * (row / 8) + half][lane] = bits;
      }
    }
  for (size_t r = 0; r < in.list2.size(); ++r)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.reg<uint32_t>(in.list2[r])[lane] = warp.block->mmaScratch[r][lane];
  finishMma(warp, in, mask);
}

/// f64: register i of A holds row g + 8 (i & 1) (8 rows: g), column t + 4 (i >> 1) (8 rows: t); of B row t + 4 i, column g. A chain of
/// fused multiplications and additions along K.
void mmaDouble(Warp &warp, const Instr &in, uint32_t mask) {
  beginMma(warp, in, mask);
  int rows = in.variant, k = in.variant2;
  double a[16][16], b[16][8], d[16][8];
  int numA = rows * k / kLanes, numB = k / 4, numC = rows / 4;
  auto value = [&](int index, int lane) { return warp.reg<double>(in.list[static_cast<size_t>(index)])[lane]; };
  for (int lane = 0; lane < kLanes; ++lane) {
    int g = lane / 4, t = lane % 4;
    for (int i = 0; i < numA; ++i)
      a[rows == 8 ? g : g + 8 * (i & 1)][rows == 8 ? t : t + 4 * (i >> 1)] = value(i, lane);
    for (int i = 0; i < numB; ++i)
      b[t + 4 * i][g] = value(numA + i, lane);
    for (int i = 0; i < numC; ++i)
      d[g + 8 * (i >> 1)][2 * t + (i & 1)] = value(numA + numB + i, lane);
  }
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < 8; ++column)
      for (int i = 0; i < k; ++i)
        d[row][column] = std::fma(a[row][i], b[i][column], d[row][column]);
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < numC; ++i)
      warp.reg<double>(in.list2[static_cast<size_t>(i)])[lane] = d[lane / 4 + 8 * (i >> 1)][2 * (lane % 4) + (i & 1)];
  finishMma(warp, in, mask);
}

/// Rows of bits; also the 8x8 shapes of 8- and 4-bit integers of sm_75: a register of A and of B a lane.
void mmaRows(Warp &warp, const Instr &in, uint32_t mask) {
  beginMma(warp, in, mask);
  int rows = in.bytes == 1 ? 8 : 16, numA = in.bytes, numB = in.bytes == 4 ? 2 : 1, width = in.variant2;
  bool isXor = in.flags & 1, saturates = in.flags & 2;
  ElementFormat formatA = static_cast<ElementFormat>(in.variant), formatB = static_cast<ElementFormat>(in.offset);
  auto element = [&](uint32_t word, int i, ElementFormat format) {
    auto bits = static_cast<int32_t>(word << (32 - width * (i + 1)));
    return format == ElementFormat::S8 || format == ElementFormat::S4 ? bits >> (32 - width) : static_cast<int32_t>(static_cast<uint32_t>(bits) >> (32 - width));
  };
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < rows / 4; ++i) {
      int row = lane / 4 + 8 * (i >> 1), column = 2 * (lane % 4) + (i & 1);
      int64_t sum = static_cast<int32_t>(warp.reg<uint32_t>(in.list[static_cast<size_t>(numA + numB + i)])[lane]);
      for (int run = 0; run < numB; ++run)
        for (int t = 0; t < 4; ++t) {
          uint32_t a = warp.reg<uint32_t>(in.list[static_cast<size_t>(rows == 8 ? 0 : row / 8 + 2 * run)])[4 * (row % 8) + t];
          uint32_t b = warp.reg<uint32_t>(in.list[static_cast<size_t>(numA + run)])[4 * column + t];
          if (width == 1)
            sum += __builtin_popcount(isXor ? a ^ b : a & b);
          for (int j = 0; width > 1 && j < 32 / width; ++j)
            sum += element(a, j, formatA) * element(b, j, formatB);
        }
      if (saturates)
        sum = std::max<int64_t>(INT32_MIN, std::min<int64_t>(INT32_MAX, sum));
      warp.block->mmaScratch[i][lane] = static_cast<uint32_t>(sum);
    }
  for (size_t r = 0; r < in.list2.size(); ++r)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.reg<uint32_t>(in.list2[r])[lane] = warp.block->mmaScratch[r][lane];
  finishMma(warp, in, mask);
}

/// d, a, b, c, each a vector of so many registers or one.
void operands(Decoder &d, const size_t *counts, Type type) {
  Instr &in = d.out();
  for (size_t i = 0; i < 4; ++i) {
    const Operand &operand = d.operand(i);
    std::vector<Operand> single{operand};
    const std::vector<Operand> &elements = operand.kind == Operand::Vector ? operand.elements : single;
    if (elements.size() != counts[i])
      d.fail(fmt::format("operand {} has {} registers, the shape needs {}", i + 1, elements.size(), counts[i]));
    for (const Operand &element : elements)
      (i == 0 ? in.list2 : in.list).push_back(i == 0 ? d.destination(element, type) : d.source(element, type));
  }
  in.ownInit = true;
  in.instrClass = InstrClass::Mma;
}

bool decodeDouble(Decoder &d, const MmaModifiers &mods) {
  Instr &in = d.out();
  d.take("rn");
  if (mods.types != std::vector<std::string>(4, "f64") || (mods.rows == 8 ? mods.k != 4 : mods.k != 4 && mods.k != 8 && mods.k != 16))
    return false;
  d.expectOperands(4, 4);
  auto count = [](int n) { return static_cast<size_t>(n); };
  size_t counts[] = {count(mods.rows / 4), count(mods.rows * mods.k / kLanes), count(mods.k / 4), count(mods.rows / 4)};
  operands(d, counts, Type::F64);
  in.variant = static_cast<uint8_t>(mods.rows);
  in.variant2 = static_cast<uint8_t>(mods.k);
  in.handler = mmaDouble;
  return true;
}

bool decodeRows(Decoder &d, const MmaModifiers &mods) {
  Instr &in = d.out();
  bool isBits = mods.types[1] == "b1";
  ElementFormat a = parseElementFormat(mods.types[1]), b = parseElementFormat(mods.types[2]);
  bool bytes = mods.types[1].back() == '8';
  if (mods.types[0] != "s32" || mods.types[3] != "s32")
    return false;
  if (isBits) {
    bool isXor = d.take("xor");
    if (mods.types[2] != "b1" || isXor == d.take("and") || !d.take("popc") ||
        (mods.rows == 8 ? mods.k != 128 : mods.k != 128 && mods.k != 256))
      return false;
    in.flags = isXor;
    in.variant2 = 1;
  } else {
    if (!isInteger(a) || !isInteger(b) || mods.types[1].back() != mods.types[2].back() || mods.rows != 8 || mods.k != (bytes ? 16 : 32))
      return false;
    in.flags = d.take("satfinite") ? 2 : 0;
    in.variant2 = bytes ? 8 : 4;
  }
  d.expectOperands(4, 4);
  size_t numA = mods.rows == 8 ? 1 : mods.k == 256 ? 4 : 2, numC = static_cast<size_t>(mods.rows / 4);
  size_t counts[] = {numC, numA, numA == 4 ? 2u : 1u, numC};
  operands(d, counts, Type::B32);
  in.bytes = static_cast<uint8_t>(numA);
  in.variant = static_cast<uint8_t>(a);
  in.offset = static_cast<int64_t>(b);
  in.handler = mmaRows;
  return true;
}

} // namespace

bool decodeMmaSmall(Decoder &d, const MmaModifiers &mods) {
  Instr &in = d.out();
  if (mods.types[1] == "f64")
    return decodeDouble(d, mods);
  if (mods.types[1] == "b1" || mods.rows == 8)
    return decodeRows(d, mods);
  ElementFormat a = parseElementFormat(mods.types[1]), b = parseElementFormat(mods.types[2]);
  bool halfD = mods.types[0] == "f16", halfC = mods.types[3] == "f16";
  if ((!halfD && mods.types[0] != "f32") || (!halfC && mods.types[3] != "f32"))
    return false;
  bool isTF32 = a == ElementFormat::TF32, isScaled = mods.kind == "kind::mxf8f6f4";
  if (isTF32) {
    if (b != a || halfC || halfD || !mods.kind.empty() || (mods.k != 4 && mods.k != 8))
      return false;
  } else {
    auto isFP8 = [](ElementFormat format) { return format == ElementFormat::E4M3 || format == ElementFormat::E5M2; };
    if (!isSmallFloat(a) || !isSmallFloat(b) || (mods.kind.empty() && (!isFP8(a) || !isFP8(b))) ||
        (mods.k != 32 && (mods.k != 16 || !mods.kind.empty())))
      return false;
  }
  if (isScaled) {
    std::string vec = d.takePrefix("scale_vec::");
    if (halfC || halfD || (!vec.empty() && vec != "scale_vec::1X") || !d.take("ue8m0"))
      return false;
  }
  size_t numA = mods.k == (isTF32 ? 8 : 32) ? 4 : 2;
  size_t counts[] = {halfD ? 2u : 4u, numA, numA / 2, halfC ? 2u : 4u};
  d.expectOperands(isScaled ? 8 : 4, isScaled ? 8 : 4);
  operands(d, counts, Type::B32);
  if (isScaled) {
    in.list.push_back(scaleSource(d, 4));
    in.list.push_back(scaleSource(d, 6));
    for (size_t i : {5u, 7u}) {
      if (d.operand(i).kind != Operand::Vector || d.operand(i).elements.size() != 2)
        d.fail(fmt::format("operand {} must be a vector of 2", i + 1));
      for (const Operand &element : d.operand(i).elements)
        in.list.push_back(d.source(element, Type::U16));
    }
  }
  in.bytes = static_cast<uint8_t>(numA);
  in.variant = static_cast<uint8_t>(a);
  in.offset = static_cast<int64_t>(b);
  in.variant2 = static_cast<uint8_t>(mods.k);
  in.flags = (halfC ? kHalfC : 0) | (halfD ? kHalfD : 0) | (isScaled ? kScaled : 0);
  in.handler = mmaSmall;
  return true;
}

} // namespace emulator
} // namespace fourfold
