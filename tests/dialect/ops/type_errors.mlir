// What !fp4.quantized and fp4.name reject.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

func.func private @quantized_c1_valid(!fp4.quantized<4x32, nvfp4, block = 1x16, axis = 1>)
// expected-error @+1 {{expects a shape of 2 dimensions, but got 3}}
func.func private @quantized_c1(!fp4.quantized<4x32x1, nvfp4, block = 1x16, axis = 1>)

// -----

func.func private @quantized_c2_valid(!fp4.quantized<4x32, nvfp4, block = 1x16, axis = 0>)
// expected-error @+1 {{expects axis 0 or 1, but got 2}}
func.func private @quantized_c2(!fp4.quantized<4x32, nvfp4, block = 1x16, axis = 2>)

// -----

func.func private @quantized_c3_valid(!fp4.quantized<4x32, nvfp4, block = 16x16, axis = 1>)
// expected-error @+1 {{expects block 1x16 or 16x16 for nvfp4, but got 16x1}}
func.func private @quantized_c3(!fp4.quantized<4x32, nvfp4, block = 16x1, axis = 1>)

// -----

func.func private @quantized_c3_mx_valid(!fp4.quantized<4x32, mxfp4, block = 1x32, axis = 1>)
// expected-error @+1 {{expects block 1x32 for mxfp4, but got 1x16}}
func.func private @quantized_c3_mx(!fp4.quantized<4x32, mxfp4, block = 1x16, axis = 1>)

// -----

// expected-error @+1 {{unknown format 'int4'; expects nvfp4 or mxfp4}}
func.func private @format(!fp4.quantized<4x32, int4, block = 1x16, axis = 1>)

// -----

// expected-error @+1 {{expects a block of two extents such as 1x16, but got 1}}
func.func private @block(!fp4.quantized<4x32, nvfp4, block = 16, axis = 1>)

// -----

func.func private @fp4_name_c1_valid(tensor<f32> {fp4.name = "_a.b-1"})
// expected-error @+1 {{argument 0 expects 'fp4.name' to be a string of letters, digits, '_', '.' and '-' that starts with a letter or '_', but got "1a"}}
func.func private @fp4_name_c1(tensor<f32> {fp4.name = "1a"})

// -----

// expected-error @+1 {{result 0 expects 'fp4.name' to be a string of letters, digits, '_', '.' and '-' that starts with a letter or '_', but got 1 : i64}}
func.func private @fp4_name_c1_result() -> (tensor<f32> {fp4.name = 1})

// -----

func.func private @fp4_name_c2_valid(tensor<f32> {fp4.name = "a"}, tensor<f32> {fp4.name = "b"})
// expected-error @+1 {{arguments 0 and 1 are both named 'a'}}
func.func private @fp4_name_c2(tensor<f32> {fp4.name = "a"}, tensor<f32> {fp4.name = "a"})

// -----

// expected-error @+1 {{argument 0 has unknown attribute 'fp4.nane'; the dialect has 'fp4.name' and, for arguments, 'fp4.optional'}}
func.func private @attribute(tensor<f32> {fp4.nane = "a"})
