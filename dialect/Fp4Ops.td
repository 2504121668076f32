// The ops of the fp4 dialect, in the order data flows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_DIALECT_FP4OPS_TD
#define FOURFOLD_DIALECT_FP4OPS_TD

include "Fp4Dialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"

class Fp4_Op<string mnemonic, list<Trait> traits = []> : Op<Fp4_Dialect, mnemonic, traits>;

/// A matrix of real numbers.
def Fp4_Matrix : 2DTensorOf<[F32, BF16, F16]>;
/// A vector of real numbers.
def Fp4_Vector : 1DTensorOf<[F32, BF16, F16]>;
/// A vector of real numbers or of mask bytes.
def Fp4_VectorOrMask : 1DTensorOf<[F32, BF16, F16, I8]>;
def Fp4_F32Matrix : 2DTensorOf<[F32]>;
def Fp4_F32Vector : 1DTensorOf<[F32]>;
/// Buildable, so that the syntax can leave the type out.
def Fp4_F32Scalar : Type<0DTensorOf<[F32]>.predicate, "0-d tensor of f32", "::mlir::RankedTensorType">,
    BuildableType<"::mlir::RankedTensorType::get({}, $_builder.getF32Type())">;
def Fp4_ScalarTensor : 0DTensorOf<[F32, BF16, F16]>;
def Fp4_Mask : 1DTensorOf<[I8]>;
def Fp4_Seed : Type<0DTensorOf<[I64]>.predicate, "0-d tensor of i64", "::mlir::RankedTensorType">,
    BuildableType<"::mlir::RankedTensorType::get({}, $_builder.getI64Type())">;
def Fp4_Scales : 2DTensorOf<[F8E4M3FN, F8E8M0FNU]>;

