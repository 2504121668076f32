// What fp4.prologue rejects.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

func.func @prologue_c1_valid(%x: tensor<4x8xf32>) {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

func.func @prologue_c1(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects a result of the input's shape (4x8), but got (8x4)}}
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @prologue_c2_valid(%x: tensor<4x8xf32>, %r: tensor<8xf32>, %c: tensor<4xf32>) {
  %y = fp4.prologue %x rows(%r : tensor<8xf32>) cols(%c : tensor<4xf32>) full(%x : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %d: f32, %e: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

func.func @prologue_c2_rows(%x: tensor<4x8xf32>, %c: tensor<4xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects rows operands of the input's 8 columns, but got 4}}
  %y = fp4.prologue %x rows(%c : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c2_cols(%x: tensor<4x8xf32>, %r: tensor<8xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects cols operands of the input's 4 rows, but got 8}}
  %y = fp4.prologue %x cols(%r : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c2_full(%x: tensor<4x8xf32>, %f: tensor<8x4xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects full operands of the input's shape (4x8), but got (8x4)}}
  %y = fp4.prologue %x full(%f : tensor<8x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c3_valid(%x: tensor<4x8xbf16>, %r: tensor<8xbf16>) {
  %y = fp4.prologue %x rows(%r : tensor<8xbf16>) {
  ^bb0(%a: f32, %b: bf16):
    fp4.yield %a : f32
  } : tensor<4x8xbf16> -> tensor<4x8xf32>
  return
}

func.func @prologue_c3_count(%x: tensor<4x8xbf16>, %r: tensor<8xbf16>) {
  // expected-error @+1 {{'fp4.prologue' op expects a region of 2 arguments, one for the input and one for each operand, but got 1}}
  %y = fp4.prologue %x rows(%r : tensor<8xbf16>) {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xbf16> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c3_type(%x: tensor<4x8xbf16>, %r: tensor<8xbf16>) {
  // expected-error @+1 {{'fp4.prologue' op expects region argument 1 of type 'bf16', but got 'f32'}}
  %y = fp4.prologue %x rows(%r : tensor<8xbf16>) {
  ^bb0(%a: f32, %b: f32):
    fp4.yield %a : f32
  } : tensor<4x8xbf16> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c4_valid(%x: tensor<4x8xf32>) {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    %v = math.exp %a : f32
    fp4.yield %v : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

func.func @prologue_c4(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects only arith, math and fp4.call ops on scalars in its region, but got 'tensor.empty'}}
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    // expected-note @+1 {{it stands here}}
    %v = tensor.empty() : tensor<4xf32>
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c4_vector(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects only arith, math and fp4.call ops on scalars in its region, but got 'arith.constant'}}
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    // expected-note @+1 {{it stands here}}
    %v = arith.constant dense<0.0> : vector<4xf32>
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @prologue_c5_valid(%x: tensor<4x8xf32>) {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    %v = arith.truncf %a : f32 to bf16
    fp4.yield %v : bf16
  } : tensor<4x8xf32> -> tensor<4x8xbf16>
  return
}

func.func @prologue_c5(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'fp4.prologue' op expects the region to yield the result's element type 'bf16', but got 'f32'}}
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<4x8xf32> -> tensor<4x8xbf16>
  return
}
