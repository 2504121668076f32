// What simplifies: regions that do nothing, operands that nobody reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Fp4.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::fp4;

/// A region that yields its input as it is, where that needs no conversion.
template <typename OpTy>
static OpFoldResult foldIdentity(OpTy op) {
  Block &block = op.getBody().front();
  bool isIdentity = block.getTerminator()->getOperand(0) == block.getArgument(0);
  return isIdentity && op.getInput().getType() == op.getResult().getType() ? OpFoldResult(op.getInput())
                                                                           : OpFoldResult();
}

OpFoldResult PrologueOp::fold(FoldAdaptor) { return foldIdentity(*this); }
OpFoldResult EpilogueOp::fold(FoldAdaptor) { return foldIdentity(*this); }

namespace {

/// Drops operands whose block argument has no use: a kernel would load them for nothing.
template <typename OpTy>
struct DropUnusedOperands : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    Block &block = op.getBody().front();
    llvm::BitVector unused(block.getNumArguments());
    for (BlockArgument argument : block.getArguments().drop_front())
      if (argument.use_empty())
        unused.set(argument.getArgNumber());
    if (unused.none())
      return rewriter.notifyMatchFailure(op, "every operand is used");
    rewriter.modifyOpInPlace(op, [&] {
      // Operand i is block argument i; each erased operand shrinks the segment it stands in.
      for (int index = unused.find_last(); index >= 0; index = unused.find_prev(index)) {
        unsigned position = static_cast<unsigned>(index) - 1;
        for (auto group : {op.getRowsMutable(), op.getColsMutable(), op.getFullMutable(), op.getScalarsMutable()}) {
          if (position < group.size()) {
            group.erase(position);
            break;
          }
          position -= group.size();
        }
      }
      block.eraseArguments(unused);
    });
    return success();
  }
};

} // namespace

void PrologueOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropUnusedOperands<PrologueOp>>(context);
}

void EpilogueOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropUnusedOperands<EpilogueOp>>(context);
}
