// mma.sp without block scales (PTX ISA 9.7.14.6): of each run of A some elements are kept, and metadata says which. mma.m8n8k4 of f16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "MmaSparse.h"

#include "ElementFormat.h"
#include "Matrix.h"
#include "MmaDense.h"
#include "MmaFragments.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::variant, offset: formats of A and B; variant2: k of the dense B; bytes: registers of A; list: a, b, c, metadata; list2: d.
constexpr uint32_t kHalfC = 1, kHalfD = 2, kSaturates = 4, kOrdered = 8;
constexpr int kMostK = 128;

int formatBits(ElementFormat format) {
  switch (format) {
  case ElementFormat::TF32:
    return 32;
  case ElementFormat::BF16:
  case ElementFormat::F16:
    return 16;
  case ElementFormat::S4:
  case ElementFormat::U4:
    return 4;
  default:
    return 8;
  }
}

/// Bits of metadata a row: 4 for each run of four (16- and 8-bit elements: two of four), of two (tf32: one of two) or of eight (4-bit elements:
/// two pairs of four).
int metadataBits(ElementFormat format, int k) {
  int bits = formatBits(format);
  return bits == 32 ? 2 * k : bits == 4 ? k / 2 : k;
}

/// The metadata of a row. 16 bits a row stand in one lane of each quad, which the selector names: row g below, row g + 8 above. 32 bits stand
/// in a pair of lanes: of 16-bit elements and tf32 each has its half of K as before, of smaller ones each has its row. 64 bits stand in all
/// four: pairs of lanes for the halves of K.
uint64_t rowMetadata(const uint32_t *words, int row, int bits, bool isWide, uint32_t selector, uint32_t *used) {
  int quad = 4 * (row % 8), high = row / 8;
  auto word = [&](int lane) {
    *used |= 1u << lane;
    return words[lane];
  };
  if (bits == 16)
    return word(quad + static_cast<int>(selector)) >> (16 * high) & 0xffff;
  if (bits == 32 && isWide) {
    int first = quad + 2 * static_cast<int>(selector);
    return (word(first) >> (16 * high) & 0xffff) | (word(first + 1) >> (16 * high) & 0xffff) << 16;
  }
  if (bits == 32)
    return word(quad + 2 * static_cast<int>(selector) + high);
  return word(quad + high) | uint64_t{word(quad + 2 + high)} << 32;
}

/// Where in a row of K the kept elements stand.
void places(Warp &warp, const Instr &in, ElementFormat format, int k, uint64_t metadata, int row, int *result) {
  int bits = formatBits(format);
  auto wrong = [&](int run, uint32_t what) {
    report(warp, in, 4 * (row % 8), device::kErrorIllegalInstruction,
           fmt::format("the metadata of row {} is {:#x} for run {}, which the format does not have", row, what, run));
  };
  for (int run = 0; run < metadataBits(format, k) / 4; ++run) {
    uint32_t nibble = metadata >> (4 * run) & 15, first = nibble & 3, second = nibble >> 2;
    if (bits == 32) { // one of two: 0b0100 or 0b1110
      if (nibble != 4 && nibble != 14)
        wrong(run, nibble);
      result[run] = 2 * run + (nibble == 14);
      continue;
    }
    if (first == second || (first > second && in.flags & kOrdered))
      wrong(run, nibble);
    if (bits == 4) {
      for (int i = 0; i < 2; ++i) {
        result[4 * run + i] = 8 * run + 2 * static_cast<int>(first) + i;
        result[4 * run + 2 + i] = 8 * run + 2 * static_cast<int>(second) + i;
      }
      continue;
    }
    result[2 * run] = 4 * run + static_cast<int>(first);
    result[2 * run + 1] = 4 * run + static_cast<int>(second);
  }
}

template <class Value, class Decode>
void gatherBoth(Warp &warp, const Instr &in, int bits, Value (*a)[kMostK / 2], Value (*b)[kMostK], Decode decode) {
  int numA = in.bytes, numB = numA, perRegister = 32 / bits;
  uint32_t keep = bits == 32 ? ~0u : (1u << bits) - 1;
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < perRegister; ++i) {
      for (int r = 0; r < numA; ++r)
        a[lane / 4 + 8 * (r & 1)][perRegister * (lane % 4 + 4 * (r >> 1)) + i] =
            decode(warp.reg<uint32_t>(in.list[static_cast<size_t>(r)])[lane] >> (bits * i) & keep, true);
      for (int r = 0; r < numB; ++r)
        b[lane / 4][perRegister * (lane % 4 + 4 * r) + i] =
            decode(warp.reg<uint32_t>(in.list[static_cast<size_t>(numA + r)])[lane] >> (bits * i) & keep, false);
    }
}

