// fp4.block_scale survives every printed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s --verify-roundtrip | FileCheck %s
// RUN: fourfold-opt %s -mlir-print-op-generic | fourfold-opt | FileCheck %s
// RUN: fourfold-opt %s -emit-bytecode | fourfold-opt | FileCheck %s

// CHECK-LABEL: @rows
// CHECK: fp4.block_scale %{{.*}} nvfp4 block = 1x16 axis = 1 : tensor<?x40xbf16> -> tensor<?x3xf8E4M3FN>, tensor<f32>
func.func @rows(%x: tensor<?x40xbf16>) -> tensor<f32> {
  %s, %amax = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<?x40xbf16> -> tensor<?x3xf8E4M3FN>, tensor<f32>
  return %amax : tensor<f32>
}

// Square blocks on ragged extents.
// CHECK-LABEL: @square
// CHECK: fp4.block_scale %{{.*}} nvfp4 block = 16x16 axis = 0 : tensor<17x40xf32> -> tensor<2x3xf8E4M3FN>, tensor<f32>
func.func @square(%x: tensor<17x40xf32>) -> tensor<f32> {
  %s, %amax = fp4.block_scale %x nvfp4 block = 16x16 axis = 0 : tensor<17x40xf32> -> tensor<2x3xf8E4M3FN>, tensor<f32>
  return %amax : tensor<f32>
}

// mxfp4 has no amax.
// CHECK-LABEL: @mx
// CHECK: %{{.*}} = fp4.block_scale %{{.*}} mxfp4 block = 1x32 axis = 0 : tensor<64x?xf16> -> tensor<2x?xf8E8M0FNU>{{$}}
func.func @mx(%x: tensor<64x?xf16>) -> tensor<2x?xf8E8M0FNU> {
  %s = fp4.block_scale %x mxfp4 block = 1x32 axis = 0 : tensor<64x?xf16> -> tensor<2x?xf8E8M0FNU>
  return %s : tensor<2x?xf8E8M0FNU>
}
