// Reading blocks of a source tensor along its rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/RowSource.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

SmallVector<Type> RowSource::paramTypes(MLIRContext *context) const {
  auto global = globalPointerType(context);
  auto i32 = IntegerType::get(context, 32);
  SmallVector<Type> types = {global, i32, i32};
  types.append((centred ? 1 : 0) + (masked ? 1 : 0) + prologue.operands.size(), global);
  return types;
}

RowReader::RowReader(KernelBuilder &k, const RowSource &source, unsigned firstParam) : k(k), source(source) {
  pointer = k.param(firstParam++);
  numRows = k.param(firstParam++);
  numColumns = k.param(firstParam++);
  if (source.centred)
    mean = k.param(firstParam++);
  if (source.masked)
    mask = k.param(firstParam++);
  for (size_t i = 0; i < source.prologue.operands.size(); ++i)
    operandPointers.push_back(k.param(firstParam++));
}

Val RowReader::isKept(Val row) {
  Val exists = row < numRows;
  if (!source.masked)
    return exists;
  Val byte = k.zext32(k.load(k.i8(), k.offset(mask, k.toI64(k.select(exists, row, k.c32(0)))), 1));
  return k.logicalAnd(exists, k.c32(0) < byte);
}

SmallVector<Val> RowReader::read(Val row, Val column, int count) {
  Val rowExists = isKept(row);
  Val valid = k.select(rowExists, numColumns - column, k.c32(0));
  // Rows start on 16 bytes only if the row length is a multiple of that: else element by element.
  int perVector = 16 / elementBytes(source.elementType);
  Val full = k.logicalAnd(valid >= count, equals(numColumns & (perVector - 1), 0));
  Val index = k.toI64(row) * k.toI64(numColumns) + k.toI64(column);

  SmallVector<Val> values = loadElements(k, source.elementType, pointer, index, count, full, valid);
  applyPrologue(values, row, column, full, valid);
  if (source.centred) {
    // fp32 means need rows of a multiple of four for 16-byte loads, which `full` implies for every source type of 4 bytes or less. Where
    // the row is not read, neither are they: zero minus zero is zero.
    SmallVector<Val> means = loadElements(k, k.f32(), mean, k.toI64(column), count, full, valid);
    for (auto [value, m] : llvm::zip_equal(values, means))
      value = value - m;
  }
  return values;
}

void RowReader::applyPrologue(SmallVector<Val> &values, Val row, Val column, Val full, Val valid) {
  if (!source.prologue.region) {
    for (Val &value : values)
      value = toF32(k, value);
    return;
  }
  int count = static_cast<int>(values.size());
  Val index = k.toI64(row) * k.toI64(numColumns) + k.toI64(column);
  SmallVector<SmallVector<Val>> operands;
  for (auto [i, operand] : llvm::enumerate(source.prologue.operands)) {
    Val from = operandPointers[i];
    Type type = operand.elementType;
    if (operand.broadcast == Broadcast::Row) {
      // `column` is a multiple of `count`: aligned for every type.
      operands.push_back(loadElements(k, type, from, k.toI64(column), count, full, valid));
    } else if (operand.broadcast == Broadcast::Full) {
      // Narrower than the source, its rows may be less aligned.
      Val aligned = equals(numColumns & (16 / elementBytes(type) - 1), 0);
      operands.push_back(loadElements(k, type, from, index, count, k.logicalAnd(full, aligned), valid));
    } else {
      // A row that does not exist reads the first row's value; what comes of it is dropped below.
      Val safe = operand.broadcast == Broadcast::Column ? k.select(row < numRows, row, k.c32(0)) : k.c32(0);
      Val one = k.load(type, k.offset(from, k.toI64(safe) * elementBytes(type)), elementBytes(type));
      operands.push_back(SmallVector<Val>(count, one));
    }
  }
  for (int i = 0; i < count; ++i) {
    // The block argument's type: the region sees f32 (c.f. fp4.prologue) or the source's own type.
    Type argument = source.prologue.region->front().getArgument(0).getType();
    SmallVector<Val> arguments = {argument.isF32() ? toF32(k, values[i]) : values[i]};
    for (auto &operand : operands)
      arguments.push_back(operand[i]);
    Val result = toF32(k, inlineRegion(k, source.prologue, arguments));
    values[i] = k.select(k.c32(i) < valid, result, k.cf(0.0f));
  }
}

} // namespace compiler
} // namespace fourfold
