// What fp4.quantize and fp4.dequantize reject.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

!row = !fp4.quantized<4x32, nvfp4, block = 1x16, axis = 1>

func.func @quantize_c1_valid(%x: tensor<4x32xf32>, %s: tensor<4x2xf8E4M3FN>, %a: tensor<f32>) {
  %q = fp4.quantize %x scales(%s : tensor<4x2xf8E4M3FN>) amax(%a) : tensor<4x32xf32> -> !row
  return
}

func.func @quantize_c1(%x: tensor<5x32xf32>, %s: tensor<4x2xf8E4M3FN>, %a: tensor<f32>) {
  // expected-error @+1 {{'fp4.quantize' op expects a result of the input's shape (5x32), but got (4x32)}}
  %q = fp4.quantize %x scales(%s : tensor<4x2xf8E4M3FN>) amax(%a) : tensor<5x32xf32> -> !row
  return
}

// -----

func.func @quantize_c2_valid(%x: tensor<4x32xf32>, %s: tensor<1x32xf8E4M3FN>, %a: tensor<f32>) {
  %q = fp4.quantize %x scales(%s : tensor<1x32xf8E4M3FN>) amax(%a) : tensor<4x32xf32> -> !fp4.quantized<4x32, nvfp4, block = 1x16, axis = 0>
  return
}

// Scales along the other axis.
func.func @quantize_c2(%x: tensor<4x32xf32>, %s: tensor<1x32xf8E4M3FN>, %a: tensor<f32>) {
  // expected-error @+1 {{'fp4.quantize' op expects scales of shape (4x2) for an input of shape (4x32) and block 1x16 along axis 1, but got (1x32)}}
  %q = fp4.quantize %x scales(%s : tensor<1x32xf8E4M3FN>) amax(%a) : tensor<4x32xf32> -> !fp4.quantized<4x32, nvfp4, block = 1x16, axis = 1>
  return
}

// -----

func.func @quantize_c3_valid(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>) {
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

func.func @quantize_c3(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E4M3FN>) {
  // expected-error @+1 {{'fp4.quantize' op expects scales of f8E8M0FNU for mxfp4, but got 'f8E4M3FN'}}
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E4M3FN>) : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

// -----

func.func @quantize_c4_valid(%x: tensor<4x32xf32>, %s: tensor<4x2xf8E4M3FN>, %a: tensor<f32>) {
  %q = fp4.quantize %x scales(%s : tensor<4x2xf8E4M3FN>) amax(%a) : tensor<4x32xf32> -> !fp4.quantized<4x32, nvfp4, block = 1x16, axis = 1>
  return
}

func.func @quantize_c4(%x: tensor<4x32xf32>, %s: tensor<4x2xf8E4M3FN>) {
  // expected-error @+1 {{'fp4.quantize' op expects an amax for nvfp4, but got none}}
  %q = fp4.quantize %x scales(%s : tensor<4x2xf8E4M3FN>) : tensor<4x32xf32> -> !fp4.quantized<4x32, nvfp4, block = 1x16, axis = 1>
  return
}

// -----

func.func @quantize_c4_mx(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>, %a: tensor<f32>) {
  // expected-error @+1 {{'fp4.quantize' op expects no amax for mxfp4, but got one}}
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) amax(%a) : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

// -----

func.func @quantize_c5_valid(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>, %i: tensor<i64>) {
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) stochastic seed(%i) offset(%i) : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

func.func @quantize_c5(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>, %i: tensor<i64>) {
  // expected-error @+1 {{'fp4.quantize' op expects seed and offset with stochastic rounding, but got}}
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) stochastic seed(%i) : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

// -----

func.func @quantize_c5_nearest(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>, %i: tensor<i64>) {
  // expected-error @+1 {{'fp4.quantize' op expects neither seed nor offset with nearest rounding, but got}}
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) seed(%i) offset(%i) : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

// -----

func.func @quantize_c6_valid(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>, %i: tensor<i64>) {
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) stochastic seed(%i) offset(%i) stream = 255 : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

func.func @quantize_c6(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>, %i: tensor<i64>) {
  // expected-error @+1 {{'fp4.quantize' op expects stream 0 to 255 with stochastic rounding, but got 256}}
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) stochastic seed(%i) offset(%i) stream = 256 : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

// -----

func.func @quantize_c6_nearest(%x: tensor<4x32xf32>, %s: tensor<4x1xf8E8M0FNU>) {
  // expected-error @+1 {{'fp4.quantize' op expects stream 0 with nearest rounding, but got 1}}
  %q = fp4.quantize %x scales(%s : tensor<4x1xf8E8M0FNU>) stream = 1 : tensor<4x32xf32> -> !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>
  return
}

// -----

func.func @dequantize_c1_valid(%q: !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>) {
  %v = fp4.dequantize %q : !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1> -> tensor<?x32xf32>
  return
}

func.func @dequantize_c1(%q: !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>) {
  // expected-error @+1 {{'fp4.dequantize' op expects a result of the input's shape (4x32), but got (32x4)}}
  %v = fp4.dequantize %q : !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1> -> tensor<32x4xf32>
  return
}
