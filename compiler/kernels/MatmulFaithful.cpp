// A stage that gives the bits of an FP4 tensor core, as dialect/MmaModel.h has it, on GPUs without one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Twice an e2m1 value is an integer of five bits, so 8-bit integer steps give the sums over blocks of 16 exactly, in units of 1/4, without a
// conversion. A register of codes holds halves of two blocks (lanes t = 0, 1 and t = 2, 3): m16n8k32 on the eight codes of each lane, B's
// other lanes zero, is the sum over one block. A block whose products are not all zero takes part in the choice of the largest exponent even
// if they cancel, so a second step sums the magnitudes.
//
// The rest is the model in integers, for each element and step of K = 64: four terms, sum times both significands, at the sum of their scales'
// exponents, and C; each moved to the largest exponent, truncated toward zero at 35 fractional bits; added; truncated to fp32.
//
// ptxas gives 595 instructions (sm_80) for 16x8 of K = 64: 8 matrix steps, 4 elements of about 130 integer operations, and a share of the
// unpacking; where `fast` issues 44. Arithmetic bounds it, some fourteen times slower; the point is the bits.

#include "compiler/kernels/MatmulStage.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

/// Exponents are kept non-negative: each scale's plus 512, a product's or C's plus 1024.
constexpr int64_t kScaleBias = 512, kBias = 2 * kScaleBias;
constexpr int64_t kZeroExponent = kBias - 139; // of a term that is 0 (MmaModel.h)
constexpr int64_t kFractionBits = 35;

/// The scales of one row or column for K = 64: one for each 16 of K.
struct Scales {
  SmallVector<Val> significands; // in units of 2^-3; empty for powers of two
  SmallVector<Val> exponents;
  Val notNumber; // not 0 where one is NaN
};

/// Twice the values of eight codes as bytes, and their magnitudes: codes 0-3, codes 4-7.
struct Bytes {
  Val values[2], magnitudes[2];
};

class FaithfulStage : public StageMath {
public:
  explicit FaithfulStage(const StageContext &context)
      : StageMath(context), isNVFP4(context.format == Format::NVFP4) {}
  SmallVector<Val> compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) override;

private:
  Scales unpackScales(Val word, Val step);
  Bytes unpackCodes(Val codes);
  SmallVector<Val> blockSum(llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b);
  SmallVector<Val> addTile(const SmallVector<Bytes> &a, const SmallVector<Bytes> &b, llvm::ArrayRef<Scales> rows,
                           llvm::ArrayRef<Scales> columns, llvm::ArrayRef<Val> accumulators);
  Val combine(llvm::ArrayRef<Val> sums, llvm::ArrayRef<Val> magnitudes, const Scales &row, const Scales &column, Val c);
  Val toFloat(Val sum, Val exponent);

  bool isNVFP4;
};

} // namespace

Scales FaithfulStage::unpackScales(Val word, Val step) {
  Scales scales;
  if (isNVFP4) {
    scales.notNumber = ((word & 0x7f7f7f7f) + 0x01010101) & 0x80808080;
  } else {
    // Two bytes a step, each for two times 16 of K.
    word = k.permuteBytes(word, word, step * 0x2222 + 0x1100);
    Val inverse = word ^ -1;
    scales.notNumber = (inverse - 0x01010101) & word & 0x80808080;
  }
  for (int block = 0; block < 4; ++block) {
    Val byte = (word >> (8 * block)) & 0xff;
    if (!isNVFP4) {
      scales.exponents.push_back(byte + (kScaleBias - 127));
      continue;
    }
    Val field = (byte >> 3) & 15, mantissa = byte & 7;
    scales.significands.push_back(k.select(equals(field, 0), mantissa, mantissa | 8));
    scales.exponents.push_back(umax(field, k.c32(1)) + (kScaleBias - 7));
  }
  return scales;
}

