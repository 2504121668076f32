// What fp4.block_scale rejects.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

func.func @block_scale_c1_valid(%x: tensor<4x32xf32>) {
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<4x32xf32> -> tensor<4x2xf8E4M3FN>, tensor<f32>
  return
}

func.func @block_scale_c1(%x: tensor<4x32xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects axis 0 or 1, but got -1}}
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = -1 : tensor<4x32xf32> -> tensor<4x2xf8E4M3FN>, tensor<f32>
  return
}

// -----

func.func @block_scale_c2_valid(%x: tensor<4x32xf32>) {
  %s, %a = fp4.block_scale %x nvfp4 block = 16x16 axis = 1 : tensor<4x32xf32> -> tensor<1x2xf8E4M3FN>, tensor<f32>
  return
}

func.func @block_scale_c2(%x: tensor<4x32xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects block 1x16 or 16x16 for nvfp4, but got 1x32}}
  %s, %a = fp4.block_scale %x nvfp4 block = 1x32 axis = 1 : tensor<4x32xf32> -> tensor<4x1xf8E4M3FN>, tensor<f32>
  return
}

// -----

func.func @block_scale_c2_mx(%x: tensor<32x32xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects block 1x32 for mxfp4, but got 16x16}}
  %s = fp4.block_scale %x mxfp4 block = 16x16 axis = 1 : tensor<32x32xf32> -> tensor<2x2xf8E8M0FNU>
  return
}

// -----

func.func @block_scale_c3_valid(%x: tensor<4x32xf32>) {
  %s = fp4.block_scale %x mxfp4 block = 1x32 axis = 1 : tensor<4x32xf32> -> tensor<4x1xf8E8M0FNU>
  return
}

func.func @block_scale_c3(%x: tensor<4x32xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects scales of f8E8M0FNU for mxfp4, but got 'f8E4M3FN'}}
  %s = fp4.block_scale %x mxfp4 block = 1x32 axis = 1 : tensor<4x32xf32> -> tensor<4x1xf8E4M3FN>
  return
}

// -----

func.func @block_scale_c4_valid(%x: tensor<128x96xf32>) {
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<128x96xf32> -> tensor<128x6xf8E4M3FN>, tensor<f32>
  return
}

func.func @block_scale_c4(%x: tensor<128x96xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects scales of shape (128x6) for an input of shape (128x96) and block 1x16 along axis 1, but got (128x5)}}
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<128x96xf32> -> tensor<128x5xf8E4M3FN>, tensor<f32>
  return
}

// -----

func.func @block_scale_c5_valid(%x: tensor<4x32xf32>) {
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 0 : tensor<4x32xf32> -> tensor<1x32xf8E4M3FN>, tensor<f32>
  return
}

func.func @block_scale_c5(%x: tensor<4x32xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects an amax result for nvfp4, but got none}}
  %s = fp4.block_scale %x nvfp4 block = 1x16 axis = 0 : tensor<4x32xf32> -> tensor<1x32xf8E4M3FN>
  return
}

// -----

func.func @block_scale_c5_mx(%x: tensor<4x32xf32>) {
  // expected-error @+1 {{'fp4.block_scale' op expects no amax result for mxfp4, but got one}}
  %s, %a = fp4.block_scale %x mxfp4 block = 1x32 axis = 1 : tensor<4x32xf32> -> tensor<4x1xf8E8M0FNU>, tensor<f32>
  return
}
