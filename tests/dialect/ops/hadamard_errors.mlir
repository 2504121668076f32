// What fp4.hadamard rejects.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

func.func @hadamard_c1_valid(%x: tensor<4x16xf32>) {
  %h = fp4.hadamard %x axis = 1 : tensor<4x16xf32> -> tensor<4x16xf32>
  return
}

func.func @hadamard_c1(%x: tensor<4x16xf32>) {
  // expected-error @+1 {{'fp4.hadamard' op expects a result of shape (4x16), the input's with whole groups of 16 along axis 1, but got (4x32)}}
  %h = fp4.hadamard %x axis = 1 : tensor<4x16xf32> -> tensor<4x32xf32>
  return
}

// -----

func.func @hadamard_c1_partial_group_valid(%x: tensor<20x16xf32>) {
  %h = fp4.hadamard %x axis = 0 : tensor<20x16xf32> -> tensor<32x16xf32>
  return
}

func.func @hadamard_c1_partial_group(%x: tensor<20x16xf32>) {
  // expected-error @+1 {{'fp4.hadamard' op expects a result of shape (32x16), the input's with whole groups of 16 along axis 0, but got (20x16)}}
  %h = fp4.hadamard %x axis = 0 : tensor<20x16xf32> -> tensor<20x16xf32>
  return
}

// -----

func.func @hadamard_c2_valid(%x: tensor<16x16xf32>) {
  %h = fp4.hadamard %x axis = 0 : tensor<16x16xf32> -> tensor<16x16xf32>
  return
}

func.func @hadamard_c2(%x: tensor<16x16xf32>) {
  // expected-error @+1 {{'fp4.hadamard' op expects axis 0 or 1, but got 2}}
  %h = fp4.hadamard %x axis = 2 : tensor<16x16xf32> -> tensor<16x16xf32>
  return
}

// -----

func.func @hadamard_c3_valid(%x: tensor<4x16xf32>) {
  %h = fp4.hadamard %x axis = 1 signs = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1] : tensor<4x16xf32> -> tensor<4x16xf32>
  return
}

func.func @hadamard_c3_count(%x: tensor<4x16xf32>) {
  // expected-error @+1 {{'fp4.hadamard' op expects 16 signs, but got 2}}
  %h = fp4.hadamard %x axis = 1 signs = [1, -1] : tensor<4x16xf32> -> tensor<4x16xf32>
  return
}

// -----

func.func @hadamard_c3_value(%x: tensor<4x16xf32>) {
  // expected-error @+1 {{'fp4.hadamard' op expects signs of 1 or -1, but got 2}}
  %h = fp4.hadamard %x axis = 1 signs = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2] : tensor<4x16xf32> -> tensor<4x16xf32>
  return
}
