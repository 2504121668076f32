// Column statistics in two levels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/Statistics.h"

#include "compiler/kernels/BlockQuantizer.h"

#include <limits>

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kChunkRows = 128; // Numerics.h, kSumChunkRows
constexpr int kWarps = 8;       // Numerics.h, kSumLanes: warp w adds rows w, w + 8, ...
constexpr int kPerLane = 8;
constexpr int kExtremes = 3;   // sum, min, max
constexpr int kCounted = 4;    // and how many rows were kept, where some may be masked
// Words of shared memory: the distance of a lane's two halves, and of one warp's row to the next.
constexpr int kHalf = kStatisticsColumns / 2 + 16;
constexpr int kPitch = kStatisticsColumns + 16;
static_assert(kPitch * kWarps * kExtremes * 4 == statisticsSharedBytes(false));
static_assert(kPitch * kWarps * kCounted * 4 == statisticsSharedBytes(true));

Val combine(KernelBuilder &k, int quantity, Val lhs, Val rhs) {
  return quantity == 0 || quantity == 3 ? lhs + rhs : quantity == 1 ? k.minimum(lhs, rhs) : k.maximum(lhs, rhs);
}

} // namespace

void buildColumnPartials(KernelModule module, llvm::StringRef name, const RowSource &source) {
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned partialsParam = static_cast<unsigned>(params.size());
  params.push_back(globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kWarps * 32);
  RowReader reader(k, source, 0);

  Val thread = k.threadId(), lane = thread & 31, warp = thread >> 5;
  Val firstColumn = k.blockId(0) * kStatisticsColumns, chunk = k.blockId(1);
  Val column = firstColumn + lane * kPerLane;
  Val firstRow = chunk * kChunkRows;
  Val rowsLeft = reader.rows() - firstRow;
  Val endRow = firstRow + k.select(rowsLeft < kChunkRows, rowsLeft, k.c32(kChunkRows));

  const int quantities = source.masked ? kCounted : kExtremes;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  SmallVector<Val> initial;
  const float starts[kCounted] = {0.0f, infinity, -infinity, 0.0f};
  for (int quantity = 0; quantity < quantities; ++quantity)
    initial.append(kPerLane, k.cf(starts[quantity]));
  SmallVector<Val> sums =
      k.forLoop(firstRow + warp, endRow, k.c32(kWarps), initial, [&](Val row, llvm::ArrayRef<Val> carried) {
        SmallVector<Val> values = reader.read(row, column, kPerLane);
        // A masked row reads as zeros, which add nothing but are no extremes.
        Val kept = source.masked ? reader.isKept(row) : Val();
        SmallVector<Val> next;
        for (int quantity = 0; quantity < quantities; ++quantity)
          for (int i = 0; i < kPerLane; ++i) {
            Val value = values[i];
            if (quantity == 3)
              value = k.select(kept, k.cf(1.0f), k.cf(0.0f));
            else if (quantity != 0 && kept)
              value = k.select(kept, value, k.cf(starts[quantity]));
            next.push_back(combine(k, quantity, carried[quantity * kPerLane + i], value));
          }
        return next;
      });

  // [quantity][warp][half][lane][4]: a lane's eight columns are stored as two halves far apart, the second shifted by 16 banks, so that
  // neither the 16-byte stores nor the reads by column meet in a bank.
  Val shared = k.shared();
  for (int quantity = 0; quantity < quantities; ++quantity)
    for (int half = 0; half < 2; ++half) {
      Val word = (warp + quantity * kWarps) * kPitch + lane * 4 + half * kHalf;
      k.store(k.pack(llvm::ArrayRef<Val>(sums).slice(quantity * kPerLane + half * 4, 4)), k.offset(shared, word * 4), 16);
    }
  k.barrier();
  Val mine = firstColumn + thread;
  k.ifThen(mine < reader.columns(), [&] {
    for (int quantity = 0; quantity < quantities; ++quantity) {
      Val total;
      for (int w = 0; w < kWarps; ++w) {
        Val word = ((thread >> 2) & 1) * kHalf + (thread >> 3) * 4 + (thread & 3);
        Val value = k.load(k.f32(), k.offset(k.offset(shared, word * 4), (quantity * kWarps + w) * kPitch * 4), 4);
        total = w == 0 ? value : combine(k, quantity, total, value);
      }
      Val index = (k.toI64(chunk) * quantities + quantity) * k.toI64(reader.columns()) + k.toI64(mine);
      k.store(total, k.offset(k.param(partialsParam), index * 4), 4);
    }
  });
  k.finish();
}

namespace {

/// Adds up the chunks of one column: a thread a column.
class ChunkReader {
public:
  ChunkReader(KernelBuilder &k, Val partials, Val rows, Val columns, Val column, bool counted)
      : k(k), partials(partials), rows(rows), columns(columns), column(column), stride(counted ? kCounted : kExtremes) {}

