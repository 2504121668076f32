// Recipe averis, gradients of weight and bias: dW = Q(D_R)^T Q(X_R) + db^T mu (+ dW_in), db = column sum of D
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D is tokens x out, X is tokens x in; D_R = D - 1 nu and X_R = X - 1 mu are centred, so that the two cross terms vanish and what is left of
// rank one is tokens * nu^T mu, which is db^T mu: the bias gradient is computed anyway. Both are scaled in blocks of 16 along tokens, from
// the high-precision tensors; the gradient is rounded stochastically, with bits of its own (stream 1).
// Padding tokens (mask byte 0) are left out of the mean and give zeros.

func.func @linear_wgrad(%d: tensor<?x?xbf16>, %x: tensor<?x?xbf16>, %mask: tensor<?xi8> {fp4.optional},
                        %dw_in: tensor<?x?xf32> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>)
    -> (tensor<?x?xf32>, tensor<?xf32>) {
  %nu, %dr = fp4.center %d mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %mu, %xr = fp4.center %x mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %dts, %dtamax = fp4.block_scale %dr nvfp4 block = 1x16 axis = 0
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qdt = fp4.quantize %dr scales(%dts : tensor<?x?xf8E4M3FN>) amax(%dtamax) stochastic seed(%seed) offset(%offset) stream = 1
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %xts, %xtamax = fp4.block_scale %xr nvfp4 block = 1x16 axis = 0
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qxt = fp4.quantize %xr scales(%xts : tensor<?x?xf8E4M3FN>) amax(%xtamax)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %acc = fp4.matmul %qdt, %qxt
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  %db = fp4.column_sum %d mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>
  %dw = fp4.epilogue %acc rows(%mu : tensor<?xf32>) cols(%db : tensor<?xf32>) full(%dw_in : tensor<?x?xf32>) {
  ^bb0(%a: f32, %m: f32, %sum: f32, %old: f32):
    %p = arith.mulf %sum, %m : f32
    %s = arith.addf %a, %p : f32
    %r = arith.addf %s, %old : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %dw, %db : tensor<?x?xf32>, tensor<?xf32>
}
