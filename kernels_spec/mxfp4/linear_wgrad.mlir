// Recipe mxfp4, gradients of weight and bias: dW = Q(D)^T Q(X) (+ dW_in), db = column sum of D
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D is tokens x out, X is tokens x in. Both are scaled in blocks of 32 along tokens; the gradient is rounded stochastically, with bits of its
// own (stream 1).

func.func @linear_wgrad(%d: tensor<?x?xbf16>, %x: tensor<?x?xbf16>, %dw_in: tensor<?x?xf32> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>)
    -> (tensor<?x?xf32>, tensor<?xf32>) {
  %dts = fp4.block_scale %d mxfp4 block = 1x32 axis = 0
      : tensor<?x?xbf16> -> tensor<?x?xf8E8M0FNU>
  %qdt = fp4.quantize %d scales(%dts : tensor<?x?xf8E8M0FNU>) stochastic seed(%seed) offset(%offset) stream = 1
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
  %xts = fp4.block_scale %x mxfp4 block = 1x32 axis = 0
      : tensor<?x?xbf16> -> tensor<?x?xf8E8M0FNU>
  %qxt = fp4.quantize %x scales(%xts : tensor<?x?xf8E8M0FNU>)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
  %acc = fp4.matmul %qdt, %qxt
      : !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>,
        !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0> -> tensor<?x?xf32>
  %dw = fp4.epilogue %acc full(%dw_in : tensor<?x?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %r = arith.addf %a, %old : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %db = fp4.column_sum %d : tensor<?x?xbf16> -> tensor<?xf32>
  return %dw, %db : tensor<?x?xf32>, tensor<?xf32>
}
