// Recipe nvidia, forward: Y = Q(X) Q(W)^T + 1 bias
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// X is tokens x in, W is out x in. X is scaled in blocks of 1x16, the weight in 16x16, so that forward and backward see the same values of
// it; both are rounded to nearest. After NVIDIA's published recipe (arXiv 2509.25149).

func.func @linear_forward(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %bias: tensor<?xf32> {fp4.optional}) -> tensor<?x?xbf16> {
  %xs, %xamax = fp4.block_scale %x nvfp4 block = 1x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qx = fp4.quantize %x scales(%xs : tensor<?x?xf8E4M3FN>) amax(%xamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %ws, %wamax = fp4.block_scale %w nvfp4 block = 16x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %w scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1>
  %acc = fp4.matmul %qx, %qw
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1> -> tensor<?x?xf32>
  %y = fp4.epilogue %acc rows(%bias : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %t = arith.addf %a, %b : f32
    %r = arith.truncf %t : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %y : tensor<?x?xbf16>
}
