// fp4.matmul, fp4.matvec and fp4.column_sum survive every printed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s --verify-roundtrip | FileCheck %s
// RUN: fourfold-opt %s -mlir-print-op-generic | fourfold-opt | FileCheck %s
// RUN: fourfold-opt %s -emit-bytecode | fourfold-opt | FileCheck %s

// Both operands contract the axis they are scaled along, here different ones.
// CHECK-LABEL: @matmul
// CHECK: fp4.matmul %{{.*}}, %{{.*}} : !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>, !fp4.quantized<384x1536, nvfp4, block = 16x16, axis = 0> -> tensor<?x1536xf32>
func.func @matmul(%a: !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>, %b: !fp4.quantized<384x1536, nvfp4, block = 16x16, axis = 0>) -> tensor<?x1536xf32> {
  %c = fp4.matmul %a, %b : !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>, !fp4.quantized<384x1536, nvfp4, block = 16x16, axis = 0> -> tensor<?x1536xf32>
  return %c : tensor<?x1536xf32>
}

// CHECK-LABEL: @matvec
// CHECK: fp4.matvec %{{.*}}, %{{.*}} axis = 0 : tensor<1536x384xbf16>, tensor<1536xf32> -> tensor<384xf32>
func.func @matvec(%w: tensor<1536x384xbf16>, %v: tensor<1536xf32>) -> tensor<384xf32> {
  %r = fp4.matvec %w, %v axis = 0 : tensor<1536x384xbf16>, tensor<1536xf32> -> tensor<384xf32>
  return %r : tensor<384xf32>
}

// CHECK-LABEL: @column_sum
// CHECK: fp4.column_sum %{{.*}} mask(%{{.*}} : tensor<?xi8>) : tensor<?x384xbf16> -> tensor<384xf32>
// CHECK: fp4.column_sum %{{.*}} : tensor<?x384xbf16> -> tensor<384xf32>
func.func @column_sum(%x: tensor<?x384xbf16>, %m: tensor<?xi8>) -> (tensor<384xf32>, tensor<384xf32>) {
  %s = fp4.column_sum %x mask(%m : tensor<?xi8>) : tensor<?x384xbf16> -> tensor<384xf32>
  %t = fp4.column_sum %x : tensor<?x384xbf16> -> tensor<384xf32>
  return %s, %t : tensor<384xf32>, tensor<384xf32>
}
