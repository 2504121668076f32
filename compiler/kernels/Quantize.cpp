// Row kernels: quantize, amax, store.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A thread takes one block of one row: two 16-byte loads of bf16, 8 bytes of codes out. Four neighbours hold the four scales of a
// word of the tile order and gather them by shuffles, so that scales leave as whole words.

#include "compiler/kernels/Quantize.h"

#include "compiler/kernels/Philox.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int64_t kInfinityBits = 0x7f800000;
constexpr float kFloatMax = 3.402823466e+38f;

/// The largest magnitude of `values` as bits; at least kInfinityBits if one is NaN or infinite.
Val amaxBits(KernelBuilder &k, llvm::ArrayRef<Val> values) {
  Val result = k.asBits(values[0]) & 0x7fffffff;
  for (Val value : values.drop_front())
    result = umax(result, k.asBits(value) & 0x7fffffff);
  return result;
}

class QuantizeGenerator {
public:
  QuantizeGenerator(KernelBuilder &k, const Target &target, const RowSource &source, const QuantizeConfig &config)
      : k(k), target(target), source(source), config(config), block(formatBlockSize(config.format)),
        reader(k, source, 0) {}

  void build();

private:
  void placeThread();
  void computeScale(Val amax);
  Val encodeBlock(llvm::ArrayRef<Val> values, int first);
  void drawRandom();
  void storeScale();

  KernelBuilder &k;
  const Target &target;
  const RowSource &source;
  const QuantizeConfig &config;
  int block;
  RowReader reader;

  Val lane, row, kBlock, numBlocks; // numBlocks: K-blocks padded to 4
  Val scaleByte, encodeScale, isNonFinite;
  SmallVector<Val> random; // one word for two elements
};

} // namespace

/// Which block this thread takes. 16x16 blocks: a warp takes 16 rows by two K-blocks, so that a block's amax stays in the warp.
void QuantizeGenerator::placeThread() {
  Val thread = k.threadId();
  lane = thread & 31;
  numBlocks = ((reader.columns() + (4 * block - 1)) / (4 * block)) << 2;
  Val item = k.blockId(0) * kRowThreads + thread;
  if (config.blockRows == 1) {
    row = item / numBlocks;
    kBlock = item % numBlocks;
    return;
  }
  Val warpItem = item >> 5, pairs = numBlocks >> 1;
  row = (warpItem / pairs) * 16 + (lane >> 1);
  kBlock = (warpItem % pairs) * 2 + (lane & 1);
}

/// Block scale and encode factor from the block's amax bits: numerics, section 2, in its order.
void QuantizeGenerator::computeScale(Val amax) {
  isNonFinite = amax >= kInfinityBits;
  if (config.format == Format::MXFP4) {
    Val exponent = amax >> 23;
    scaleByte = k.select(isNonFinite, k.c32(0xff), k.select(exponent < 3, k.c32(0), exponent - 2));
    // 2^(127 - byte); a byte is at most 252, so the factor is a normal number.
    encodeScale = k.asFloat((k.c32(254) - scaleByte) << 23);
    return;
  }
  unsigned amaxParam = static_cast<unsigned>(source.paramTypes(k.context()).size()) + 2;
  Val tensorAmax = k.load(k.f32(), k.param(amaxParam), 4);
  Val limit = k.cf(kFloatMax);
  Val scaled = k.minimum(k.cf(2688.0f) / tensorAmax, limit);
  Val tensorScale = k.select(equals(tensorAmax, 0), k.cf(1.0f), k.select(equals(scaled, 0), k.cf(1.0f), scaled));
  Val decode = k.minimum(k.asFloat(amax) * (tensorScale * k.cf(1.0f / 6.0f)), limit);
  Val rounded = target.encodeE4M3(k, k.select(isNonFinite, k.cf(0.0f), decode));
  scaleByte = k.select(isNonFinite, k.c32(0x7f), rounded);
  encodeScale = k.minimum(k.cf(1.0f) / (target.decodeE4M3(k, rounded) * (k.cf(1.0f) / tensorScale)), limit);
}

/// Sixteen random bits for each element of the block: eight neighbours of a row share a Philox call (Numerics.h).
void QuantizeGenerator::drawRandom() {
  unsigned first = static_cast<unsigned>(source.paramTypes(k.context()).size()) + (config.format == Format::NVFP4 ? 3 : 2);
  Val seed = k.load(k.i64(), k.param(first), 8), offset = k.load(k.i64(), k.param(first + 1), 8);
  for (int i = 0; i < block; i += 8) {
    Val group = kBlock * (block / 8) + i / 8;
    for (Val word : philox4x32(k, {group, row, k.truncate32(offset), k.truncate32(offset >> 32)}, seed))
      random.push_back(word);
  }
}

