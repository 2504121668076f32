// One block of elements to its scale and codes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/BlockQuantizer.h"

#include "compiler/kernels/Philox.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int64_t kInfinityBits = 0x7f800000;
constexpr float kFloatMax = 3.402823466e+38f;

} // namespace

Val amaxBits(KernelBuilder &k, llvm::ArrayRef<Val> values) {
  Val result = k.asBits(values[0]) & 0x7fffffff;
  for (Val value : values.drop_front())
    result = umax(result, k.asBits(value) & 0x7fffffff);
  return result;
}

Val finiteAmax(KernelBuilder &k, llvm::ArrayRef<Val> values, Val amax) {
  for (Val value : values) {
    Val bits = k.asBits(value) & 0x7fffffff;
    amax = umax(amax, k.select(bits < kInfinityBits, bits, k.c32(0)));
  }
  return amax;
}

void publishAmax(KernelBuilder &k, Val amax, Val pointer) {
  for (int mask = 1; mask < 32; mask *= 2)
    amax = umax(amax, k.shuffleXor(amax, mask));
  k.ifThen(k.logicalAnd(equals(k.threadId() & 31, 0), k.c32(0) < amax), [&] { k.atomicMaxU32(pointer, amax); });
}

void applyHadamard(KernelBuilder &k, llvm::MutableArrayRef<Val> values, llvm::ArrayRef<int> signs) {
  // Signs, butterflies of stride 1, 2, 4, 8, a quarter.
  for (size_t base = 0; base < values.size(); base += 16) {
    for (int i = 0; i < 16; ++i)
      if (signs[i] < 0)
        values[base + i] = k.asFloat(k.asBits(values[base + i]) ^ static_cast<int64_t>(0x80000000u));
    for (int stride = 1; stride < 16; stride *= 2)
      for (int i = 0; i < 16; ++i)
        if (!(i & stride)) {
          Val low = values[base + i], high = values[base + i + stride];
          values[base + i] = low + high;
          values[base + i + stride] = low - high;
        }
    for (int i = 0; i < 16; ++i)
      values[base + i] = values[base + i] * k.cf(0.25f);
  }
}

BlockQuantizer::BlockQuantizer(KernelBuilder &k, const Target &target, const QuantizeConfig &config, unsigned firstParam)
    : k(k), target(target), config(config), firstParam(firstParam), block(formatBlockSize(config.format)) {
  unsigned next = firstParam + 2;
  if (config.format == Format::NVFP4) {
    Val tensorAmax = k.load(k.f32(), k.param(next++), 4);
    Val scaled = k.minimum(k.cf(2688.0f) / tensorAmax, k.cf(kFloatMax));
    tensorScale = k.select(equals(tensorAmax, 0), k.cf(1.0f), k.select(equals(scaled, 0), k.cf(1.0f), scaled));
    inverseTensorScale = k.cf(1.0f) / tensorScale;
  }
  if (config.stochastic) {
    seed = k.load(k.i64(), k.param(next), 8);
    offset = k.load(k.i64(), k.param(next + 1), 8) + (static_cast<int64_t>(config.stream) << 56);
  }
}

/// Block scale and encode factor from the block's amax bits: numerics, section 2, in its order.
void BlockQuantizer::computeScale(Val amax) {
  isNonFinite = amax >= kInfinityBits;
  if (config.format == Format::MXFP4) {
    Val exponent = amax >> 23;
    scaleByte = k.select(isNonFinite, k.c32(0xff), k.select(exponent < 3, k.c32(0), exponent - 2));
    // 2^(127 - byte); a byte is at most 252, so the factor is a normal number.
    encodeScale = k.asFloat((k.c32(254) - scaleByte) << 23);
    return;
  }
  Val limit = k.cf(kFloatMax);
  Val decode = k.minimum(k.asFloat(amax) * (tensorScale * k.cf(1.0f / 6.0f)), limit);
  Val rounded = target.encodeE4M3(k, k.select(isNonFinite, k.cf(0.0f), decode));
  scaleByte = k.select(isNonFinite, k.c32(0x7f), rounded);
  encodeScale = k.minimum(k.cf(1.0f) / (target.decodeE4M3(k, rounded) * inverseTensorScale), limit);
}

/// Sixteen random bits for each element of the block: eight neighbours of a row share a Philox call (Numerics.h).
void BlockQuantizer::drawRandom(Val row, Val kBlock) {
  random.clear();
  for (int i = 0; i < block; i += 8) {
    Val group = kBlock * (block / 8) + i / 8;
    for (Val word : philox4x32(k, {group, row, k.truncate32(offset), k.truncate32(offset >> 32)}, seed))
      random.push_back(word);
  }
}

/// Eight codes from element `first` on, packed into a word.
Val BlockQuantizer::encodeEight(llvm::ArrayRef<Val> values, int first) {
  Val word;
  for (int i = 0; i < 8; i += 2) {
    Val low = values[first + i] * encodeScale, high = values[first + i + 1] * encodeScale;
    Val byte;
    if (config.stochastic) {
      Val bits = random[(first + i) / 2];
      byte = encodeE2M1Stochastic(k, low, bits) | (encodeE2M1Stochastic(k, high, bits >> 16) << 4);
    } else {
      byte = target.encodeE2M1Pair(k, low, high);
    }
    word = word ? word | (byte << (4 * i)) : byte;
  }
  // A block with a NaN scale has zero codes: what its elements would round to is not defined the same everywhere.
  return k.select(isNonFinite, k.c32(0), word);
}

void BlockQuantizer::quantize(llvm::ArrayRef<Val> values, Val amax, Val row, Val kBlock) {
  computeScale(amax);
  if (config.stochastic)
    drawRandom(row, kBlock);
  words.clear();
  for (int first = 0; first < block; first += 8)
    words.push_back(encodeEight(values, first));
}

void BlockQuantizer::storeCodes(Val exists, Val row, Val kBlock, Val sizeK) {
  // Codes are padded to 64 elements of K, scales to four blocks: they differ for blocks of 32.
  Val pitch = ((sizeK + 63) >> 6) << 5;
  Val column = kBlock * (block / 2);
  k.ifThen(k.logicalAnd(exists, column < pitch), [&] {
    k.store(k.pack(words), k.offset(k.param(firstParam), k.toI64(row) * k.toI64(pitch) + k.toI64(column)), block / 2);
  });
}

void BlockQuantizer::storeScale(Val rowExists, Val row, Val kBlock, Val sizeK, llvm::ArrayRef<int> laneMasks) {
  int gathered = 1 << laneMasks.size();
  Val byte = k.select(rowExists, scaleByte, k.c32(0));
  Val word = byte << ((kBlock & (gathered - 1)) << 3);
  for (int mask : laneMasks)
    word = word | k.shuffleXor(word, mask);
  Val tilesK = (sizeK + (4 * block - 1)) / (4 * block);
  Val inTile = row & 127;
  Val tile = k.toI64(row >> 7) * k.toI64(tilesK) + k.toI64(kBlock >> 2);
  Val address = k.offset(k.param(firstParam + 1), tile * 512 + k.toI64((inTile & 31) * 16 + (inTile >> 5) * 4 + (kBlock & 3)));
  k.ifThen(k.logicalAnd(equals(kBlock & (gathered - 1), 0), (kBlock >> 2) < tilesK), [&] {
    if (gathered == 4)
      k.store(word, address, 4);
    else
      k.store(k.wrap(arith::TruncIOp::create(k.ir(), k.loc(), k.i16(), word)), address, 2);
  });
}

} // namespace compiler
} // namespace fourfold
