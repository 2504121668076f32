// Recipe averis_hadamard, gradient of the input: nu = mean over tokens of D, dX = Q(D - 1 nu) Q(W) + 1 (nu W)
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D = dL/dY is tokens x out, W is out x in. The residual of the gradient is scaled in blocks of 1x16 and rounded stochastically; the columns
// of W have the scales and values of its rows, because a block of 16x16 is one either way.
// Padding tokens (mask byte 0) are left out of the mean and give zeros.

func.func @linear_dgrad(%d: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %mask: tensor<?xi8> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>)
    -> tensor<?x?xbf16> {
  %nu, %dr = fp4.center %d mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %ds, %damax = fp4.block_scale %dr nvfp4 block = 1x16 axis = 1
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qd = fp4.quantize %dr scales(%ds : tensor<?x?xf8E4M3FN>) amax(%damax) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %wts, %wtamax = fp4.block_scale %w nvfp4 block = 16x16 axis = 0
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qwt = fp4.quantize %w scales(%wts : tensor<?x?xf8E4M3FN>) amax(%wtamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0>
  %acc = fp4.matmul %qd, %qwt
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0> -> tensor<?x?xf32>
  %nuw = fp4.matvec %w, %nu axis = 0 : tensor<?x?xbf16>, tensor<?xf32> -> tensor<?xf32>
  %dx = fp4.epilogue %acc rows(%nuw : tensor<?xf32>) cols(%mask : tensor<?xi8>) {
  ^bb0(%a: f32, %m: f32, %keep: i8):
    %s = arith.addf %a, %m : f32
    %zero = arith.constant 0.0 : f32
    %none = arith.constant 0 : i8
    %kept = arith.cmpi ne, %keep, %none : i8
    %u = arith.select %kept, %s, %zero : f32
    %r = arith.truncf %u : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %dx : tensor<?x?xbf16>
}