/// Eight codes from element `first` on, packed into a word.
Val QuantizeGenerator::encodeBlock(llvm::ArrayRef<Val> values, int first) {
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

/// Gathers the scales that share a word (or half a word) of the tile order and stores them.
void QuantizeGenerator::storeScale() {
  Val scales = k.param(static_cast<unsigned>(source.paramTypes(k.context()).size()) + 1);
  Val byte = k.select(row < reader.rows(), scaleByte, k.c32(0));
  int gathered = config.blockRows == 1 ? 4 : 2;
  Val word = byte << ((kBlock & (gathered - 1)) << 3);
  for (int mask = 1; mask < gathered; mask *= 2)
    word = word | k.shuffleXor(word, mask);
  Val inTile = row & 127;
  Val tile = k.toI64(row >> 7) * k.toI64(numBlocks >> 2) + k.toI64(kBlock >> 2);
  Val address = k.offset(scales, tile * 512 + k.toI64((inTile & 31) * 16 + (inTile >> 5) * 4 + (kBlock & 3)));
  k.ifThen(equals(lane & (gathered - 1), 0), [&] {
    if (gathered == 4)
      k.store(word, address, 4);
    else
      k.store(k.wrap(arith::TruncIOp::create(k.ir(), k.loc(), k.i16(), word)), address, 2);
  });
}

void QuantizeGenerator::build() {
  placeThread();
  SmallVector<Val> values = reader.read(row, kBlock * block, block);
  Val amax = amaxBits(k, values);
  if (config.blockRows == 16)
    for (int mask = 2; mask < 32; mask *= 2)
      amax = umax(amax, k.shuffleXor(amax, mask));
  computeScale(amax);
  if (config.stochastic)
    drawRandom();
  SmallVector<Val> words;
  for (int first = 0; first < block; first += 8)
    words.push_back(encodeBlock(values, first));
  storeScale();

  // Codes are padded to 64 elements of K, scales to four blocks: they differ for blocks of 32.
  Val codes = k.param(static_cast<unsigned>(source.paramTypes(k.context()).size()));
  Val pitch = ((reader.columns() + 63) >> 6) << 5;
  Val column = kBlock * (block / 2);
  k.ifThen(k.logicalAnd(row < reader.rows(), column < pitch), [&] {
    k.store(k.pack(words), k.offset(codes, k.toI64(row) * k.toI64(pitch) + k.toI64(column)), block / 2);
  });
}

void buildQuantize(gpu::GPUModuleOp module, llvm::StringRef name, const Target &target, const RowSource &source,
                   const QuantizeConfig &config) {
  SmallVector<Type> params = source.paramTypes(module.getContext());
  int pointers = 2 + (config.format == Format::NVFP4 ? 1 : 0) + (config.stochastic ? 2 : 0);
  params.append(pointers, LLVM::LLVMPointerType::get(module.getContext(), 1));
  KernelBuilder k(module, name, params, kRowThreads);
  QuantizeGenerator(k, target, source, config).build();
  k.finish();
}

/// Row and first column of this thread's sixteen elements; `exists` is false past the last row.
static std::pair<Val, Val> placeSixteen(KernelBuilder &k, const RowReader &reader) {
  Val item = k.blockId(0) * kRowThreads + k.threadId();
  Val perRow = (reader.columns() + 15) / 16;
  return {item / perRow, (item % perRow) * 16};
}

void buildAmax(gpu::GPUModuleOp module, llvm::StringRef name, const RowSource &source) {
  SmallVector<Type> params = source.paramTypes(module.getContext());
  unsigned amaxParam = static_cast<unsigned>(params.size());
  params.push_back(LLVM::LLVMPointerType::get(module.getContext(), 1));
  KernelBuilder k(module, name, params, kRowThreads);
  RowReader reader(k, source, 0);
  auto [row, column] = placeSixteen(k, reader);
  Val amax = k.c32(0);
  for (Val value : reader.read(row, column, 16)) {
    Val bits = k.asBits(value) & 0x7fffffff;
    amax = umax(amax, k.select(bits < kInfinityBits, bits, k.c32(0)));
  }
  for (int mask = 1; mask < 32; mask *= 2)
    amax = umax(amax, k.shuffleXor(amax, mask));
  // One atomic a warp that has something to say: maxima of bits commute, so the result does not depend on the order.
  k.ifThen(k.logicalAnd(equals(k.threadId() & 31, 0), k.c32(0) < amax),
           [&] { k.atomicMaxU32(k.param(amaxParam), amax); });
  k.finish();
}

void buildStoreRows(gpu::GPUModuleOp module, llvm::StringRef name, const RowSource &source, Type elementType) {
  SmallVector<Type> params = source.paramTypes(module.getContext());
  unsigned toParam = static_cast<unsigned>(params.size());
  params.push_back(LLVM::LLVMPointerType::get(module.getContext(), 1));
  KernelBuilder k(module, name, params, kRowThreads);
  RowReader reader(k, source, 0);
  auto [row, column] = placeSixteen(k, reader);
  SmallVector<Val> values = reader.read(row, column, 16);
  if (!elementType.isF32())
    for (Val &value : values)
      value = k.wrap(arith::TruncFOp::create(k.ir(), k.loc(), elementType, static_cast<Value>(value)));
  Val valid = k.select(row < reader.rows(), reader.columns() - column, k.c32(0));
  int perVector = 16 / elementBytes(elementType);
  Val full = k.logicalAnd(valid >= 16, equals(reader.columns() & (perVector - 1), 0));
  Val index = k.toI64(row) * k.toI64(reader.columns()) + k.toI64(column);
  storeElements(k, k.param(toParam), index, values, full, valid);
  k.finish();
}

} // namespace compiler
} // namespace fourfold
