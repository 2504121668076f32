// Recipe averis_v1, forward: Y = Q(X_R) Q(W)^T + 1 (Q(mu) Q(W)^T + bias), X_R = X - 1 mu
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// As the method was first published, for comparison: the mean too is rounded to FP4, which puts one coherent error into every token.
// X is tokens x in, W is out x in; all operands are scaled in blocks of 1x16 and rounded stochastically, each with bits of its own.
// Padding tokens (mask byte 0) are left out of the mean and give zeros.

func.func @linear_forward(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %bias: tensor<?xf32> {fp4.optional},
                          %mask: tensor<?xi8> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>) -> tensor<?x?xbf16> {
  %mu, %xr = fp4.center %x mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %xs, %xamax = fp4.block_scale %xr nvfp4 block = 1x16 axis = 1
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qx = fp4.quantize %xr scales(%xs : tensor<?x?xf8E4M3FN>) amax(%xamax) stochastic seed(%seed) offset(%offset) stream = 2
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %ws, %wamax = fp4.block_scale %w nvfp4 block = 1x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %w scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wamax) stochastic seed(%seed) offset(%offset) stream = 4
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %mum = fp4.reshape %mu : tensor<?xf32> -> tensor<1x?xf32>
  %mus, %muamax = fp4.block_scale %mum nvfp4 block = 1x16 axis = 1
      : tensor<1x?xf32> -> tensor<1x?xf8E4M3FN>, tensor<f32>
  %qmu = fp4.quantize %mum scales(%mus : tensor<1x?xf8E4M3FN>) amax(%muamax) stochastic seed(%seed) offset(%offset) stream = 6
      : tensor<1x?xf32> -> !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1>
  %acc = fp4.matmul %qx, %qw
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1> -> tensor<?x?xf32>
  %muwm = fp4.matmul %qmu, %qw
      : !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1> -> tensor<1x?xf32>
  %muw = fp4.reshape %muwm : tensor<1x?xf32> -> tensor<?xf32>
  %y = fp4.epilogue %acc rows(%muw, %bias : tensor<?xf32>, tensor<?xf32>) cols(%mask : tensor<?xi8>) {
  ^bb0(%a: f32, %m: f32, %b: f32, %keep: i8):
    %s = arith.addf %a, %m : f32
    %t = arith.addf %s, %b : f32
    %zero = arith.constant 0.0 : f32
    %none = arith.constant 0 : i8
    %kept = arith.cmpi ne, %keep, %none : i8
    %u = arith.select %kept, %t, %zero : f32
    %r = arith.truncf %u : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %y : tensor<?x?xbf16>
}
