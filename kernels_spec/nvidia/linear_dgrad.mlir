// Recipe nvidia, gradient of the input: dX = Q(D) Q(W)
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D = dL/dY is tokens x out, W is out x in. The columns of W have the scales and values of its rows, because a block of 16x16 is one either
// way; the gradient is rounded stochastically.

func.func @linear_dgrad(%d: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %seed: tensor<i64>, %offset: tensor<i64>) -> tensor<?x?xbf16> {
  %ds, %damax = fp4.block_scale %d nvfp4 block = 1x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qd = fp4.quantize %d scales(%ds : tensor<?x?xf8E4M3FN>) amax(%damax) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %wts, %wtamax = fp4.block_scale %w nvfp4 block = 16x16 axis = 0
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qwt = fp4.quantize %w scales(%wts : tensor<?x?xf8E4M3FN>) amax(%wtamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0>
  %acc = fp4.matmul %qd, %qwt
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0> -> tensor<?x?xf32>
  %dx = fp4.epilogue %acc {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %dx : tensor<?x?xbf16>
}
