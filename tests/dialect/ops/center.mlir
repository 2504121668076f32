// fp4.center survives every printed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s --verify-roundtrip | FileCheck %s
// RUN: fourfold-opt %s -mlir-print-op-generic | fourfold-opt | FileCheck %s
// RUN: fourfold-opt %s -emit-bytecode | fourfold-opt | FileCheck %s

// Without a mask, static and dynamic.
// CHECK-LABEL: @plain
// CHECK: %{{.*}}, %{{.*}} = fp4.center %{{.*}} : tensor<?x384xbf16> -> tensor<384xf32>, tensor<?x384xf32>
func.func @plain(%x: tensor<?x384xbf16>) -> tensor<?x384xf32> {
  %mu, %xr = fp4.center %x : tensor<?x384xbf16> -> tensor<384xf32>, tensor<?x384xf32>
  return %xr : tensor<?x384xf32>
}

// The mask keeps its type.
// CHECK-LABEL: @masked
// CHECK: fp4.center %{{.*}} mask(%{{.*}} : tensor<?xi8>) : tensor<?x?xf16> -> tensor<?xf32>, tensor<?x?xf32>
func.func @masked(%x: tensor<?x?xf16>, %m: tensor<?xi8>) -> tensor<?x?xf32> {
  %mu, %xr = fp4.center %x mask(%m : tensor<?xi8>) : tensor<?x?xf16> -> tensor<?xf32>, tensor<?x?xf32>
  return %xr : tensor<?x?xf32>
}