  /// The totals of these quantities, chunks in order.
  SmallVector<Val> totals(llvm::ArrayRef<int> quantities) {
    SmallVector<Val> first;
    for (int quantity : quantities)
      first.push_back(load(k.c32(0), quantity));
    Val numChunks = (rows + (kChunkRows - 1)) / kChunkRows;
    return k.forLoop(k.c32(1), numChunks, k.c32(1), first, [&](Val chunk, llvm::ArrayRef<Val> sums) {
      SmallVector<Val> next;
      for (auto [quantity, sum] : llvm::zip(quantities, sums))
        next.push_back(combine(k, quantity, sum, load(chunk, quantity)));
      return next;
    });
  }

private:
  Val load(Val chunk, int quantity) {
    Val index = (k.toI64(chunk) * stride + quantity) * k.toI64(columns) + k.toI64(column);
    return k.load(k.f32(), k.offset(partials, index * 4), 4);
  }

  KernelBuilder &k;
  Val partials, rows, columns, column;
  int stride;
};

/// Sum over count; the mean of no rows is 0: a batch that is all padding must not poison what it is added to.
Val meanOf(KernelBuilder &k, Val sum, Val count) {
  return k.select(k.cf(0.0f) < count, sum / count, k.cf(0.0f));
}

/// Bits of the largest finite |x - mean| of a column.
Val residualAmaxBits(KernelBuilder &k, Val least, Val greatest, Val mean) {
  Val bits = k.c32(0);
  for (Val extreme : {least, greatest}) {
    Val magnitude = k.asBits(extreme - mean) & 0x7fffffff;
    bits = umax(bits, k.select(magnitude < 0x7f800000, magnitude, k.c32(0)));
  }
  return bits;
}

} // namespace

void buildColumnTotals(KernelModule module, llvm::StringRef name, bool counted) {
  auto global = globalPointerType(module->getContext());
  auto i32 = IntegerType::get(module->getContext(), 32);
  KernelBuilder k(module, name, {global, global, i32, i32}, kFinalizeThreads);
  Val rows = k.param(2), columns = k.param(3);
  Val column = k.blockId(0) * kFinalizeThreads + k.threadId();
  k.ifThen(column < columns, [&] {
    ChunkReader reader(k, k.param(0), rows, columns, column, counted);
    SmallVector<Val> totals = counted ? reader.totals({0, 1, 2, 3}) : reader.totals({0, 1, 2});
    // Greatest, and least as a greatest: one maximum over ranks serves both.
    Val out[4] = {totals[0], counted ? totals[3] : k.intToFloat(rows), totals[2], k.cf(0.0f) - totals[1]};
    for (int i = 0; i < 4; ++i)
      k.store(out[i], k.offset(k.param(1), (k.toI64(columns) * i + k.toI64(column)) * 4), 4);
  });
  k.finish();
}

void buildMeanOfTotals(KernelModule module, llvm::StringRef name, bool amax) {
  auto global = globalPointerType(module->getContext());
  SmallVector<Type> params(amax ? 3 : 2, global);
  params.push_back(IntegerType::get(module->getContext(), 32));
  KernelBuilder k(module, name, params, kFinalizeThreads);
  Val columns = k.param(amax ? 3 : 2);
  Val column = k.blockId(0) * kFinalizeThreads + k.threadId();
  auto load = [&](int quantity) {
    return k.load(k.f32(), k.offset(k.param(0), (k.toI64(columns) * quantity + k.toI64(column)) * 4), 4);
  };
  auto bits = k.ifElse(
      column < columns, k.i32(),
      [&] {
        Val mean = meanOf(k, load(0), load(1));
        k.store(mean, k.offset(k.param(1), k.toI64(column) * 4), 4);
        return SmallVector<Val>{amax ? residualAmaxBits(k, k.cf(0.0f) - load(3), load(2), mean) : k.c32(0)};
      },
      [&] { return SmallVector<Val>{k.c32(0)}; });
  if (amax)
    publishAmax(k, bits[0], k.param(2));
  k.finish();
}

void buildFinalizeColumns(KernelModule module, llvm::StringRef name, bool mean, bool amax, bool counted) {
  auto global = globalPointerType(module->getContext());
  auto i32 = IntegerType::get(module->getContext(), 32);
  SmallVector<Type> params(amax ? 3 : 2, global);
  params.append(2, i32);
  KernelBuilder k(module, name, params, kFinalizeThreads);
  unsigned next = amax ? 3 : 2;
  Val rows = k.param(next), columns = k.param(next + 1);
  Val column = k.blockId(0) * kFinalizeThreads + k.threadId();

  SmallVector<int> quantities = {0};
  if (amax)
    quantities.append({1, 2});
  if (mean && counted)
    quantities.push_back(3);
  auto largest = k.ifElse(
      column < columns, k.i32(),
      [&] {
        SmallVector<Val> totals =
            ChunkReader(k, k.param(0), rows, columns, column, counted).totals(quantities);
        Val result = !mean     ? totals[0]
                     : counted ? meanOf(k, totals[0], totals.back())
                               : totals[0] / k.intToFloat(rows);
        k.store(result, k.offset(k.param(1), k.toI64(column) * 4), 4);
        return SmallVector<Val>{amax ? residualAmaxBits(k, totals[1], totals[2], result) : k.c32(0)};
      },
      [&] { return SmallVector<Val>{k.c32(0)}; });
  if (amax)
    publishAmax(k, largest[0], k.param(2));
  k.finish();
}

} // namespace compiler
} // namespace fourfold
