// fp4.prologue and fp4.epilogue survive every printed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s --verify-roundtrip | FileCheck %s
// RUN: fourfold-opt %s -mlir-print-op-generic | fourfold-opt | FileCheck %s
// RUN: fourfold-opt %s -emit-bytecode | fourfold-opt | FileCheck %s

// No operands but the input.
// CHECK-LABEL: @alone
// CHECK: fp4.prologue %{{.*}} {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[R:.*]] = math.absf %[[A]] : f32
// CHECK-NEXT: fp4.yield %[[R]] : f32
// CHECK-NEXT: } : tensor<?x384xbf16> -> tensor<?x384xf32>
func.func @alone(%x: tensor<?x384xbf16>) -> tensor<?x384xf32> {
  %h = fp4.prologue %x {
  ^bb0(%a: f32):
    %r = math.absf %a : f32
    fp4.yield %r : f32
  } : tensor<?x384xbf16> -> tensor<?x384xf32>
  return %h : tensor<?x384xf32>
}

// All four groups of operands, several in one.
// CHECK-LABEL: @every_group
// CHECK: fp4.epilogue %{{.*}} rows(%{{.*}}, %{{.*}} : tensor<8xf32>, tensor<8xbf16>) cols(%{{.*}} : tensor<?xf16>) full(%{{.*}} : tensor<?x8xf32>) scalars(%{{.*}} : tensor<f32>) {
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: bf16, %{{.*}}: f16, %{{.*}}: f32, %{{.*}}: f32):
// CHECK: } : tensor<?x8xf32> -> tensor<?x8xbf16>
func.func @every_group(%x: tensor<?x8xf32>, %r: tensor<8xf32>, %b: tensor<8xbf16>, %c: tensor<?xf16>, %s: tensor<f32>) -> tensor<?x8xbf16> {
  %y = fp4.epilogue %x rows(%r, %b : tensor<8xf32>, tensor<8xbf16>) cols(%c : tensor<?xf16>) full(%x : tensor<?x8xf32>) scalars(%s : tensor<f32>) {
  ^bb0(%a: f32, %e: f32, %f: bf16, %g: f16, %h: f32, %i: f32):
    %1 = arith.addf %a, %e : f32
    %2 = arith.extf %f : bf16 to f32
    %3 = arith.extf %g : f16 to f32
    %4 = math.fma %2, %3, %1 : f32
    %5 = arith.mulf %h, %i : f32
    %6 = arith.addf %4, %5 : f32
    %7 = arith.truncf %6 : f32 to bf16
    fp4.yield %7 : bf16
  } : tensor<?x8xf32> -> tensor<?x8xbf16>
  return %y : tensor<?x8xbf16>
}

// Names of arguments and results are attributes of the function.
// CHECK-LABEL: @names
// CHECK-SAME: {fp4.name = "input.0"}
// CHECK-SAME: {fp4.name = "out-put"}
func.func @names(%x: tensor<4x8xf32> {fp4.name = "input.0"}) -> (tensor<8xf32> {fp4.name = "out-put"}) {
  %s = fp4.column_sum %x : tensor<4x8xf32> -> tensor<8xf32>
  return %s : tensor<8xf32>
}
