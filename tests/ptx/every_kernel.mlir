// Uses every kernel kind in its rarer forms: both formats, 16x16 blocks, both axes, prologue, mask, centring, Hadamard, stochastic rounding,
// stored tensors, dequantization, both matvec axes, every kind of epilogue operand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @every_kernel(%x: tensor<?x?xbf16>, %w: tensor<?x?xf16>, %b: tensor<?xf32>, %z: tensor<?x?xbf16>, %seed: tensor<i64>,
                        %offset: tensor<i64>, %mask: tensor<?xi8>)
    -> (tensor<?x?xbf16>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?x?xf32>, tensor<?x?xf32>,
        tensor<?x?xf32>, tensor<?x?xbf16>, tensor<i64>) {
  %h = fp4.prologue %x rows(%b : tensor<?xf32>) {
  ^bb0(%a: f32, %bias: f32):
    %s = arith.addf %a, %bias : f32
    %t = math.tanh %s : f32
    fp4.yield %t : f32
  } : tensor<?x?xbf16> -> tensor<?x?xf32>
  %mu, %c = fp4.center %h mask(%mask : tensor<?xi8>) : tensor<?x?xf32> -> tensor<?xf32>, tensor<?x?xf32>
  %t = fp4.hadamard %c axis = 1 : tensor<?x?xf32> -> tensor<?x?xf32>
  %ts, %ta = fp4.block_scale %t nvfp4 block = 1x16 axis = 1 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qt = fp4.quantize %t scales(%ts : tensor<?x?xf8E4M3FN>) amax(%ta) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %g = fp4.hadamard %w axis = 1 : tensor<?x?xf16> -> tensor<?x?xf32>
  %gs, %ga = fp4.block_scale %g nvfp4 block = 16x16 axis = 1 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %g scales(%gs : tensor<?x?xf8E4M3FN>) amax(%ga)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1>
  // Rows and columns of one tensor in 16x16 blocks; columns transformed; columns of 1x32.
  %ws, %wa = fp4.block_scale %w nvfp4 block = 16x16 axis = 1 : tensor<?x?xf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %wr = fp4.quantize %w scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wa)
      : tensor<?x?xf16> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1>
  %wts, %wta = fp4.block_scale %w nvfp4 block = 16x16 axis = 0 : tensor<?x?xf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %wc = fp4.quantize %w scales(%wts : tensor<?x?xf8E4M3FN>) amax(%wta)
      : tensor<?x?xf16> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0>
  %wv = fp4.dequantize %wr : !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1> -> tensor<?x?xf32>
  %wu = fp4.dequantize %wc : !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0> -> tensor<?x?xf32>
  %ch = fp4.hadamard %c axis = 0 : tensor<?x?xf32> -> tensor<?x?xf32>
  %cs, %ca = fp4.block_scale %ch nvfp4 block = 1x16 axis = 0 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qc = fp4.quantize %ch scales(%cs : tensor<?x?xf8E4M3FN>) amax(%ca) stochastic seed(%seed) offset(%offset) stream = 1
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %acc = fp4.matmul %qt, %qw : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
      !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1> -> tensor<?x?xf32>
  %r = fp4.matvec %w, %mu axis = 1 : tensor<?x?xf16>, tensor<?xf32> -> tensor<?xf32>
  %y = fp4.epilogue %acc rows(%r : tensor<?xf32>) full(%z : tensor<?x?xbf16>) {
  ^bb0(%a: f32, %m: f32, %skip: bf16):
    %s0 = arith.addf %a, %m : f32
    %s1 = arith.extf %skip : bf16 to f32
    %s2 = arith.addf %s0, %s1 : f32
    %o = arith.truncf %s2 : f32 to bf16
    fp4.yield %o : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  %xs = fp4.block_scale %x mxfp4 block = 1x32 axis = 1 : tensor<?x?xbf16> -> tensor<?x?xf8E8M0FNU>
  %mx = fp4.quantize %x scales(%xs : tensor<?x?xf8E8M0FNU>) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 1>
  %xcs = fp4.block_scale %x mxfp4 block = 1x32 axis = 0 : tensor<?x?xbf16> -> tensor<?x?xf8E8M0FNU>
  %mxc = fp4.quantize %x scales(%xcs : tensor<?x?xf8E8M0FNU>) stochastic seed(%seed) offset(%offset) stream = 1
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 0>
  %vs = fp4.block_scale %w mxfp4 block = 1x32 axis = 1 : tensor<?x?xf16> -> tensor<?x?xf8E8M0FNU>
  %mw = fp4.quantize %w scales(%vs : tensor<?x?xf8E8M0FNU>)
      : tensor<?x?xf16> -> !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 1>
  %mxacc = fp4.matmul %mx, %mw : !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 1>,
      !fp4.quantized<?x?, mxfp4, block = 1x32, axis = 1> -> tensor<?x?xf32>
  %sum = fp4.column_sum %w : tensor<?x?xf16> -> tensor<?xf32>
  %back = fp4.matvec %w, %r axis = 0 : tensor<?x?xf16>, tensor<?xf32> -> tensor<?xf32>
  // The transform along tokens in memory as well, and arguments that are copied.
  return %y, %mxacc, %c, %sum, %back, %wv, %wu, %ch, %x, %seed
      : tensor<?x?xbf16>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>,
        tensor<?x?xbf16>, tensor<i64>
}
