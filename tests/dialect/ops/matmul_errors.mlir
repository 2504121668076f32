// What fp4.matmul, fp4.matvec and fp4.column_sum reject.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

!mx = !fp4.quantized<8x64, mxfp4, block = 1x32, axis = 1>
!nv = !fp4.quantized<8x64, nvfp4, block = 1x16, axis = 1>

func.func @matmul_c1_valid(%a: !nv, %b: !nv) {
  %c = fp4.matmul %a, %b : !nv, !nv -> tensor<8x8xf32>
  return
}

func.func @matmul_c1(%a: !nv, %b: !mx) {
  // expected-error @+1 {{'fp4.matmul' op expects operands of one format, but got nvfp4 and mxfp4}}
  %c = fp4.matmul %a, %b : !nv, !mx -> tensor<8x8xf32>
  return
}

// -----

!rows = !fp4.quantized<64x32, nvfp4, block = 1x16, axis = 1>
!columns = !fp4.quantized<64x32, nvfp4, block = 1x16, axis = 0>

func.func @matmul_c2_valid(%a: !rows, %b: !rows) {
  %c = fp4.matmul %a, %b : !rows, !rows -> tensor<64x64xf32>
  return
}

func.func @matmul_c2(%a: !rows, %b: !columns) {
  // expected-error @+1 {{'fp4.matmul' op contracts the left operand's axis 1 (32) with the right operand's axis 0 (64): the scaled axes must have equal extents}}
  %c = fp4.matmul %a, %b : !rows, !columns -> tensor<64x32xf32>
  return
}

// -----

!a = !fp4.quantized<8x64, nvfp4, block = 1x16, axis = 1>
!b = !fp4.quantized<4x64, nvfp4, block = 1x16, axis = 1>

func.func @matmul_c3_valid(%a: !a, %b: !b) {
  %c = fp4.matmul %a, %b : !a, !b -> tensor<8x4xf32>
  return
}

func.func @matmul_c3(%a: !a, %b: !b) {
  // expected-error @+1 {{'fp4.matmul' op expects a result of shape (8x4), the extents that are not contracted, but got (4x8)}}
  %c = fp4.matmul %a, %b : !a, !b -> tensor<4x8xf32>
  return
}

// -----

func.func @matvec_c1_valid(%w: tensor<4x4xf32>, %v: tensor<4xf32>) {
  %r = fp4.matvec %w, %v axis = 1 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

func.func @matvec_c1(%w: tensor<4x4xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{'fp4.matvec' op expects axis 0 or 1, but got 2}}
  %r = fp4.matvec %w, %v axis = 2 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @matvec_c2_valid(%w: tensor<4x8xf32>, %v: tensor<8xf32>) {
  %r = fp4.matvec %w, %v axis = 1 : tensor<4x8xf32>, tensor<8xf32> -> tensor<4xf32>
  return
}

func.func @matvec_c2(%w: tensor<4x8xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{'fp4.matvec' op expects a vector of the matrix's extent 4 along axis 0, but got 8}}
  %r = fp4.matvec %w, %v axis = 0 : tensor<4x8xf32>, tensor<8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @matvec_c3_valid(%w: tensor<4x8xf32>, %v: tensor<4xf32>) {
  %r = fp4.matvec %w, %v axis = 0 : tensor<4x8xf32>, tensor<4xf32> -> tensor<8xf32>
  return
}

func.func @matvec_c3(%w: tensor<4x8xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{'fp4.matvec' op expects a result of the matrix's extent 8 along axis 1, but got 4}}
  %r = fp4.matvec %w, %v axis = 0 : tensor<4x8xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @column_sum_c1_valid(%x: tensor<4x8xf32>) {
  %s = fp4.column_sum %x : tensor<4x8xf32> -> tensor<8xf32>
  return
}

func.func @column_sum_c1(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.column_sum' op expects a result of one value for each of the input's 8 columns, but got 4}}
  %s = fp4.column_sum %x : tensor<4x8xf32> -> tensor<4xf32>
  return
}

// -----

func.func @column_sum_c2_valid(%x: tensor<4x8xf32>, %m: tensor<4xi8>) {
  %s = fp4.column_sum %x mask(%m : tensor<4xi8>) : tensor<4x8xf32> -> tensor<8xf32>
  return
}

func.func @column_sum_c2(%x: tensor<4x8xf32>, %m: tensor<8xi8>) {
  // expected-error @+1 {{'fp4.column_sum' op expects a mask of one byte for each of the input's 4 rows, but got 8}}
  %s = fp4.column_sum %x mask(%m : tensor<8xi8>) : tensor<4x8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @matmul_c1_dense_valid(%x: tensor<4x8xbf16>, %w: tensor<5x8xbf16>) {
  %r = fp4.matmul %x, %w axes = [1, 1] : tensor<4x8xbf16>, tensor<5x8xbf16> -> tensor<4x5xf32>
  return
}

func.func @matmul_c1_dense(%x: tensor<4x8xbf16>, %w: tensor<5x8xf16>) {
  // expected-error @+1 {{'fp4.matmul' op expects two quantized operands, or two dense ones of one element type, but got 'tensor<4x8xbf16>' and 'tensor<5x8xf16>'}}
  %r = fp4.matmul %x, %w axes = [1, 1] : tensor<4x8xbf16>, tensor<5x8xf16> -> tensor<4x5xf32>
  return
}

// -----

func.func @matmul_c2_dense(%x: tensor<4x8xbf16>, %w: tensor<5x8xbf16>) {
  // expected-error @+1 {{'fp4.matmul' op contracts the left operand's axis 1 (8) with the right operand's axis 0 (5): the contracted axes must have equal extents}}
  %r = fp4.matmul %x, %w axes = [1, 0] : tensor<4x8xbf16>, tensor<5x8xbf16> -> tensor<4x8xf32>
  return
}

// -----

func.func @matmul_c4_valid(%x: tensor<8x4xbf16>, %w: tensor<8x5xbf16>) {
  %r = fp4.matmul %x, %w axes = [0, 0] : tensor<8x4xbf16>, tensor<8x5xbf16> -> tensor<4x5xf32>
  return
}

func.func @matmul_c4(%x: tensor<4x8xbf16>, %w: tensor<5x8xbf16>) {
  // expected-error @+1 {{'fp4.matmul' op expects axes = [A, B], the contracted axis of each dense operand}}
  %r = fp4.matmul %x, %w : tensor<4x8xbf16>, tensor<5x8xbf16> -> tensor<4x5xf32>
  return
}

// -----

func.func @matmul_c4_values(%x: tensor<4x8xbf16>, %w: tensor<5x8xbf16>) {
  // expected-error @+1 {{'fp4.matmul' op expects two axes of 0 or 1, but got [1, 2]}}
  %r = fp4.matmul %x, %w axes = [1, 2] : tensor<4x8xbf16>, tensor<5x8xbf16> -> tensor<4x5xf32>
  return
}

// -----

func.func @matmul_c4_quantized(%q: !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>) {
  // expected-error @+1 {{'fp4.matmul' op expects no axes: the types of quantized operands have them}}
  %r = fp4.matmul %q, %q axes = [1, 1] : !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>, !fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1> -> tensor<4x4xf32>
  return
}