Bytes FaithfulStage::unpackCodes(Val codes) {
  // Tables of prmt: 0, 1, 2, 3 and 4, 6, 8, 12; their negatives; a byte of ones for each sign.
  Bytes bytes;
  for (int half = 0; half < 2; ++half) {
    Val word = half == 0 ? codes : codes >> 16;
    Val index = word & 0x7777, signs = (word >> 3) & 0x1111;
    Val magnitudes = k.permuteBytes(k.c32(0x03020100), k.c32(0x0c080604), index);
    Val negatives = k.permuteBytes(k.c32(0xfdfeff00), k.c32(0xf4f8fafc), index);
    Val mask = k.permuteBytes(k.c32(0x0000ff00), k.c32(0), signs);
    bytes.magnitudes[half] = magnitudes;
    bytes.values[half] = (magnitudes & (mask ^ -1)) | (negatives & mask);
  }
  return bytes;
}

SmallVector<Val> FaithfulStage::blockSum(llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b) {
  SmallVector<Val> zeros(4, k.c32(0));
  return k.matrixStep(NVVM::MMATypes::s8, 32, a, b, zeros);
}

/// `sum` in units of 2^(exponent - kBias - kFractionBits), truncated to fp32; 0 is +0.
Val FaithfulStage::toFloat(Val sum, Val exponent) {
  Val rounded = k.asBits(k.int64ToFloatRZ(sum));
  Val magnitude = rounded & 0x7fffffff;
  Val offset = exponent - (kBias + kFractionBits);
  Val field = (magnitude >> 23) + offset; // of the result, if it is a normal number
  Val normal = magnitude + (offset << 23);
  Val subnormal = ((magnitude & 0x7fffff) | 0x800000) >> umin(k.c32(1) - field, k.c32(31));
  Val result = k.select(field < 1, subnormal, k.select(field < 255, normal, k.c32(0x7f800000)));
  result = k.select(equals(magnitude, 0), k.c32(0), result);
  return k.select(equals(result, 0), result, result | (rounded & 0x80000000));
}

Val FaithfulStage::combine(llvm::ArrayRef<Val> sums, llvm::ArrayRef<Val> magnitudes, const Scales &row,
                           const Scales &column, Val c) {
  SmallVector<Val> terms, exponents; // terms in units of 2^-8
  for (int block = 0; block < 4; ++block) {
    Val factor = isNVFP4 ? row.significands[block] * column.significands[block] : k.c32(64);
    Val isZero = equals(isNVFP4 ? magnitudes[block] * factor : magnitudes[block], 0);
    terms.push_back(sums[block] * factor);
    exponents.push_back(k.select(isZero, k.c32(kZeroExponent), row.exponents[block] + column.exponents[block]));
  }
  Val bits = k.asBits(c);
  Val field = (bits >> 23) & 0xff, mantissa = bits & 0x7fffff;
  Val significand = k.select(equals(field, 0), mantissa, mantissa | 0x800000);
  Val exponentC = k.select(equals(significand, 0), k.c32(kZeroExponent), umax(field, k.c32(1)) + (kBias - 127));

  Val top = exponentC;
  for (Val exponent : exponents)
    top = umax(top, exponent);
  auto align = [&](Val magnitude, int unit, Val exponent, Val isNegative) {
    Val places = k.zext64(umin(top - exponent, k.c32(63)));
    Val aligned = (k.zext64(magnitude) << (kFractionBits - unit)) >> places;
    return k.select(isNegative, k.c64(0) - aligned, aligned);
  };
  Val sum = align(significand, 23, exponentC, bits < 0);
  for (int block = 0; block < 4; ++block) {
    Val isNegative = terms[block] < 0;
    Val magnitude = k.select(isNegative, k.c32(0) - terms[block], terms[block]);
    sum = sum + align(magnitude, 8, exponents[block], isNegative);
  }
  Val result = k.select(equals(field, 255), bits, toFloat(sum, top));
  Val notNumber = row.notNumber | column.notNumber;
  return k.asFloat(k.select(equals(notNumber, 0), result, k.c32(0x7fffffff)));
}

