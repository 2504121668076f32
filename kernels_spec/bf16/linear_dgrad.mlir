// Recipe bf16, gradient of the input: dX = D W
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// D = dL/dY is tokens x out, W is out x in.

func.func @linear_dgrad(%d: tensor<?x?xbf16>, %w: tensor<?x?xbf16>) -> tensor<?x?xbf16> {
  %acc = fp4.matmul %d, %w axes = [1, 0] : tensor<?x?xbf16>, tensor<?x?xbf16> -> tensor<?x?xf32>
  %dx = fp4.epilogue %acc {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %dx : tensor<?x?xbf16>
}