void mmaSparse(Warp &warp, const Instr &in, uint32_t mask) {
  requireFullWarp(warp, in, mask);
  size_t firstC = 2u * in.bytes, metadata = in.list.size() - 1;
  for (size_t i = 0; i < metadata; ++i)
    requireInit(warp, in, in.list[i], mask, "as an mma operand");
  ElementFormat formatA = static_cast<ElementFormat>(in.variant), formatB = static_cast<ElementFormat>(in.offset);
  int bits = formatBits(formatA), k = in.variant2, kept = k / 2, width = metadataBits(formatA, k);
  uint32_t used = 0;
  int at[16][kMostK / 2];
  for (int row = 0; row < 16; ++row)
    places(warp, in, formatA, k,
           rowMetadata(warp.reg<uint32_t>(in.list[metadata]), row, width, bits >= 16, in.flags >> 16, &used), row, at[row]);
  requireInit(warp, in, in.list[metadata], used, "as the metadata of an mma");

  auto putResult = [&](int row, int column, uint32_t value) {
    int lane = 4 * (row % 8) + column / 2;
    if (!(in.flags & kHalfD)) {
      warp.block->mmaScratch[2 * (row / 8) + column % 2][lane] = value;
      return;
    }
    uint32_t &word = warp.block->mmaScratch[row / 8][lane];
    word = column % 2 ? (word & 0xffffu) | value << 16 : (word & 0xffff0000u) | value;
  };
  auto takeC = [&](int row, int column) {
    int lane = 4 * (row % 8) + column / 2;
    return in.flags & kHalfC ? warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(row / 8)])[lane] >> (16 * (column % 2)) & 0xffff
                             : warp.reg<uint32_t>(in.list[firstC + static_cast<size_t>(2 * (row / 8) + column % 2)])[lane];
  };
  if (isInteger(formatA)) {
    static thread_local int32_t a[16][kMostK / 2], b[8][kMostK];
    gatherBoth(warp, in, bits, a, b, [&](uint32_t value, bool isA) {
      ElementFormat format = isA ? formatA : formatB;
      bool isSigned = format == ElementFormat::S8 || format == ElementFormat::S4;
      return isSigned ? static_cast<int32_t>(value << (32 - bits)) >> (32 - bits) : static_cast<int32_t>(value);
    });
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        int64_t sum = static_cast<int32_t>(takeC(row, column));
        for (int i = 0; i < kept; ++i)
          sum += a[row][i] * b[column][at[row][i]];
        if (in.flags & kSaturates)
          sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
        putResult(row, column, static_cast<uint32_t>(sum));
      }
  } else {
    static thread_local float a[16][kMostK / 2], b[8][kMostK];
    gatherBoth(warp, in, bits, a, b, [&](uint32_t value, bool isA) { return decodeElement(isA ? formatA : formatB, value); });
    // The products that are left are added as those of the dense step of half of K: see Mma.cpp and MmaSmall.cpp.
    bool isNew = warp.launch->major >= 9;
    int step = std::min(kept, bits == 16 ? isNew ? kept : 8 : (isNew ? 32 : 16) / (bits == 32 ? 4 : 1));
    int smallestA = smallestExponent(formatA), smallestB = smallestExponent(formatB);
    if (bits == 8 && warp.launch->major < 12) {
      step = std::min(kept, 16);
      smallestA = smallestB = smallestExponent(ElementFormat::F16);
    }
    int fractionBits = isNew ? 25 : 24;
    DotModel model{fractionBits, (in.flags & kHalfD ? 4 : -108) - fractionBits, smallestA, in.flags & kHalfC ? -14 : -126, smallestB};
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        float chosen[kMostK / 2];
        for (int i = 0; i < kept; ++i)
          chosen[i] = b[column][at[row][i]];
        uint32_t value = takeC(row, column);
        float sum = in.flags & kHalfC ? numerics::decodeF16(static_cast<uint16_t>(value)) : numerics::floatFromBits(value);
        for (int i = 0; i < kept; i += step) {
          FusedDot dot = fusedDot(&a[row][i], &chosen[i], step, sum, model);
          value = in.flags & kHalfD ? dotToHalf(dot) : numerics::floatBits(dotToFloat(dot));
          sum = in.flags & kHalfD ? numerics::decodeF16(static_cast<uint16_t>(value)) : numerics::floatFromBits(value);
        }
        putResult(row, column, value);
      }
  }
  for (size_t r = 0; r < in.list2.size(); ++r)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.reg<uint32_t>(in.list2[r])[lane] = warp.block->mmaScratch[r][lane];
  finishMma(warp, in, mask);
}

