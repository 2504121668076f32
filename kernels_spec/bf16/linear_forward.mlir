// Recipe bf16, forward: Y = X W^T + 1 bias
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The baseline: X is tokens x in, W is out x in, nothing is quantized.

func.func @linear_forward(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %bias: tensor<?xf32> {fp4.optional}) -> tensor<?x?xbf16> {
  %acc = fp4.matmul %x, %w axes = [1, 1] : tensor<?x?xbf16>, tensor<?x?xbf16> -> tensor<?x?xf32>
  %y = fp4.epilogue %acc rows(%bias : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %t = arith.addf %a, %b : f32
    %r = arith.truncf %t : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %y : tensor<?x?xbf16>
}
