// Recipe averis_v1, gradients of weight and bias:
//   dW = Q(D_R)^T Q(X_R) + Q(D_R)^T 1 Q(mu) + Q(nu)^T 1^T Q(X_R) + tokens Q(nu)^T Q(mu) (+ dW_in), db = column sum of D
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// As the method was first published, for comparison: the mean too is rounded to FP4, which puts one coherent error into every token.
// D is tokens x out, X is tokens x in. The cross terms, which vanish before quantization, are kept: they carry the rounding error of the
// residuals times the mean. The second and fourth term are one: the column sum of Q(D_R) + 1 Q(nu).
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
  %qxt = fp4.quantize %xr scales(%xts : tensor<?x?xf8E4M3FN>) amax(%xtamax) stochastic seed(%seed) offset(%offset) stream = 3
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %mum = fp4.reshape %mu : tensor<?xf32> -> tensor<1x?xf32>
  %mus, %muamax = fp4.block_scale %mum nvfp4 block = 1x16 axis = 1
      : tensor<1x?xf32> -> tensor<1x?xf8E4M3FN>, tensor<f32>
  %qmu = fp4.quantize %mum scales(%mus : tensor<1x?xf8E4M3FN>) amax(%muamax) stochastic seed(%seed) offset(%offset) stream = 6
      : tensor<1x?xf32> -> !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1>
  %muqm = fp4.dequantize %qmu : !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1> -> tensor<1x?xf32>
  %muq = fp4.reshape %muqm : tensor<1x?xf32> -> tensor<?xf32>
  %num = fp4.reshape %nu : tensor<?xf32> -> tensor<1x?xf32>
  %nus, %nuamax = fp4.block_scale %num nvfp4 block = 1x16 axis = 1
      : tensor<1x?xf32> -> tensor<1x?xf8E4M3FN>, tensor<f32>
  %qnu = fp4.quantize %num scales(%nus : tensor<1x?xf8E4M3FN>) amax(%nuamax) stochastic seed(%seed) offset(%offset) stream = 7
      : tensor<1x?xf32> -> !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1>
  %nuqm = fp4.dequantize %qnu : !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1> -> tensor<1x?xf32>
  %nuq = fp4.reshape %nuqm : tensor<1x?xf32> -> tensor<?xf32>
  %dv = fp4.dequantize %qdt : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  %dn = fp4.prologue %dv rows(%nuq : tensor<?xf32>) {
  ^bb0(%a: f32, %n: f32):
    %s = arith.addf %a, %n : f32
    fp4.yield %s : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %sd = fp4.column_sum %dn mask(%mask : tensor<?xi8>) : tensor<?x?xf32> -> tensor<?xf32>
  %xv = fp4.dequantize %qxt : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  %sx = fp4.column_sum %xv : tensor<?x?xf32> -> tensor<?xf32>
  %acc = fp4.matmul %qdt, %qxt
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  %db = fp4.column_sum %d mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>
  %dw = fp4.epilogue %acc rows(%muq, %sx : tensor<?xf32>, tensor<?xf32>) cols(%sd, %nuq : tensor<?xf32>, tensor<?xf32>)
      full(%dw_in : tensor<?x?xf32>) {
  ^bb0(%a: f32, %m: f32, %sumx: f32, %sumd: f32, %n: f32, %old: f32):
    %p = arith.mulf %sumd, %m : f32
    %q = arith.mulf %n, %sumx : f32
    %s = arith.addf %a, %p : f32
    %t = arith.addf %s, %q : f32
    %r = arith.addf %t, %old : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %dw, %db : tensor<?x?xf32>, tensor<?xf32>
}
