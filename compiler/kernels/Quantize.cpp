// Row kernels: quantize, amax, store.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A thread takes one block of one row: two 16-byte loads of bf16, 8 bytes of codes out. Four neighbours hold the four scales of a
// word of the tile order and gather them by shuffles, so that scales leave as whole words.

#include "compiler/kernels/Quantize.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

void buildQuantize(KernelModule module, llvm::StringRef name, const Target &target, const RowSource &source,
                   const QuantizeConfig &config) {
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned firstParam = static_cast<unsigned>(params.size());
  params.append(config.numParams(), globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kRowThreads);
  RowReader reader(k, source, 0);
  BlockQuantizer quantizer(k, target, config, firstParam);
  int block = quantizer.blockSize();

  Val thread = k.threadId(), lane = thread & 31;
  Val numBlocks = ((reader.columns() + (4 * block - 1)) / (4 * block)) << 2; // padded to 4
  Val item = k.blockId(0) * kRowThreads + thread;
  Val row = item / numBlocks, kBlock = item % numBlocks;
  if (config.blockRows == 16) {
    // A warp takes 16 rows by two K-blocks, so that a block's amax stays in the warp.
    Val warpItem = item >> 5, pairs = numBlocks >> 1;
    row = (warpItem / pairs) * 16 + (lane >> 1);
    kBlock = (warpItem % pairs) * 2 + (lane & 1);
  }
  SmallVector<Val> values = reader.read(row, kBlock * block, block);
  if (!config.hadamardSigns.empty())
    applyHadamard(k, values, config.hadamardSigns);
  Val amax = amaxBits(k, values);
  if (config.blockRows == 16)
    for (int mask = 2; mask < 32; mask *= 2)
      amax = umax(amax, k.shuffleXor(amax, mask));
  quantizer.quantize(values, amax, row, kBlock);
  Val exists = row < reader.rows();
  static constexpr int kNeighbours[] = {1, 2};
  quantizer.storeScale(exists, row, kBlock, reader.columns(),
                       llvm::ArrayRef(kNeighbours).take_front(config.blockRows == 16 ? 1 : 2));
  quantizer.storeCodes(exists, row, kBlock, reader.columns());
  k.finish();
}

/// Row and first column of this thread's sixteen elements; `exists` is false past the last row.
static std::pair<Val, Val> placeSixteen(KernelBuilder &k, const RowReader &reader) {
  Val item = k.blockId(0) * kRowThreads + k.threadId();
  Val perRow = (reader.columns() + 15) / 16;
  return {item / perRow, (item % perRow) * 16};
}

void buildAmax(KernelModule module, llvm::StringRef name, const RowSource &source, llvm::ArrayRef<int> hadamardSigns) {
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned amaxParam = static_cast<unsigned>(params.size());
  params.push_back(globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kRowThreads);
  RowReader reader(k, source, 0);
  auto [row, column] = placeSixteen(k, reader);
  SmallVector<Val> values = reader.read(row, column, 16);
  if (!hadamardSigns.empty())
    applyHadamard(k, values, hadamardSigns);
  publishAmax(k, finiteAmax(k, values, k.c32(0)), k.param(amaxParam));
  k.finish();
}

void buildStoreRows(KernelModule module, llvm::StringRef name, const RowSource &source,
                    llvm::ArrayRef<int> hadamardSigns, Type elementType) {
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned toParam = static_cast<unsigned>(params.size());
  params.push_back(globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kRowThreads);
  RowReader reader(k, source, 0);
  auto [row, column] = placeSixteen(k, reader);
  SmallVector<Val> values = reader.read(row, column, 16);
  if (!hadamardSigns.empty())
    applyHadamard(k, values, hadamardSigns);
  if (!elementType.isF32())
    for (Val &value : values)
      value = k.wrap(arith::TruncFOp::create(k.ir(), k.loc(), elementType, static_cast<Value>(value)));
  Val columns = hadamardSigns.empty() ? reader.columns() : ((reader.columns() + 15) >> 4) << 4;
  Val valid = k.select(row < reader.rows(), columns - column, k.c32(0));
  int perVector = 16 / elementBytes(elementType);
  Val full = k.logicalAnd(valid >= 16, equals(columns & (perVector - 1), 0));
  Val index = k.toI64(row) * k.toI64(columns) + k.toI64(column);
  storeElements(k, k.param(toParam), index, values, full, valid);
  k.finish();
}

void buildCopy(KernelModule module, llvm::StringRef name, int bytes) {
  auto global = globalPointerType(module->getContext());
  auto i64 = IntegerType::get(module->getContext(), 64);
  KernelBuilder k(module, name, {global, global, i64}, kRowThreads);
  Val item = k.toI64(k.blockId(0)) * kRowThreads + k.toI64(k.threadId());
  Type type = k.ir().getIntegerType(8 * static_cast<unsigned>(bytes));
  k.ifThen(item < k.param(2), [&] {
    k.store(k.load(type, k.offset(k.param(0), item * bytes), bytes), k.offset(k.param(1), item * bytes), bytes);
  });
  k.finish();
}

} // namespace compiler
} // namespace fourfold
