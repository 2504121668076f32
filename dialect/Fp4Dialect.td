// The fp4 dialect, its enums and its type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_DIALECT_FP4DIALECT_TD
#define FOURFOLD_DIALECT_FP4DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Fp4_Dialect : Dialect {
  let name = "fp4";
  let cppNamespace = "::mlir::fp4";
  let summary = "Fusions around four-bit matrix products";
  let description = [{
    A spec is a function over ranked tensors that centres, scales, quantizes, multiplies and restores. The formulas are those of
    `docs/numerics.md`; every op is pure. Function arguments and results may carry `fp4.name = "x"`, the name by which callers pass
    them; without it the name in the source text counts. An argument with `fp4.optional` may be left out: a mask is then full, any other
    reads as -0.0, the neutral element of addition.

    Rules:
    - `fp4_name_c1`: `fp4.name` is a string of letters, digits, `_`, `.` and `-` that starts with a letter or `_`.
    - `fp4_name_c2`: no two arguments, and no two results, share a name.
    - `fp4_optional_c1`: `fp4.optional` is a unit attribute of an argument.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 0;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

def Fp4_Format : I32EnumAttr<"Format", "four-bit number format",
    [I32EnumAttrCase<"nvfp4", 0>, I32EnumAttrCase<"mxfp4", 1>]> {
  let cppNamespace = "::mlir::fp4";
  let genSpecializedAttr = 0;
}
def Fp4_FormatAttr : EnumAttr<Fp4_Dialect, Fp4_Format, "format">;

def Fp4_Rounding : I32EnumAttr<"Rounding", "how values are rounded to codes",
    [I32EnumAttrCase<"nearest", 0>, I32EnumAttrCase<"stochastic", 1>]> {
  let cppNamespace = "::mlir::fp4";
  let genSpecializedAttr = 0;
}
def Fp4_RoundingAttr : EnumAttr<Fp4_Dialect, Fp4_Rounding, "rounding">;

def Fp4_QuantizedType : TypeDef<Fp4_Dialect, "Quantized"> {
  let mnemonic = "quantized";
  let summary = "A matrix of e2m1 codes with block scales along one axis";
  let description = [{
    Shape, number format, block shape and the axis that is scaled, which is the one a product contracts. The block `AxB` spans `A`
    indices across the axis and `B` along it. The axis is part of the type because a square matrix scaled along the wrong axis would
    multiply without complaint and be silently wrong.

    Rules:
    - `quantized_c1`: the shape has two dimensions.
    - `quantized_c2`: the axis is 0 or 1.
    - `quantized_c3`: the block is 1x16 or 16x16 for nvfp4, 1x32 for mxfp4.

    Example:

    ```mlir
    !fp4.quantized<?x384, nvfp4, block = 1x16, axis = 1>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "Format":$format, "int64_t":$blockAcross,
                        "int64_t":$blockAlong, "int64_t":$axis);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // FOURFOLD_DIALECT_FP4DIALECT_TD
