// A linear layer in nvfp4 whose activation is CUDA C++: y = gelu(Q(X) Q(W)^T + bias), in the epilogue of the product.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

fp4.cuda @gelu : (f32) -> f32 file = "gelu.cu"

func.func @linear_gelu(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %bias: tensor<?xf32> {fp4.optional})
    -> tensor<?x?xbf16> {
  %xs, %xamax = fp4.block_scale %x nvfp4 block = 1x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qx = fp4.quantize %x scales(%xs : tensor<?x?xf8E4M3FN>) amax(%xamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %ws, %wamax = fp4.block_scale %w nvfp4 block = 1x16 axis = 1
      : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %w scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wamax)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %acc = fp4.matmul %qx, %qw
      : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
        !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1> -> tensor<?x?xf32>
  %y = fp4.epilogue %acc rows(%bias : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    %g = fp4.call @gelu(%s) : (f32) -> f32
    %r = arith.truncf %g : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %y : tensor<?x?xbf16>
}
