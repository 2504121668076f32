// Recipe bf16, gradients of weight and bias: dW = D^T X (+ dW_in), db = column sum of D
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D is tokens x out, X is tokens x in; nothing is saved but X itself.

func.func @linear_wgrad(%d: tensor<?x?xbf16>, %x: tensor<?x?xbf16>, %dw_in: tensor<?x?xf32> {fp4.optional})
    -> (tensor<?x?xf32>, tensor<?xf32>) {
  %acc = fp4.matmul %d, %x axes = [0, 0] : tensor<?x?xbf16>, tensor<?x?xbf16> -> tensor<?x?xf32>
  %dw = fp4.epilogue %acc full(%dw_in : tensor<?x?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %r = arith.addf %a, %old : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %db = fp4.column_sum %d : tensor<?x?xbf16> -> tensor<?xf32>
  return %dw, %db : tensor<?x?xf32>, tensor<?xf32>
}
