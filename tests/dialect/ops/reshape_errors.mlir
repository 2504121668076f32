// What fp4.reshape rejects.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

func.func @reshape_c1_valid(%m: tensor<384xf32>, %r: tensor<1x?xbf16>) {
  %a = fp4.reshape %m : tensor<384xf32> -> tensor<1x384xf32>
  %b = fp4.reshape %r : tensor<1x?xbf16> -> tensor<?xbf16>
  return
}

func.func @reshape_c1(%m: tensor<384xf32>) {
  // expected-error @+1 {{'fp4.reshape' op expects a vector and a matrix of one row, but got 'tensor<384xf32>' and 'tensor<2x192xf32>'}}
  %a = fp4.reshape %m : tensor<384xf32> -> tensor<2x192xf32>
  return
}

// -----

func.func @reshape_c1_ranks(%m: tensor<1x384xf32>) {
  // expected-error @+1 {{'fp4.reshape' op expects a vector and a matrix of one row, but got 'tensor<1x384xf32>' and 'tensor<1x384xf32>'}}
  %a = fp4.reshape %m : tensor<1x384xf32> -> tensor<1x384xf32>
  return
}

// -----

func.func @reshape_c2_valid(%m: tensor<384xf32>) {
  %a = fp4.reshape %m : tensor<384xf32> -> tensor<1x?xf32>
  return
}

func.func @reshape_c2(%m: tensor<384xf32>) {
  // expected-error @+1 {{'fp4.reshape' op expects equal extents and element types, but got 'tensor<384xf32>' and 'tensor<1x383xf32>'}}
  %a = fp4.reshape %m : tensor<384xf32> -> tensor<1x383xf32>
  return
}

// -----

func.func @reshape_c2_types(%m: tensor<384xf32>) {
  // expected-error @+1 {{'fp4.reshape' op expects equal extents and element types, but got 'tensor<384xf32>' and 'tensor<1x384xbf16>'}}
  %a = fp4.reshape %m : tensor<384xf32> -> tensor<1x384xbf16>
  return
}

// -----

// expected-error @+1 {{argument 0 expects 'fp4.optional' to be a unit attribute, but got 1}}
func.func @fp4_optional_c1(%b: tensor<384xf32> {fp4.optional = 1 : i32}) {
  return
}

// -----

func.func @fp4_optional_c1_valid(%b: tensor<384xf32> {fp4.optional}) {
  return
}
