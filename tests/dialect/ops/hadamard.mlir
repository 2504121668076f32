// fp4.hadamard survives every printed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s --verify-roundtrip | FileCheck %s
// RUN: fourfold-opt %s -mlir-print-op-generic | fourfold-opt | FileCheck %s
// RUN: fourfold-opt %s -emit-bytecode | fourfold-opt | FileCheck %s

// Default signs are not printed.
// CHECK-LABEL: @default_signs
// CHECK: fp4.hadamard %{{.*}} axis = 1 : tensor<?x384xbf16> -> tensor<?x384xf32>
func.func @default_signs(%x: tensor<?x384xbf16>) -> tensor<?x384xf32> {
  %h = fp4.hadamard %x axis = 1 : tensor<?x384xbf16> -> tensor<?x384xf32>
  return %h : tensor<?x384xf32>
}

// Others are.
// CHECK-LABEL: @own_signs
// CHECK: fp4.hadamard %{{.*}} axis = 0 signs = [1, 1, 1, 1, 1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1, 1] : tensor<32x5xf32> -> tensor<32x5xf32>
func.func @own_signs(%x: tensor<32x5xf32>) -> tensor<32x5xf32> {
  %h = fp4.hadamard %x axis = 0 signs = [1, 1, 1, 1, 1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1, 1] : tensor<32x5xf32> -> tensor<32x5xf32>
  return %h : tensor<32x5xf32>
}