/// 16 x 8 elements. `a`: bytes of rows g and g + 8 of the first half of K, then of the second; `b`: of the two halves.
SmallVector<Val> FaithfulStage::addTile(const SmallVector<Bytes> &a, const SmallVector<Bytes> &b, llvm::ArrayRef<Scales> rows,
                                        llvm::ArrayRef<Scales> columns, llvm::ArrayRef<Val> accumulators) {
  SmallVector<Val> sums[4], magnitudes[4]; // of each element, by block
  Val second = k.c32(0) - ((c.lane >> 1) & 1); // ones in the lanes of a register's second block
  for (int half = 0; half < 2; ++half)
    for (int block = 0; block < 2; ++block) {
      Val mask = block == 0 ? second ^ -1 : second;
      const Bytes &low = a[2 * half], &high = a[2 * half + 1], &column = b[half];
      SmallVector<Val> sum = blockSum({low.values[0], high.values[0], low.values[1], high.values[1]},
                                      {column.values[0] & mask, column.values[1] & mask});
      SmallVector<Val> magnitude = blockSum({low.magnitudes[0], high.magnitudes[0], low.magnitudes[1], high.magnitudes[1]},
                                            {column.magnitudes[0] & mask, column.magnitudes[1] & mask});
      for (int i = 0; i < 4; ++i) {
        sums[i].push_back(sum[i]);
        magnitudes[i].push_back(magnitude[i]);
      }
    }
  SmallVector<Val> results;
  for (int i = 0; i < 4; ++i)
    results.push_back(combine(sums[i], magnitudes[i], rows[i / 2], columns[i % 2], accumulators[i]));
  return results;
}

SmallVector<Val> FaithfulStage::compute(Val, Val base, llvm::ArrayRef<Val> accumulators) {
  const int tilesM = c.tilesM(), tilesN = c.tilesN();
  Val tileRowA = (c.blockRow + c.warpRow) & 127, tileRowB = (c.blockColumn + c.warpColumn) & 127;
  Val row = c.lane >> 2, column = (c.lane & 3) << 1;
  // A loop, not a copy for each step: the code is long as it is.
  return forSteps(/*isLoop=*/true, accumulators, [&](Val step, llvm::ArrayRef<Val> state) {
    Val tileA = scaleTile(scalesA(base), step), tileB = scaleTile(scalesB(base), step);
    SmallVector<Val> rowWords = loadScaleWords(tileA, tileRowA, row, 2 * tilesM);
    SmallVector<Val> evenWords = loadScaleWords(tileB, tileRowB, column, tilesN);
    SmallVector<Val> oddWords = loadScaleWords(tileB, tileRowB, column + 1, tilesN);
    CodeFragments codes = loadCodes(base, step);
    SmallVector<Scales> rows;
    for (Val word : rowWords)
      rows.push_back(unpackScales(word, step));
    SmallVector<SmallVector<Bytes>> a;
    for (int m = 0; m < tilesM; ++m) {
      a.emplace_back();
      for (Val codesOfRow : codes.a[m])
        a.back().push_back(unpackCodes(codesOfRow));
    }
    SmallVector<Val> sums(state);
    for (int n = 0; n < tilesN; ++n) {
      Scales columns[2] = {unpackScales(evenWords[n], step), unpackScales(oddWords[n], step)};
      SmallVector<Bytes> b = {unpackCodes(codes.b[n][0]), unpackCodes(codes.b[n][1])};
      for (int m = 0; m < tilesM; ++m) {
        int first = (m * tilesN + n) * 4;
        SmallVector<Val> result = addTile(a[m], b, llvm::ArrayRef<Scales>(rows).slice(2 * m, 2), columns,
                                          llvm::ArrayRef<Val>(sums).slice(first, 4));
        llvm::copy(result, sums.begin() + first);
      }
    }
    return sums;
  });
}

std::unique_ptr<StageMath> makeFaithfulStage(const StageContext &context) {
  return std::make_unique<FaithfulStage>(context);
}

} // namespace compiler
} // namespace fourfold
