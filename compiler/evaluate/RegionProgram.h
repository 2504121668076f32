// Scalar regions of prologues and epilogues, interpreted.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_EVALUATE_REGIONPROGRAM_H
#define FOURFOLD_COMPILER_EVALUATE_REGIONPROGRAM_H

#include "mlir/IR/Block.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

#include <functional>
#include <vector>

namespace fourfold {
namespace compiler {

/// A float (of f32, bf16 or f16, held as the f32 it equals) or an integer (sign-extended; i1 is 0 or 1).
union Scalar {
  float f;
  int64_t i;
};

/// A region decoded once and run for every element: fp32 arithmetic rounded to the type of each op, one op at a time.
class RegionProgram {
public:
  /// Fails with a diagnostic on an op that `isExactRegionOp` does not know.
  static mlir::FailureOr<RegionProgram> decode(mlir::Block &block);

  /// The yielded value. Integer arguments are mask bytes, which a float holds exactly.
  float run(llvm::ArrayRef<float> arguments);

private:
  using Step = std::function<void(Scalar *slots)>;

  int slotOf(mlir::Value value);
  Step decodeOp(mlir::Operation &op);
  Step decodeFloatOp(mlir::Operation &op);
  Step decodeIntegerOp(mlir::Operation &op);
  Step decodeConversion(mlir::Operation &op);

  llvm::DenseMap<mlir::Value, int> slotNumbers;
  std::vector<Scalar> slots;
  std::vector<Step> steps;
  std::vector<bool> isInteger; // by block argument
  int resultSlot = 0;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_EVALUATE_REGIONPROGRAM_H
