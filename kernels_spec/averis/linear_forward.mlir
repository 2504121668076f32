// Recipe averis, forward: mu = mean over tokens of X, Y = Q(X - 1 mu) Q(W)^T + 1 (mu W^T + bias)
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// X is tokens x in, W is out x in. The coherent mean over tokens sets most block maxima; split off, the residual fills the few FP4
// bins, and the rank-one term restores it exactly in fp32. The residual is scaled in blocks of 1x16, the weight in 16x16 (so that
// forward and backward see the same values); both are rounded to nearest.
// Padding tokens (mask byte 0) are left out of the mean and give zeros.

func.func @linear_forward(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %bias: tensor<?xf32> {fp4.optional},
                          %mask: tensor<?xi8> {fp4.optional}) -> tensor<?x?xbf16> {
  %mu, %xr = fp4.center %x mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %xs, %xamax = fp4.block_scale %xr nvfp4 block = 1x16 axis = 1
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qx = fp4.quantize %xr scales(%xs : tensor<?x?xf8E4M3FN>) amax(%xamax)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %ws, %wamax = fp4.block_scale %w nvfp4 block = 16x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %w scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1>
  %acc = fp4.matmul %qx, %qw
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1> -> tensor<?x?xf32>
  %muw = fp4.matvec %w, %mu axis = 1 : tensor<?x?xbf16>, tensor<?xf32> -> tensor<?xf32>
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
