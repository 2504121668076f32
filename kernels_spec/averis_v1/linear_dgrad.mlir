// Recipe averis_v1, gradient of the input: dX = Q(D_R) Q(W) + 1 (Q(nu) Q(W)), D_R = D - 1 nu
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// As the method was first published, for comparison: the mean too is rounded to FP4, which puts one coherent error into every token.
// D = dL/dY is tokens x out, W is out x in; all operands are scaled in blocks of 1x16 and rounded stochastically, each with bits of its own.
// Padding tokens (mask byte 0) are left out of the mean and give zeros.

func.func @linear_dgrad(%d: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %mask: tensor<?xi8> {fp4.optional}, %seed: tensor<i64>, %offset: tensor<i64>)
    -> tensor<?x?xbf16> {
  %nu, %dr = fp4.center %d mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %ds, %damax = fp4.block_scale %dr nvfp4 block = 1x16 axis = 1
      : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qd = fp4.quantize %dr scales(%ds : tensor<?x?xf8E4M3FN>) amax(%damax) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %wts, %wtamax = fp4.block_scale %w nvfp4 block = 1x16 axis = 0
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qwt = fp4.quantize %w scales(%wts : tensor<?x?xf8E4M3FN>) amax(%wtamax) stochastic seed(%seed) offset(%offset) stream = 5
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %num = fp4.reshape %nu : tensor<?xf32> -> tensor<1x?xf32>
  %nus, %nuamax = fp4.block_scale %num nvfp4 block = 1x16 axis = 1
      : tensor<1x?xf32> -> tensor<1x?xf8E4M3FN>, tensor<f32>
  %qnu = fp4.quantize %num scales(%nus : tensor<1x?xf8E4M3FN>) amax(%nuamax) stochastic seed(%seed) offset(%offset) stream = 7
      : tensor<1x?xf32> -> !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1>
  %acc = fp4.matmul %qd, %qwt
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  %nuwm = fp4.matmul %qnu, %qwt
      : !fp4.quantized<1x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<1x?xf32>
  %nuw = fp4.reshape %nuwm : tensor<1x?xf32> -> tensor<?xf32>
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
