// Matrix times vector.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/Matvec.h"

#include "compiler/kernels/ElementRegion.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kGroup = 8;    // consecutive elements a partial sum takes at a time
constexpr int kPartials = 32;
constexpr int kWarps = 8;

struct Operands {
  Val matrix, vector, out, rows, columns;
};

/// A warp a row: lane l is partial sum l, so that neighbours read neighbouring 16 bytes.
void contractColumns(KernelBuilder &k, Type elementType, const Operands &operands) {
  Val thread = k.threadId(), lane = thread & 31;
  Val row = k.blockId(0) * kMatvecRows + (thread >> 5);
  k.ifThen(row < operands.rows, [&] {
    int perVector = 16 / elementBytes(elementType);
    Val aligned = equals(operands.columns & (perVector - 1), 0);
    Val sum = k.forLoop(
        lane * kGroup, operands.columns, k.c32(kPartials * kGroup), {k.cf(0.0f)},
        [&](Val column, llvm::ArrayRef<Val> carried) {
          Val valid = operands.columns - column;
          Val full = k.logicalAnd(valid >= kGroup, aligned);
          Val index = k.toI64(row) * k.toI64(operands.columns) + k.toI64(column);
          SmallVector<Val> weights = loadElements(k, elementType, operands.matrix, index, kGroup, full, valid);
          SmallVector<Val> values = loadElements(k, k.f32(), operands.vector, k.toI64(column), kGroup, full, valid);
          Val sum = carried[0];
          for (int i = 0; i < kGroup; ++i)
            sum = k.fma(toF32(k, weights[i]), values[i], sum);
          return SmallVector<Val>{sum};
        })[0];
    for (int mask = 16; mask >= 1; mask /= 2)
      sum = sum + k.shuffleXor(sum, mask);
    k.ifThen(equals(lane, 0), [&] { k.store(sum, k.offset(operands.out, k.toI64(row) * 4), 4); });
  });
}

/// A lane a column, so that a warp reads neighbouring elements of a row: warp w keeps partial sums 4w .. 4w + 3.
void contractRows(KernelBuilder &k, Type elementType, const Operands &operands) {
  Val thread = k.threadId(), lane = thread & 31, warp = thread >> 5;
  Val column = k.blockId(0) * kMatvecColumns + lane;
  Val exists = column < operands.columns;
  Val shared = k.shared();
  constexpr int kPerWarp = kPartials / kWarps;
  for (int i = 0; i < kPerWarp; ++i) {
    Val partial = warp * kPerWarp + i;
    Val sum = k.forLoop(partial * kGroup, operands.rows, k.c32(kPartials * kGroup), {k.cf(0.0f)},
                        [&](Val firstRow, llvm::ArrayRef<Val> carried) {
                          Val left = operands.rows - firstRow;
                          Val end = firstRow + k.select(left < kGroup, left, k.c32(kGroup));
                          return k.forLoop(firstRow, end, k.c32(1), carried, [&](Val row, llvm::ArrayRef<Val> inner) {
                            Val index = k.toI64(row) * k.toI64(operands.columns) + k.toI64(column);
                            Val weight = loadElements(k, elementType, operands.matrix, index, 1, exists, k.c32(0))[0];
                            Val value = k.load(k.f32(), k.offset(operands.vector, k.toI64(row) * 4), 4);
                            return SmallVector<Val>{k.fma(toF32(k, weight), value, inner[0])};
                          });
                        })[0];
    k.store(sum, k.offset(shared, (partial * kMatvecColumns + lane) * 4), 4);
  }
  k.barrier();
  k.ifThen(k.logicalAnd(equals(warp, 0), exists), [&] {
    // The butterfly of strides 16 .. 1 as lane 0 sees it.
    SmallVector<Val> partials;
    for (int i = 0; i < kPartials; ++i)
      partials.push_back(k.load(k.f32(), k.offset(k.offset(shared, lane * 4), i * kMatvecColumns * 4), 4));
    for (int stride = 16; stride >= 1; stride /= 2)
      for (int i = 0; i < stride; ++i)
        partials[i] = partials[i] + partials[i + stride];
    k.store(partials[0], k.offset(operands.out, k.toI64(column) * 4), 4);
  });
}

} // namespace

void buildMatvec(KernelModule module, llvm::StringRef name, Type elementType, int axis) {
  auto global = globalPointerType(module->getContext());
  auto i32 = IntegerType::get(module->getContext(), 32);
  KernelBuilder k(module, name, {global, global, global, i32, i32}, kWarps * 32);
  Operands operands = {k.param(0), k.param(1), k.param(2), k.param(3), k.param(4)};
  if (axis == 1)
    contractColumns(k, elementType, operands);
  else
    contractRows(k, elementType, operands);
  k.finish();
}

} // namespace compiler
} // namespace fourfold