/// The quad pairs of mma.m8n8k4: lanes 4 q to 4 q + 3 and those 16 above; each computes a product of its own (PTX ISA 9.7.14.5.1).
void mmaQuadPairs(Warp &warp, const Instr &in, uint32_t mask) {
  beginMma(warp, in, mask);
  bool rowA = in.variant, rowB = in.variant2, halfC = in.flags & kHalfC, halfD = in.flags & kHalfD;
  auto half = [&](size_t first, int i, int lane) {
    return static_cast<uint16_t>(warp.reg<uint32_t>(in.list[first + static_cast<size_t>(i / 2)])[lane] >> (16 * (i % 2)));
  };
  uint32_t results[8][kLanes] = {};
  DotModel model{warp.launch->major >= 9 ? 25 : 24, 0, -14, halfC ? -14 : -126};
  model.zeroExponent = (halfD ? 4 : -108) - model.fractionBits;
  for (int pair = 0; pair < 4; ++pair) {
    float a[8][4], b[8][4], c[8][8];
    auto eachLane = [&](auto visit) {
      for (int t = 0; t < 8; ++t)
        visit(4 * pair + t % 4 + (t < 4 ? 0 : 16), t % 4, t < 4 ? 0 : 4);
    };
    // Rows and columns of an accumulator: of f16 a row a lane, of f32 spread.
    auto place = [](bool isHalf, int lane, int t, int upper, int i, int *row, int *column) {
      *row = isHalf ? t + upper : (lane & 1) + (i & 2) + upper;
      *column = isHalf ? i : (i & 4) + (lane & 2) + (i & 1);
    };
    eachLane([&](int lane, int t, int upper) {
      for (int i = 0; i < 4; ++i) {
        (rowA ? a[t + upper][i] : a[i + upper][t]) = numerics::decodeF16(half(0, i, lane));
        (rowB ? b[i + upper][t] : b[t + upper][i]) = numerics::decodeF16(half(2, i, lane));
      }
      for (int i = 0; i < 8; ++i) {
        int row, column;
        place(halfC, lane, t, upper, i, &row, &column);
        c[row][column] = halfC ? numerics::decodeF16(half(4, i, lane)) : warp.reg<float>(in.list[4 + static_cast<size_t>(i)])[lane];
      }
    });
    eachLane([&](int lane, int t, int upper) {
      for (int i = 0; i < 8; ++i) {
        int row, column;
        place(halfD, lane, t, upper, i, &row, &column);
        FusedDot dot = fusedDot(a[row], b[column], 4, c[row][column], model);
        if (!halfD) {
          results[i][lane] = numerics::floatBits(dotToFloat(dot));
          continue;
        }
        uint32_t &word = results[i / 2][lane], value = dotToHalf(dot);
        word = i % 2 ? (word & 0xffffu) | value << 16 : (word & 0xffff0000u) | value;
      }
    });
  }
  for (size_t r = 0; r < in.list2.size(); ++r)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.reg<uint32_t>(in.list2[r])[lane] = results[r][lane];
  finishMma(warp, in, mask);
}

void takeOperands(Decoder &d, const size_t *counts) {
  Instr &in = d.out();
  for (size_t i = 0; i < 4; ++i) {
    const Operand &operand = d.operand(i);
    std::vector<Operand> single{operand};
    const std::vector<Operand> &elements = operand.kind == Operand::Vector ? operand.elements : single;
    if (elements.size() != counts[i])
      d.fail(fmt::format("operand {} has {} registers, the shape needs {}", i + 1, elements.size(), counts[i]));
    for (const Operand &element : elements)
      (i == 0 ? in.list2 : in.list).push_back(i == 0 ? d.destination(element, Type::B32) : d.source(element, Type::B32));
  }
  in.ownInit = true;
  in.instrClass = InstrClass::Mma;
}

/// The four element types in the order d, a, b, c.
std::vector<std::string> takeTypes(Decoder &d) {
  std::vector<std::string> types;
  for (const std::string &mod : d.ast().mods)
    if (parseElementFormat(mod) != ElementFormat::None || mod == "f32" || mod == "s32")
      types.push_back(mod);
  for (const std::string &type : types)
    d.take(type);
  return types;
}

} // namespace

