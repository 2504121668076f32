// Recipe mxfp4, gradient of the input: dX = Q(D) Q(W)
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D = dL/dY is tokens x out, W is out x in. Both are scaled in blocks of 32 along `out`; the gradient is rounded stochastically.

func.func @linear_dgrad(%d: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %seed: tensor<i64>, %offset: tensor<i64>) -> tensor<?x?xbf16> {
  %ds = fp4.block_scale %d mxfp4 block = 1x32 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E8M0FNU>
  %qd = fp4.quantize %d scales(%ds : tensor<?x?xf8E8M0FNU>) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 1>
  %wts = fp4.block_scale %w mxfp4 block = 1x32 axis = 0
      : tensor<?x?xbf16> -> tensor<?x?xf8E8M0FNU>
  %qwt = fp4.quantize %w scales(%wts : tensor<?x?xf8E8M0FNU>)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
  %acc = fp4.matmul %qd, %qwt
      : !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 1>,
        !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0> -> tensor<?x?xf32>
  %dx = fp4.epilogue %acc {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %dx : tensor<?x?xbf16>
}
