// Codes and scales back to fp32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/Dequantize.h"

#include "compiler/kernels/ElementRegion.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

/// The f32 value of an e2m1 code: a subnormal's one bit is worth a half, the others are an fp32's fields with another bias.
static Val decodeE2M1(KernelBuilder &k, Val code) {
  Val magnitude = code & 7;
  Val normal = (magnitude << 22) + (int64_t{126} << 23);
  Val bits = k.select(magnitude < 2, k.select(equals(magnitude, 0), k.c32(0), k.c32(0x3f000000)), normal);
  return k.asFloat(bits | ((code & 8) << 28));
}

static Val decodeScale(KernelBuilder &k, const Target &target, Format format, Val byte) {
  Val notANumber = k.asFloat(k.c32(0x7fffffff));
  if (format == Format::NVFP4)
    return k.select(equals(byte, 0x7f), notANumber, target.decodeE4M3(k, byte));
  Val value = k.asFloat(k.select(equals(byte, 0), k.c32(0x00400000), byte << 23));
  return k.select(equals(byte, 0xff), notANumber, value);
}

void buildDequantize(KernelModule module, llvm::StringRef name, const Target &target, Format format, int axis) {
  auto global = globalPointerType(module->getContext());
  auto i32 = IntegerType::get(module->getContext(), 32);
  bool isNVFP4 = format == Format::NVFP4;
  SmallVector<Type> params(isNVFP4 ? 4 : 3, global);
  params.append(2, i32);
  KernelBuilder k(module, name, params, kDequantizeThreads);
  unsigned next = isNVFP4 ? 3 : 2;
  Val out = k.param(next), rows = k.param(next + 1), sizeK = k.param(next + 2);
  int block = formatBlockSize(format);
  Val numBlocks = (sizeK + (block - 1)) / block;
  Val item = k.blockId(0) * kDequantizeThreads + k.threadId();
  // Neighbouring lanes write neighbouring elements: blocks of a row, or rows of a block.
  Val row = axis == 1 ? item / numBlocks : item % rows;
  Val kBlock = axis == 1 ? item % numBlocks : item / rows;
  k.ifThen(k.logicalAnd(row < rows, kBlock < numBlocks), [&] {
    Val pitch = ((sizeK + 63) >> 6) << 5, tilesK = (numBlocks + 3) / 4;
    Val inTile = row & 127;
    Val tile = k.toI64(row >> 7) * k.toI64(tilesK) + k.toI64(kBlock >> 2);
    Val scalePlace = tile * 512 + k.toI64((inTile & 31) * 16 + (inTile >> 5) * 4 + (kBlock & 3));
    Val scale = decodeScale(k, target, format, k.zext32(k.load(k.i8(), k.offset(k.param(1), scalePlace), 1)));
    Val inverse;
    if (isNVFP4) {
      Val amax = k.load(k.f32(), k.param(2), 4);
      Val scaled = k.minimum(k.cf(2688.0f) / amax, k.cf(3.402823466e+38f));
      inverse = k.cf(1.0f) / k.select(equals(amax, 0), k.cf(1.0f), k.select(equals(scaled, 0), k.cf(1.0f), scaled));
    }
    Val words = k.load(k.vec(block / 8, k.i32()),
                       k.offset(k.param(0), k.toI64(row) * k.toI64(pitch) + k.toI64(kBlock * (block / 2))), block / 2);
    SmallVector<Val> values;
    for (int i = 0; i < block; ++i) {
      Val value = decodeE2M1(k, (k.extract(words, i / 8) >> (4 * (i % 8))) & 15) * scale;
      values.push_back(isNVFP4 ? value * inverse : value);
    }
    Val firstK = kBlock * block, valid = sizeK - firstK;
    if (axis == 1) {
      Val index = k.toI64(row) * k.toI64(sizeK) + k.toI64(firstK);
      storeElements(k, out, index, values, k.logicalAnd(valid >= block, equals(sizeK & 3, 0)), valid);
      return;
    }
    for (int i = 0; i < block; ++i)
      k.ifThen(k.c32(i) < valid, [&] {
        k.store(values[i], k.offset(out, (k.toI64(firstK + i) * k.toI64(rows) + k.toI64(row)) * 4), 4);
      });
  });
  k.finish();
}

} // namespace compiler
} // namespace fourfold
