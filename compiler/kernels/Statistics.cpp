// Column statistics in two levels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/Statistics.h"

#include <limits>

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kChunkRows = 128; // Numerics.h, kSumChunkRows
constexpr int kWarps = 8;       // Numerics.h, kSumLanes: warp w adds rows w, w + 8, ...
constexpr int kPerLane = 8;
constexpr int kQuantities = 3; // sum, min, max
// Words of shared memory: the distance of a lane's two halves, and of one warp's row to the next.
constexpr int kHalf = kStatisticsColumns / 2 + 16;
constexpr int kPitch = kStatisticsColumns + 16;
static_assert(kPitch * kWarps * kQuantities * 4 == kStatisticsSharedBytes);

Val combine(KernelBuilder &k, int quantity, Val lhs, Val rhs) {
  return quantity == 0 ? lhs + rhs : quantity == 1 ? k.minimum(lhs, rhs) : k.maximum(lhs, rhs);
}

} // namespace

void buildColumnPartials(gpu::GPUModuleOp module, llvm::StringRef name, const RowSource &source) {
  SmallVector<Type> params = source.paramTypes(module.getContext());
  unsigned partialsParam = static_cast<unsigned>(params.size());
  params.push_back(LLVM::LLVMPointerType::get(module.getContext(), 1));
  KernelBuilder k(module, name, params, kWarps * 32);
  RowReader reader(k, source, 0);

  Val thread = k.threadId(), lane = thread & 31, warp = thread >> 5;
  Val firstColumn = k.blockId(0) * kStatisticsColumns, chunk = k.blockId(1);
  Val column = firstColumn + lane * kPerLane;
  Val firstRow = chunk * kChunkRows;
  Val rowsLeft = reader.rows() - firstRow;
  Val endRow = firstRow + k.select(rowsLeft < kChunkRows, rowsLeft, k.c32(kChunkRows));

  constexpr float infinity = std::numeric_limits<float>::infinity();
  SmallVector<Val> initial;
  for (float start : {0.0f, infinity, -infinity})
    initial.append(kPerLane, k.cf(start));
  SmallVector<Val> sums =
      k.forLoop(firstRow + warp, endRow, k.c32(kWarps), initial, [&](Val row, llvm::ArrayRef<Val> carried) {
        SmallVector<Val> values = reader.read(row, column, kPerLane);
        SmallVector<Val> next;
        for (int quantity = 0; quantity < kQuantities; ++quantity)
          for (int i = 0; i < kPerLane; ++i)
            next.push_back(combine(k, quantity, carried[quantity * kPerLane + i], values[i]));
        return next;
      });

  // [quantity][warp][half][lane][4]: a lane's eight columns are stored as two halves far apart, the second shifted by 16 banks, so that
  // neither the 16-byte stores nor the reads by column meet in a bank.
  Val shared = k.shared();
  for (int quantity = 0; quantity < kQuantities; ++quantity)
    for (int half = 0; half < 2; ++half) {
      Val word = (warp + quantity * kWarps) * kPitch + lane * 4 + half * kHalf;
      k.store(k.pack(llvm::ArrayRef<Val>(sums).slice(quantity * kPerLane + half * 4, 4)), k.offset(shared, word * 4), 16);
    }
  k.barrier();
  Val mine = firstColumn + thread;
  k.ifThen(mine < reader.columns(), [&] {
    for (int quantity = 0; quantity < kQuantities; ++quantity) {
      Val total;
      for (int w = 0; w < kWarps; ++w) {
        Val word = ((thread >> 2) & 1) * kHalf + (thread >> 3) * 4 + (thread & 3);
        Val value = k.load(k.f32(), k.offset(k.offset(shared, word * 4), (quantity * kWarps + w) * kPitch * 4), 4);
        total = w == 0 ? value : combine(k, quantity, total, value);
      }
      Val index = (k.toI64(chunk) * kQuantities + quantity) * k.toI64(reader.columns()) + k.toI64(mine);
      k.store(total, k.offset(k.param(partialsParam), index * 4), 4);
    }
  });
  k.finish();
}

void buildFinalizeColumns(gpu::GPUModuleOp module, llvm::StringRef name, bool mean, bool amax) {
  auto global = LLVM::LLVMPointerType::get(module.getContext(), 1);
  auto i32 = IntegerType::get(module.getContext(), 32);
  SmallVector<Type> params(amax ? 3 : 2, global);
  params.append(2, i32);
  KernelBuilder k(module, name, params, kFinalizeThreads);
  unsigned next = amax ? 3 : 2;
  Val rows = k.param(next), columns = k.param(next + 1);
  Val column = k.blockId(0) * kFinalizeThreads + k.threadId();
  Val numChunks = (rows + (kChunkRows - 1)) / kChunkRows;

  auto loadPartial = [&](Val chunk, int quantity) {
    Val index = (k.toI64(chunk) * kQuantities + quantity) * k.toI64(columns) + k.toI64(column);
    return k.load(k.f32(), k.offset(k.param(0), index * 4), 4);
  };
  int quantities = amax ? kQuantities : 1;
  auto largest = k.ifElse(
      column < columns, k.i32(),
      [&] {
        SmallVector<Val> first;
        for (int quantity = 0; quantity < quantities; ++quantity)
          first.push_back(loadPartial(k.c32(0), quantity));
        SmallVector<Val> totals = k.forLoop(k.c32(1), numChunks, k.c32(1), first, [&](Val chunk, llvm::ArrayRef<Val> sum) {
          SmallVector<Val> next;
          for (int quantity = 0; quantity < quantities; ++quantity)
            next.push_back(combine(k, quantity, sum[quantity], loadPartial(chunk, quantity)));
          return next;
        });
        Val result = mean ? totals[0] / k.intToFloat(rows) : totals[0];
        k.store(result, k.offset(k.param(1), k.toI64(column) * 4), 4);
        Val bits = k.c32(0);
        for (int quantity = 1; quantity < quantities; ++quantity) {
          Val magnitude = k.asBits(totals[quantity] - result) & 0x7fffffff;
          bits = umax(bits, k.select(magnitude < 0x7f800000, magnitude, k.c32(0)));
        }
        return SmallVector<Val>{bits};
      },
      [&] { return SmallVector<Val>{k.c32(0)}; });
  if (amax) {
    Val bits = largest[0];
    for (int mask = 1; mask < 32; mask *= 2)
      bits = umax(bits, k.shuffleXor(bits, mask));
    k.ifThen(k.logicalAnd(equals(k.threadId() & 31, 0), k.c32(0) < bits), [&] { k.atomicMaxU32(k.param(2), bits); });
  }
  k.finish();
}

} // namespace compiler
} // namespace fourfold
