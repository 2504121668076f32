// What canonicalization and CSE do to a spec, and what they must leave.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -canonicalize -cse | FileCheck %s

// A region that yields its input disappears.
// CHECK-LABEL: @identity
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>)
// CHECK-NEXT: return %[[X]]
func.func @identity(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  %z = fp4.epilogue %y {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}

// Not where it converts.
// CHECK-LABEL: @conversion
// CHECK: fp4.prologue
func.func @conversion(%x: tensor<4x8xbf16>) -> tensor<4x8xf32> {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xbf16> -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Unused operands go, from every group, and the used ones keep their arguments.
// CHECK-LABEL: @unused
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>, %{{.*}}: tensor<8xf32>, %[[R:.*]]: tensor<8xbf16>, %{{.*}}: tensor<4xf32>, %[[S:.*]]: tensor<f32>)
// CHECK-NEXT: fp4.epilogue %[[X]] rows(%[[R]] : tensor<8xbf16>) scalars(%[[S]] : tensor<f32>) {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: bf16, %[[C:.*]]: f32):
// CHECK-NEXT: %[[E:.*]] = arith.extf %[[B]] : bf16 to f32
// CHECK-NEXT: %[[F:.*]] = math.fma %[[A]], %[[E]], %[[C]] : f32
func.func @unused(%x: tensor<4x8xf32>, %q: tensor<8xf32>, %r: tensor<8xbf16>, %c: tensor<4xf32>, %s: tensor<f32>) -> tensor<4x8xf32> {
  %y = fp4.epilogue %x rows(%q, %r : tensor<8xf32>, tensor<8xbf16>) cols(%c : tensor<4xf32>) full(%x : tensor<4x8xf32>) scalars(%s : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %d: bf16, %e: f32, %f: f32, %g: f32):
    %h = arith.extf %d : bf16 to f32
    %i = math.fma %a, %h, %g : f32
    fp4.yield %i : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Rounding is not undone: dequantize(quantize(x)) stays. Two equal scalings become one.
// CHECK-LABEL: @rounding_stays
// CHECK-COUNT-1: fp4.block_scale
// CHECK-NOT: fp4.block_scale
// CHECK: %[[Q:.*]] = fp4.quantize
// CHECK: %[[V:.*]] = fp4.dequantize %[[Q]]
// CHECK: return %[[V]], %[[V]]
func.func @rounding_stays(%x: tensor<4x16xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<4x16xf32> -> tensor<4x1xf8E4M3FN>, tensor<f32>
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E4M3FN>) amax(%a) : tensor<4x16xf32> -> !fp4.quantized<4x16, nvfp4, block = 1x16, axis = 1>
  %v = fp4.dequantize %q : !fp4.quantized<4x16, nvfp4, block = 1x16, axis = 1> -> tensor<4x16xf32>
  %s2, %a2 = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<4x16xf32> -> tensor<4x1xf8E4M3FN>, tensor<f32>
  %q2 = fp4.quantize %x scales(%s2 : tensor<4x1xf8E4M3FN>) amax(%a2) : tensor<4x16xf32> -> !fp4.quantized<4x16, nvfp4, block = 1x16, axis = 1>
  %v2 = fp4.dequantize %q2 : !fp4.quantized<4x16, nvfp4, block = 1x16, axis = 1> -> tensor<4x16xf32>
  return %v, %v2 : tensor<4x16xf32>, tensor<4x16xf32>
}

// The transform is its own inverse on paper only.
// CHECK-LABEL: @hadamard_stays
// CHECK-COUNT-2: fp4.hadamard
func.func @hadamard_stays(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %h = fp4.hadamard %x axis = 1 : tensor<4x16xf32> -> tensor<4x16xf32>
  %g = fp4.hadamard %h axis = 1 : tensor<4x16xf32> -> tensor<4x16xf32>
  return %g : tensor<4x16xf32>
}