bool decodeMmaSparse(Decoder &d) {
  Instr &in = d.out();
  bool isOrdered = d.take("sp::ordered_metadata");
  if (!isOrdered && !d.take("sp"))
    return false;
  std::string kind = d.takePrefix("kind::"), shape = d.takePrefix("m16n8k");
  if ((!kind.empty() && kind != "kind::f8f6f4") || shape.empty() || !d.take("row") || !d.take("col"))
    return false;
  int k = std::atoi(shape.c_str() + 6);
  std::vector<std::string> types = takeTypes(d);
  if (types.size() != 4)
    return false;
  ElementFormat a = parseElementFormat(types[1]), b = parseElementFormat(types[2]);
  int bits = formatBits(a), full = 512 / bits; // four registers of A
  if (a == ElementFormat::None || b == ElementFormat::None || formatBits(b) != bits || isInteger(a) != isInteger(b) || (k != full && k != full / 2))
    return false;
  bool halfD = types[0] == "f16", halfC = types[3] == "f16";
  if (isInteger(a)) {
    if (types[0] != "s32" || types[3] != "s32" || !kind.empty())
      return false;
  } else {
    bool mayBeHalf = a == ElementFormat::F16 || isSmallFloat(a);
    if ((bits >= 16 && a != b) || (!halfD && types[0] != "f32") || (!halfC && types[3] != "f32") || ((halfC || halfD) && !mayBeHalf) ||
        (bits == 8 && k != full) || (bits >= 16 && !kind.empty()) ||
        (bits == 8 && kind.empty() && (a > ElementFormat::E5M2 || b > ElementFormat::E5M2)))
      return false;
  }
  setMmaKind(d, fmt::format("sp.{}{}.{}.{}", types[1], types[1] == types[2] ? "" : "." + types[2], types[0], shape));
  in.flags = (halfC ? kHalfC : 0) | (halfD ? kHalfD : 0) | (d.take("satfinite") ? kSaturates : 0) | (isOrdered ? kOrdered : 0);
  if (in.flags & kSaturates && !isInteger(a))
    return false;
  d.expectOperands(6, 6);
  size_t numA = k == full ? 4 : 2, counts[] = {halfD ? 2u : 4u, numA, numA, halfC ? 2u : 4u};
  takeOperands(d, counts);
  in.list.push_back(d.source(d.operand(4), Type::B32));
  // How many lanes of a quad hold metadata says how many places there are for them.
  int64_t most = metadataBits(a, k) == 16 ? 3 : metadataBits(a, k) == 32 ? 1 : 0;
  const Operand &selector = d.operand(5);
  if (selector.kind != Operand::Integer || selector.value < 0 || selector.value > most)
    d.fail(fmt::format("the sparsity selector must be an immediate from 0 to {}", most));
  in.flags |= static_cast<uint32_t>(selector.value) << 16;
  in.bytes = static_cast<uint8_t>(numA);
  in.variant = static_cast<uint8_t>(a);
  in.offset = static_cast<int64_t>(b);
  in.variant2 = static_cast<uint8_t>(k);
  in.handler = mmaSparse;
  return true;
}

bool decodeMmaQuadPairs(Decoder &d) {
  Instr &in = d.out();
  std::vector<std::string> layouts;
  for (const std::string &mod : d.ast().mods)
    if (mod == "row" || mod == "col")
      layouts.push_back(mod);
  if (layouts.size() != 2 || !d.take("m8n8k4"))
    return false;
  for (const std::string &layout : layouts)
    d.take(layout);
  std::vector<std::string> types = takeTypes(d);
  if (types.size() != 4 || types[1] != "f16" || types[2] != "f16")
    return false;
  bool halfD = types[0] == "f16", halfC = types[3] == "f16";
  if ((!halfD && types[0] != "f32") || (!halfC && types[3] != "f32"))
    return false;
  setMmaKind(d, fmt::format("f16.{}.m8n8k4", types[0]));
  in.flags = (halfC ? kHalfC : 0) | (halfD ? kHalfD : 0);
  in.variant = layouts[0] == "row";
  in.variant2 = layouts[1] == "row";
  d.expectOperands(4, 4);
  size_t counts[] = {halfD ? 4u : 8u, 2, 2, halfC ? 4u : 8u};
  takeOperands(d, counts);
  in.handler = mmaQuadPairs;
  return true;
}

} // namespace emulator
} // namespace fourfold