class Fp4_ElementOp<string mnemonic> : Fp4_Op<mnemonic, [Pure, AttrSizedOperandSegments, SingleBlock,
    IsolatedFromAbove]> {
  let arguments = (ins Fp4_Matrix:$input, Variadic<Fp4_Vector>:$rows, Variadic<Fp4_VectorOrMask>:$cols,
                       Variadic<Fp4_Matrix>:$full, Variadic<Fp4_ScalarTensor>:$scalars);
  let results = (outs Fp4_Matrix:$result);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Fp4_PrologueOp : Fp4_ElementOp<"prologue"> {
  let summary = "Apply a scalar region to a tensor before quantization";
  let description = [{
    `result[i, j] = region(input[i, j], rows[j]..., cols[i]..., full[i, j]..., scalars...)`

    Each block argument is f32 for the input and has the operand's element type for the others. The region holds `arith` and `math`
    ops on scalars; it fuses into the kernel that reads the result. `math` functions without an IEEE definition (exp, tanh, erf, ...)
    are fixed polynomials, so that every target gives the same bits.

    Rules:
    - `prologue_c1`: the result has the input's shape.
    - `prologue_c2`: `rows` have the input's columns, `cols` its rows, `full` its shape.
    - `prologue_c3`: the region has one argument for the input (f32) and one for each operand, of its element type.
    - `prologue_c4`: the region holds only `fp4.call` and side-effect-free `arith` and `math` ops on scalars.
    - `prologue_c5`: the region yields one value of the result's element type.

    Example:

    ```mlir
    %h = fp4.prologue %x rows(%b : tensor<384xf32>) {
    ^bb0(%a: f32, %bias: f32):
      %s = arith.addf %a, %bias : f32
      %zero = arith.constant 0.0 : f32
      %r = arith.maximumf %s, %zero : f32
      fp4.yield %r : f32
    } : tensor<?x384xbf16> -> tensor<?x384xf32>
    ```
  }];
}

def Fp4_CenterOp : Fp4_Op<"center", [Pure]> {
  let summary = "Split off the mean over tokens";
  let description = [{
    `mean[j] = (sum_i input[i, j]) / tokens`, `residual[i, j] = input[i, j] - mean[j]`, in fp32.

    The sum has the fixed order of `Numerics.h` (`columnSum`). With a mask, rows whose byte is 0 are left out of the mean and are
    zero in the residual.

    Rules:
    - `center_c1`: the residual has the input's shape.
    - `center_c2`: the mean has one value for each column of the input.
    - `center_c3`: the mask has one byte for each row of the input.

    Example:

    ```mlir
    %mu, %xr = fp4.center %x : tensor<?x384xbf16> -> tensor<384xf32>, tensor<?x384xf32>
    ```
  }];
  let arguments = (ins Fp4_Matrix:$input, Optional<Fp4_Mask>:$mask);
  let results = (outs Fp4_F32Vector:$mean, Fp4_F32Matrix:$residual);
  let assemblyFormat = [{
    $input (`mask` `(` $mask^ `:` type($mask) `)`)? attr-dict `:` type($input) `->` type($mean) `,` type($residual)
  }];
  let hasVerifier = 1;
}

def Fp4_HadamardOp : Fp4_Op<"hadamard", [Pure]> {
  let summary = "Apply the 16-point random Hadamard transform";
  let description = [{
    Along `axis`, each group `v` of 16 becomes `H (signs * v) / 4` with the Sylvester matrix `H`, as four butterfly stages in fp32.
    The default signs are Transformer Engine's. A last group that is not full is filled with zeros before the transform, which spreads
    it over all 16: the result is that much longer, and a product that contracts the axis of two results is that of the inputs.

    Rules:
    - `hadamard_c1`: the result has the input's shape, with the extent along the axis rounded up to a multiple of 16.
    - `hadamard_c2`: the axis is 0 or 1.
    - `hadamard_c3`: there are 16 signs, each 1 or -1.

    Example:

    ```mlir
    %h = fp4.hadamard %x axis = 1 : tensor<?x384xbf16> -> tensor<?x384xf32>
    ```
  }];
  let arguments = (ins Fp4_Matrix:$input, I64Attr:$axis,
      DefaultValuedAttr<DenseI32ArrayAttr, "{1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1}">:$signs);
  let results = (outs Fp4_F32Matrix:$result);
  let assemblyFormat = [{
    $input `axis` `=` $axis (`signs` `=` $signs^)? attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Fp4_BlockScaleOp : Fp4_Op<"block_scale", [Pure]> {
  let summary = "Compute block scales and the tensor amax";
  let description = [{
    nvfp4: `amax = max |input|` over finite values, `S = min(2688 / amax, FLT_MAX)` (1 where amax is 0), each block's scale
    `e4m3(min(amax_block * (S * (1/6)), FLT_MAX))`, nearest even. mxfp4: `2^(floor(log2(amax_block)) - 2)`, no tensor amax. A block with
    NaN or an infinity has a NaN scale.

    Rules:
    - `block_scale_c1`: the axis is 0 or 1.
    - `block_scale_c2`: the block is 1x16 or 16x16 for nvfp4, 1x32 for mxfp4.
    - `block_scale_c3`: scales are f8E4M3FN for nvfp4 and f8E8M0FNU for mxfp4.
    - `block_scale_c4`: scales have one element for each block: ceil(extent / block) in each dimension.
    - `block_scale_c5`: there is an amax result for nvfp4 and none for mxfp4.

    Example:

    ```mlir
    %s, %amax = fp4.block_scale %x nvfp4 block = 1x16 axis = 1
        : tensor<?x384xbf16> -> tensor<?x24xf8E4M3FN>, tensor<f32>
    ```
  }];
  let arguments = (ins Fp4_Matrix:$input, Fp4_FormatAttr:$format, I64Attr:$blockAcross, I64Attr:$blockAlong,
                       I64Attr:$axis);
  let results = (outs Fp4_Scales:$scales, Optional<Fp4_F32Scalar>:$amax);
  let assemblyFormat = [{
    $input $format `block` `=` custom<Block>($blockAcross, $blockAlong) `axis` `=` $axis attr-dict
    `:` type($input) `->` type($scales) (`,` type($amax)^)?
  }];
  let hasVerifier = 1;
}

def Fp4_QuantizeOp : Fp4_Op<"quantize", [Pure, AttrSizedOperandSegments]> {
  let summary = "Round to e2m1 codes with given scales";
  let description = [{
    nvfp4: `code = e2m1(input * min(1 / (scale * (1 / S)), FLT_MAX))` with `S` from the amax; mxfp4: `code = e2m1(input / scale)`.
    Nearest rounds ties to the even code and saturates at 6; stochastic rounds to the upper neighbour with probability
    `(|v| - lo) / (hi - lo)`, by Philox4x32-10 keyed by the seed, with element index and offset as counter. Codes of a block with a NaN
    scale are zero. Tensors that are rounded with one seed and offset draw independent bits if their `stream` differs: it is added to the
    offset, times 2^56.

    Rules:
    - `quantize_c1`: the result has the input's shape.
    - `quantize_c2`: scales have one element for each block of the result's type.
    - `quantize_c3`: scales have the element type of the result's format.
    - `quantize_c4`: there is an amax for nvfp4 and none for mxfp4.
    - `quantize_c5`: stochastic rounding has seed and offset, nearest neither.
    - `quantize_c6`: the stream is 0 to 255, and 0 for nearest rounding.

    Example:

    ```mlir
    %q = fp4.quantize %x scales(%s : tensor<?x24xf8E4M3FN>) amax(%amax)
        : tensor<?x384xbf16> -> !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>
    ```
  }];
  let arguments = (ins Fp4_Matrix:$input, Fp4_Scales:$scales, Optional<Fp4_F32Scalar>:$amax, Optional<Fp4_Seed>:$seed,
                       Optional<Fp4_Seed>:$offset, DefaultValuedAttr<Fp4_RoundingAttr, "Rounding::nearest">:$rounding,
                       DefaultValuedAttr<I64Attr, "0">:$stream);
  let results = (outs Fp4_QuantizedType:$result);
  let assemblyFormat = [{
    $input `scales` `(` $scales `:` type($scales) `)` (`amax` `(` $amax^ `)`)? custom<Rounding>($rounding)
    (`seed` `(` $seed^ `)`)? (`offset` `(` $offset^ `)`)? (`stream` `=` $stream^)? attr-dict
    `:` type($input) `->` custom<QuantizedType>(type($result))
  }];
  let hasVerifier = 1;
}

def Fp4_DequantizeOp : Fp4_Op<"dequantize", [Pure]> {
  let summary = "Give the values of codes";
  let description = [{
    nvfp4: `value = e2m1(code) * scale * (1 / S)`; mxfp4: `value = e2m1(code) * scale`. Not the inverse of `fp4.quantize`: it is never
    folded with it.

    Rules:
    - `dequantize_c1`: the result has the input's shape.

    Example:

    ```mlir
    %v = fp4.dequantize %q
        : !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1> -> tensor<?x384xf32>
    ```
  }];
  let arguments = (ins Fp4_QuantizedType:$input);
  let results = (outs Fp4_F32Matrix:$result);
  let assemblyFormat = "$input attr-dict `:` custom<QuantizedType>(type($input)) `->` type($result)";
  let hasVerifier = 1;
}

def Fp4_MatmulOperand : AnyTypeOf<[Fp4_QuantizedType, 2DTensorOf<[BF16, F16]>]>;

def Fp4_MatmulOp : Fp4_Op<"matmul", [Pure]> {
  let summary = "Multiply two quantized matrices along their scaled axes, or two dense ones";
  let description = [{
    `result[m, n] = alpha * sum_k lhs[m, k] rhs[n, k]`, where `k` runs along each operand's scaled axis and `m`, `n` along the other,
    accumulated in fp32; `alpha = amax_lhs * amax_rhs / 2688^2` for nvfp4, 1 for mxfp4. Becomes `nvvm.mma.block_scale` on sm_120a
    (PTX ISA 9.7.14.5).

    Two tensors of bf16, or of f16, are multiplied along `axes`, one for each operand: the baseline that quantized recipes are measured
    against (`nvvm.mma.sync` m16n8k16).

    Rules:
    - `matmul_c1`: both operands are quantized in the same format, or dense of the same element type.
    - `matmul_c2`: the contracted extents agree.
    - `matmul_c3`: the result's rows are the left operand's other extent, its columns the right operand's.
    - `matmul_c4`: dense operands have `axes`, two of 0 or 1; quantized ones have their axes in their types.

    Example:

    ```mlir
    %acc = fp4.matmul %q, %p
        : !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>,
          !fp4.quantized<1536x384, nvfp4, block = 16x16, axis = 1> -> tensor<?x1536xf32>
    ```
  }];
  let arguments = (ins Fp4_MatmulOperand:$lhs, Fp4_MatmulOperand:$rhs, OptionalAttr<DenseI64ArrayAttr>:$axes);
  let results = (outs Fp4_F32Matrix:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs (`axes` `=` $axes^)? attr-dict
    `:` custom<OperandType>(type($lhs)) `,` custom<OperandType>(type($rhs)) `->` type($result)
  }];
  let extraClassDeclaration = [{
    bool isDense() { return !::llvm::isa<QuantizedType>(getLhs().getType()); }
    /// The contracted axis of an operand.
    int64_t getLhsAxis();
    int64_t getRhsAxis();
  }];
  let hasVerifier = 1;
}

def Fp4_MatvecOp : Fp4_Op<"matvec", [Pure]> {
  let summary = "Multiply a matrix with a vector in fp32";
  let description = [{
    `result[i] = sum_j matrix[i, j] vector[j]` for axis 1, `result[j] = sum_i matrix[i, j] vector[i]` for axis 0: the axis is
    contracted. fp32 with fused multiply-add in the fixed order of `Numerics.h` (`dotProduct`).

    Rules:
    - `matvec_c1`: the axis is 0 or 1.
    - `matvec_c2`: the vector has the matrix's extent along the axis.
    - `matvec_c3`: the result has the matrix's other extent.

    Example:

    ```mlir
    %r = fp4.matvec %w, %mu axis = 1 : tensor<1536x384xbf16>, tensor<384xf32> -> tensor<1536xf32>
    ```
  }];
  let arguments = (ins Fp4_Matrix:$matrix, Fp4_F32Vector:$vector, I64Attr:$axis);
  let results = (outs Fp4_F32Vector:$result);
  let assemblyFormat = [{
    $matrix `,` $vector `axis` `=` $axis attr-dict `:` type($matrix) `,` type($vector) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Fp4_ColumnSumOp : Fp4_Op<"column_sum", [Pure]> {
  let summary = "Add up each column in a fixed order";
  let description = [{
    `result[j] = sum_i input[i, j]` in fp32, in the order of `Numerics.h` (`columnSum`); rows whose mask byte is 0 are left out.

    Rules:
    - `column_sum_c1`: the result has one value for each column of the input.
    - `column_sum_c2`: the mask has one byte for each row of the input.

    Example:

    ```mlir
    %s = fp4.column_sum %x : tensor<?x384xbf16> -> tensor<384xf32>
    ```
  }];
  let arguments = (ins Fp4_Matrix:$input, Optional<Fp4_Mask>:$mask);
  let results = (outs Fp4_F32Vector:$result);
  let assemblyFormat = [{
    $input (`mask` `(` $mask^ `:` type($mask) `)`)? attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Fp4_ReshapeOp : Fp4_Op<"reshape", [Pure]> {
  let summary = "See a vector as a matrix of one row, or back";
  let description = [{
    `result[0, j] = input[j]`, or `result[j] = input[0, j]`. No kernel: the memory is the same. Ops on matrices, `fp4.quantize` among
    them, take a mean this way.

    Rules:
    - `reshape_c1`: one of input and result is a vector, the other a matrix of one row.
    - `reshape_c2`: both have the same extent and element type.

    Example:

    ```mlir
    %m = fp4.reshape %mu : tensor<384xf32> -> tensor<1x384xf32>
    ```
  }];
  let arguments = (ins AnyTypeOf<[Fp4_Vector, Fp4_Matrix]>:$input);
  let results = (outs AnyTypeOf<[Fp4_Vector, Fp4_Matrix]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Fp4_EpilogueOp : Fp4_ElementOp<"epilogue"> {
  let summary = "Apply a scalar region to an accumulator";
  let description = [{
    `result[i, j] = region(input[i, j], rows[j]..., cols[i]..., full[i, j]..., scalars...)`

    As `fp4.prologue`, on the result of a matmul: bias, rank-one terms, activation, residual, accumulation, cast. It fuses into the
    matmul that feeds it if it is the product's only use, otherwise into the kernels that read its result, as a prologue does.

    Rules:
    - `epilogue_c1`: the result has the input's shape.
    - `epilogue_c2`: `rows` have the input's columns, `cols` its rows, `full` its shape.
    - `epilogue_c3`: the region has one argument for the input (f32) and one for each operand, of its element type.
    - `epilogue_c4`: the region holds only `fp4.call` and side-effect-free `arith` and `math` ops on scalars.
    - `epilogue_c5`: the region yields one value of the result's element type.

    Example:

    ```mlir
    %y = fp4.epilogue %acc rows(%r : tensor<1536xf32>) {
    ^bb0(%a: f32, %rank1: f32):
      %s = arith.addf %a, %rank1 : f32
      %c = arith.truncf %s : f32 to bf16
      fp4.yield %c : bf16
    } : tensor<?x1536xf32> -> tensor<?x1536xbf16>
    ```
  }];
}

def Fp4_YieldOp : Fp4_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["PrologueOp", "EpilogueOp"]>]> {
  let summary = "End an element-wise region";
  let description = [{
    The value of one element of the result.

    Example:

    ```mlir
    %h = fp4.prologue %x {
    ^bb0(%a: f32):
      fp4.yield %a : f32
    } : tensor<?x384xbf16> -> tensor<?x384xf32>
    ```
  }];
  let arguments = (ins AnyTypeOf<[F32, BF16, F16]>:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Fp4_CudaOp : Fp4_Op<"cuda", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "Declare a function written in CUDA C++";
  let description = [{
    `extern "C" __device__ float NAME(float or int...)` from a source file, whose path is relative to the spec's folder, or from text in
    the spec. NVRTC compiles it when kernels are compiled, with `--fmad=false`: what the source writes is what runs. The function must
    not touch memory that others see, synchronise threads or print: a kernel calls it as often, and in the order, it likes.

    Rules:
    - `cuda_c1`: the name is a C identifier.
    - `cuda_c2`: arguments are f32 or i32, the one result is f32.
    - `cuda_c3`: one of `file` and `source` is given.

    Example:

    ```mlir
    fp4.cuda @gelu : (f32) -> f32 source = "extern \"C\" __device__ float gelu(float x) { return 0.5f * x * (1.0f + erff(0.70710678f * x)); }"
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, OptionalAttr<StrAttr>:$file,
                       OptionalAttr<StrAttr>:$source);
  let assemblyFormat = [{
    $sym_name `:` $function_type (`file` `=` $file^)? (`source` `=` $source^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Fp4_CallOp : Fp4_Op<"call", [Pure, ParentOneOf<["PrologueOp", "EpilogueOp"]>,
                                 DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Call a function written in CUDA C++";
  let description = [{
    `result = callee(arguments...)`, on one element. The evaluator cannot run CUDA C++: `--check` reports what depends on a call as
    not checked.

    Rules:
    - `call_c1`: the callee is an `fp4.cuda` of the module.
    - `call_c2`: the callee has the types of the call.

    Example:

    ```mlir
    %y = fp4.epilogue %acc {
    ^bb0(%a: f32):
      %g = fp4.call @gelu(%a) : (f32) -> f32
      fp4.yield %g : f32
    } : tensor<?x1536xf32> -> tensor<?x1536xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyTypeOf<[F32, I32]>>:$arguments);
  let results = (outs F32:$result);
  let assemblyFormat = "$callee `(` $arguments `)` attr-dict `:` functional-type($arguments, $result)";
}

#endif // FOURFOLD_DIALECT_FP4OPS_TD
