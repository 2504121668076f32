// The reference evaluator: plain, slow, and by its plainness the oracle of every kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_EVALUATE_EVALUATE_H
#define FOURFOLD_COMPILER_EVALUATE_EVALUATE_H

#include "plan/CompilerPlugin.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace fourfold {
namespace compiler {

/// Receives one value; everything is valid during the call only.
using ValueSink = llvm::function_ref<void(const char *part, const FourfoldHostTensor &tensor, const float *bound)>;

/// Evaluates a spec that `parseSpec` read and `expandMath` made exact, on host tensors found by name. Every result goes
/// to `sink` under its name; with `intermediates`, so does every other named value, in the order of the source.
///
/// A tensor is one part, "tensor". A quantized value is three: "codes" (rows x K, one code a byte) and "scales" (rows x
/// K-blocks), both with the contracted dimension last whatever the axis and a scale for every row, then "amax" for
/// nvfp4. The scales of fp4.block_scale are one part, "scales", in the shape of their type.
///
/// `bound` is null where a device must agree bit for bit. Downstream of a matmul it says how far an element may be off,
/// because the order of accumulation is the tensor core's. Per K = 64 step of the product: 2^-23 |partial| + 5 * 2^-35
/// * 2^e, e the largest aligned exponent (MmaModel.h), then times alpha, plus rounding; with `anyOrder`, for targets that
/// sum products in fp32, 2^-23 times k times the sum of magnitudes in place of these. Through a region the bound is
/// carried by evaluating it at input - bound, input and input + bound and taking the largest deviation plus one unit in
/// the last place of the result type: exact for functions that are monotonic over so small an interval, which
/// activations are. Through linear ops it is summed. Codes and scales that are rounded from an uncertain tensor may be
/// any neighbour: their bound, and that of all that follows, is infinity.
///
/// Missing, surplus or wrongly shaped inputs and extents that disagree at run time are diagnostics.
mlir::LogicalResult evaluate(mlir::func::FuncOp function, llvm::ArrayRef<FourfoldHostTensor> inputs, bool intermediates,
                             ValueSink sink, bool anyOrder = false);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_EVALUATE_EVALUATE_H
