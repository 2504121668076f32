// fp4.quantize and fp4.dequantize survive every printed form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s --verify-roundtrip | FileCheck %s
// RUN: fourfold-opt %s -mlir-print-op-generic | fourfold-opt | FileCheck %s
// RUN: fourfold-opt %s -emit-bytecode | fourfold-opt | FileCheck %s

// Nearest rounding is not printed.
// CHECK-LABEL: @nearest
// CHECK: fp4.quantize %{{.*}} scales(%{{.*}} : tensor<?x24xf8E4M3FN>) amax(%{{.*}}) : tensor<?x384xbf16> -> !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>
// CHECK: fp4.dequantize %{{.*}} : !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1> -> tensor<?x384xf32>
func.func @nearest(%x: tensor<?x384xbf16>, %s: tensor<?x24xf8E4M3FN>, %a: tensor<f32>) -> tensor<?x384xf32> {
  %q = fp4.quantize %x scales(%s : tensor<?x24xf8E4M3FN>) amax(%a) nearest : tensor<?x384xbf16> -> !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>
  %v = fp4.dequantize %q : !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1> -> tensor<?x384xf32>
  return %v : tensor<?x384xf32>
}

// CHECK-LABEL: @stochastic
// CHECK: fp4.quantize %{{.*}} scales(%{{.*}} : tensor<?x?xf8E8M0FNU>) stochastic seed(%{{.*}}) offset(%{{.*}}) : tensor<?x?xf32> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
func.func @stochastic(%x: tensor<?x?xf32>, %s: tensor<?x?xf8E8M0FNU>, %seed: tensor<i64>, %offset: tensor<i64>) -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0> {
  %q = fp4.quantize %x scales(%s : tensor<?x?xf8E8M0FNU>) stochastic seed(%seed) offset(%offset) : tensor<?x?xf32> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
  return %q : !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
}
