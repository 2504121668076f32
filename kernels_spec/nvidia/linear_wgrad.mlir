// Recipe nvidia, gradients of weight and bias: dW = Q(H D)^T Q(H X) (+ dW_in), db = column sum of D
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D is tokens x out, X is tokens x in. H is the 16-point random Hadamard transform along tokens, which spreads outliers and cancels in the
// product; the gradient is rounded stochastically, with bits of its own (stream 1).

func.func @linear_wgrad(%d: tensor<?x?xbf16>, %x: tensor<?x?xbf16>, %dw_in: tensor<?x?xf32> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>)
    -> (tensor<?x?xf32>, tensor<?xf32>) {
  %dh = fp4.hadamard %d axis = 0 : tensor<?x?xbf16> -> tensor<?x?xf32>
  %dts, %dtamax = fp4.block_scale %dh nvfp4 block = 1x16 axis = 0
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qdt = fp4.quantize %dh scales(%dts : tensor<?x?xf8E4M3FN>) amax(%dtamax) stochastic seed(%seed) offset(%offset) stream = 1
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %xh = fp4.hadamard %x axis = 0 : tensor<?x?xbf16> -> tensor<?x?xf32>
  %xts, %xtamax = fp4.block_scale %xh nvfp4 block = 1x16 axis = 0
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qxt = fp4.quantize %xh scales(%xts : tensor<?x?xf8E4M3FN>) amax(%xtamax)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %acc = fp4.matmul %qdt, %qxt
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  %dw = fp4.epilogue %acc full(%dw_in : tensor<?x?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %r = arith.addf %a, %old : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %db = fp4.column_sum %d : tensor<?x?xbf16> -> tensor<?xf32>
  return %dw, %db : tensor<?x?xf32>, tensor<?xf32>
}
