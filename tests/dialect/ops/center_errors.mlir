// What fp4.center rejects.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

func.func @center_c1_valid(%x: tensor<4x8xf32>) {
  %mu, %xr = fp4.center %x : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
  return
}

func.func @center_c1(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.center' op expects a residual of the input's shape (4x8), but got (8x4)}}
  %mu, %xr = fp4.center %x : tensor<4x8xf32> -> tensor<8xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @center_c2_valid(%x: tensor<4x8xf32>) {
  %mu, %xr = fp4.center %x : tensor<4x8xf32> -> tensor<?xf32>, tensor<4x8xf32>
  return
}

func.func @center_c2(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.center' op expects a mean of one value for each of the input's 8 columns, but got 4}}
  %mu, %xr = fp4.center %x : tensor<4x8xf32> -> tensor<4xf32>, tensor<4x8xf32>
  return
}

// -----

func.func @center_c3_valid(%x: tensor<4x8xf32>, %m: tensor<4xi8>) {
  %mu, %xr = fp4.center %x mask(%m : tensor<4xi8>) : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
  return
}

func.func @center_c3(%x: tensor<4x8xf32>, %m: tensor<8xi8>) {
  // expected-error @+1 {{'fp4.center' op expects a mask of one byte for each of the input's 4 rows, but got 8}}
  %mu, %xr = fp4.center %x mask(%m : tensor<8xi8>) : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
  return
}
