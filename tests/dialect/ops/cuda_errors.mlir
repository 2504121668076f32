// What fp4.cuda and fp4.call reject.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: fourfold-opt %s -verify-diagnostics -split-input-file

fp4.cuda @cuda_c1_valid : (f32) -> f32 file = "gelu.cu"

// -----

// expected-error @+1 {{'fp4.cuda' op expects a name that is a C identifier, but got 'cuda_c1.gelu'}}
fp4.cuda @cuda_c1.gelu : (f32) -> f32 file = "gelu.cu"

// -----

func.func private @cuda_c1()

// -----

fp4.cuda @cuda_c2_valid : (f32, i32) -> f32 file = "gelu.cu"

// -----

// expected-error @+1 {{'fp4.cuda' op 'cuda_c2' expects arguments of f32 or i32 and one result of f32, but got '(bf16) -> f32'}}
fp4.cuda @cuda_c2 : (bf16) -> f32 file = "gelu.cu"

// -----

// expected-error @+1 {{'fp4.cuda' op 'cuda_c2_results' expects arguments of f32 or i32 and one result of f32, but got '(f32) -> (f32, f32)'}}
fp4.cuda @cuda_c2_results : (f32) -> (f32, f32) file = "gelu.cu"

// -----

fp4.cuda @cuda_c3_valid : () -> f32 source = "extern \"C\" __device__ float cuda_c3_valid() { return 1.0f; }"

// -----

// expected-error @+1 {{'fp4.cuda' op 'cuda_c3' expects either file = "..." or source = "...", but got neither}}
fp4.cuda @cuda_c3 : (f32) -> f32

// -----

// expected-error @+1 {{'fp4.cuda' op 'cuda_c3_both' expects either file = "..." or source = "...", but got both}}
fp4.cuda @cuda_c3_both : (f32) -> f32 file = "gelu.cu" source = "..."

// -----

fp4.cuda @gelu : (f32) -> f32 file = "gelu.cu"

func.func @call_c1_valid(%x: tensor<?x?xf32>) {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    %g = fp4.call @gelu(%a) : (f32) -> f32
    fp4.yield %g : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return
}

// -----

func.func @call_c1(%x: tensor<?x?xf32>) {
  %y = fp4.prologue %x {
  ^bb0(%a: f32):
    // expected-error @+1 {{'fp4.call' op calls 'gelu', but the module has no fp4.cuda of that name}}
    %g = fp4.call @gelu(%a) : (f32) -> f32
    fp4.yield %g : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return
}

// -----

fp4.cuda @pick : (f32, i32) -> f32 file = "pick.cu"

func.func @call_c2_valid(%x: tensor<?x?xf32>) {
  %y = fp4.epilogue %x {
  ^bb0(%a: f32):
    %i = arith.bitcast %a : f32 to i32
    %g = fp4.call @pick(%a, %i) : (f32, i32) -> f32
    fp4.yield %g : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return
}

// -----

// expected-note @+1 {{it is declared here}}
fp4.cuda @pick : (f32, i32) -> f32 file = "pick.cu"

func.func @call_c2(%x: tensor<?x?xf32>) {
  %y = fp4.epilogue %x {
  ^bb0(%a: f32):
    // expected-error @+1 {{'fp4.call' op calls 'pick' as '(f32) -> f32', but it is declared as '(f32, i32) -> f32'}}
    %g = fp4.call @pick(%a) : (f32) -> f32
    fp4.yield %g : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return
}
