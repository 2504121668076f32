// The planner without a device: what fuses, what is shared, what has no kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/codegen/Ptx.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/planner/Planner.h"

#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>

using namespace fourfold::compiler;
namespace plan = fourfold::plan;

namespace {

/// A spec's plan, without optional arguments, or its diagnostics.
struct Planned {
  plan::Plan plan;
  std::string errors;
};

Planned planText(llvm::StringRef text) {
  mlir::DialectRegistry registry;
  registerSpecDialects(registry);
  registerKernelDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  DiagnosticCollector diagnostics(context);
  Planned result;
  std::string why;
  const Target *target = findTarget("sm_120a", &why);
  mlir::FailureOr<ParsedSpec> spec = parseSpec(text, "spec.mlir", context, "");
  std::vector<std::string> absent;
  if (mlir::succeeded(spec))
    for (unsigned i = 0; i < spec->function.getNumArguments(); ++i)
      if (spec->function.getArgAttr(i, "fp4.optional"))
        absent.push_back(valueName(spec->function.getArgument(i)).str());
  if (mlir::succeeded(spec) && mlir::succeeded(dropAbsent(spec->function, absent)) && mlir::succeeded(expandMath(spec->function))) {
    mlir::FailureOr<PlannedSpec> planned = planSpec(spec->function, *target);
    if (mlir::succeeded(planned))
      result.plan = planned->plan;
  }
  result.errors = diagnostics.str();
  return result;
}

std::string readSpec(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(std::string(FOURFOLD_SOURCE_DIR) + "/kernels_spec/" + path);
  return buffer ? (*buffer)->getBuffer().str() : "";
}

/// The kernels of a plan's launches, the first variant of each; memsets as "clear".
std::vector<std::string> kernelsOf(const plan::Plan &plan) {
  std::vector<std::string> names;
  for (const plan::Launch &launch : plan.launches)
    names.push_back(launch.kind == plan::Launch::Kind::Memset ? "clear" : launch.variants[0].kernel);
  return names;
}

/// A spec on one bf16 input that ends in a plain nvfp4 quantize and dequantizes nothing: `body` defines %v, an f32 matrix.
std::string quantizeSpec(const std::string &body) {
  return "func.func @f(%x: tensor<?x64xbf16>, %w: tensor<32x64xbf16>) -> tensor<?x32xf32> {\n" + body + R"(
  %s, %a = fp4.block_scale %v nvfp4 block = 1x16 axis = 1 : tensor<?x64xf32> -> tensor<?x4xf8E4M3FN>, tensor<f32>
  %q = fp4.quantize %v scales(%s : tensor<?x4xf8E4M3FN>) amax(%a)
      : tensor<?x64xf32> -> !fp4.quantized<?x64, nvfp4, block = 1x16, axis = 1>
  %ws, %wa = fp4.block_scale %w nvfp4 block = 1x16 axis = 1 : tensor<32x64xbf16> -> tensor<32x4xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %w scales(%ws : tensor<32x4xf8E4M3FN>) amax(%wa)
      : tensor<32x64xbf16> -> !fp4.quantized<32x64, nvfp4, block = 1x16, axis = 1>
  %y = fp4.matmul %q, %qw : !fp4.quantized<?x64, nvfp4, block = 1x16, axis = 1>,
      !fp4.quantized<32x64, nvfp4, block = 1x16, axis = 1> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
})";
}

using Names = std::vector<std::string>;

TEST(Planner, CentredForwardReadsItsSourceTwice) {
  Planned averis = planText(readSpec("averis/linear_forward.mlir"));
  ASSERT_EQ(averis.errors, "");
  EXPECT_EQ(kernelsOf(averis.plan),
            (Names{"clear", "column_partials_bf16", "column_mean_amax", "quantize_nvfp4_1x16_bf16_centred", "clear",
                   "amax_bf16", "quantize_nvfp4_16x16_bf16", "matvec_bf16_axis1", "matmul_nvfp4_16x128_to_y"}));
  // Plain nvfp4 reads x twice as well: centring costs no pass over it.
  auto readers = [](const plan::Plan &plan) {
    int count = 0;
    for (const plan::Launch &launch : plan.launches)
      for (const plan::Argument &argument : launch.args)
        count += argument.kind == plan::Argument::Kind::Pointer && argument.buffer == plan.inputs[0].buffer;
    return count;
  };
  Planned plain = planText(readSpec("nvfp4/linear_forward.mlir"));
  EXPECT_EQ(readers(averis.plan), 2);
  EXPECT_EQ(readers(plain.plan), 2);
}

TEST(Planner, EqualDimensionsAreOneSymbol) {
  Planned planned = planText(readSpec("nvfp4/linear_forward.mlir"));
  ASSERT_EQ(planned.plan.dims.size(), 3u);
  EXPECT_EQ(planned.plan.inputs[0].shape[1], planned.plan.inputs[1].shape[1]);
  EXPECT_EQ(planned.plan.dims[2].origin, "w dimension 0");
  EXPECT_EQ(planned.plan.outputs[0].name, "y");
}

TEST(Planner, PrologueAndCentreFuseIntoTheQuantize) {
  Planned planned = planText(quantizeSpec(R"(
  %h = fp4.prologue %x {
  ^bb0(%a: f32):
    %z = arith.constant 0.0 : f32
    %r = arith.maximumf %a, %z : f32
    fp4.yield %r : f32
  } : tensor<?x64xbf16> -> tensor<?x64xf32>
  %m, %v = fp4.center %h : tensor<?x64xf32> -> tensor<64xf32>, tensor<?x64xf32>)"));
  ASSERT_EQ(planned.errors, "");
  Names names = kernelsOf(planned.plan);
  EXPECT_EQ(names[1], "column_partials_bf16_of_h");
  EXPECT_EQ(names[3], "quantize_nvfp4_1x16_bf16_of_h_centred");
}

TEST(Planner, AnotherOrderGoesThroughMemory) {
  Planned planned = planText(quantizeSpec(R"(
  %m, %r = fp4.center %x : tensor<?x64xbf16> -> tensor<64xf32>, tensor<?x64xf32>
  %v = fp4.prologue %r {
  ^bb0(%a: f32):
    %n = arith.negf %a : f32
    fp4.yield %n : f32
  } : tensor<?x64xf32> -> tensor<?x64xf32>)"));
  ASSERT_EQ(planned.errors, "");
  Names names = kernelsOf(planned.plan);
  EXPECT_NE(std::find(names.begin(), names.end(), "store_bf16_centred_as_f32"), names.end());
}

TEST(Planner, SharedKernelsAreBuiltOnce) {
  Planned planned = planText(readSpec("nvfp4/linear_forward.mlir"));
  Names names = kernelsOf(planned.plan);
  EXPECT_EQ(std::count(names.begin(), names.end(), "quantize_nvfp4_1x16_bf16"), 2);
}

TEST(Planner, TilesFollowTheProblem) {
  Planned planned = planText(readSpec("nvfp4/linear_forward.mlir"));
  const plan::Launch &matmul = planned.plan.launches.back();
  auto chosen = [&](int64_t tokens, int64_t in, int64_t out) {
    std::string error;
    for (const plan::Variant &variant : matmul.variants)
      if (variant.when.evaluate({tokens, in, out}, &error))
        return variant.kernel;
    return std::string();
  };
  EXPECT_EQ(chosen(1, 384, 1536), "matmul_nvfp4_16x128_to_y");
  EXPECT_EQ(chosen(16, 384, 1536), "matmul_nvfp4_16x128_to_y");
  EXPECT_EQ(chosen(17, 384, 1536), "matmul_nvfp4_64x64_to_y");
  EXPECT_EQ(chosen(1024, 1024, 1024), "matmul_nvfp4_64x64_to_y");
  EXPECT_EQ(chosen(4096, 1024, 1024), "matmul_nvfp4_128x128_to_y");
}

TEST(Planner, OneReadServesRowsAndColumns) {
  // The transform along tokens and the plain rows: one amax kernel and one quantize kernel, each with both results.
  Planned planned = planText(R"(
func.func @f(%x: tensor<?x?xbf16>, %seed: tensor<i64>, %offset: tensor<i64>) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %h = fp4.hadamard %x axis = 0 : tensor<?x?xbf16> -> tensor<?x?xf32>
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %q = fp4.quantize %x scales(%s : tensor<?x?xf8E4M3FN>) amax(%a)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %t, %b = fp4.block_scale %h nvfp4 block = 1x16 axis = 0 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %p = fp4.quantize %h scales(%t : tensor<?x?xf8E4M3FN>) amax(%b) stochastic seed(%seed) offset(%offset) stream = 1
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0>
  %v = fp4.dequantize %q : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1> -> tensor<?x?xf32>
  %u = fp4.dequantize %p : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 0> -> tensor<?x?xf32>
  return %v, %u : tensor<?x?xf32>, tensor<?x?xf32>
})");
  ASSERT_EQ(planned.errors, "");
  EXPECT_EQ(kernelsOf(planned.plan),
            (Names{"clear", "clear", "amax_columns_and_plain_bf16_hadamardd7e8",
                   "quantize_nvfp4_rows_1x16_columns_1x16_stochastic1_hadamardd7e8_bf16", "dequantize_nvfp4_axis1",
                   "dequantize_nvfp4_axis0"}));
  EXPECT_EQ(planned.plan.outputs[1].shape[0].str(), "ceildiv(d0, 16) * 16");
}

TEST(Planner, AnExtentCannotEqualItselfRoundedUp) {
  Planned planned = planText(R"(
func.func @f(%x: tensor<?x?xf32>, %v: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %h = fp4.hadamard %x axis = 1 : tensor<?x?xf32> -> tensor<?x?xf32>
  %a = fp4.matvec %x, %v axis = 1 : tensor<?x?xf32>, tensor<?xf32> -> tensor<?xf32>
  %b = fp4.matvec %h, %v axis = 1 : tensor<?x?xf32>, tensor<?xf32> -> tensor<?xf32>
  return %a, %b : tensor<?xf32>, tensor<?xf32>
})");
  EXPECT_NE(planned.errors.find("spec.mlir:5"), std::string::npos) << planned.errors;
  EXPECT_NE(planned.errors.find("transform both operands, or make the extent static"), std::string::npos) << planned.errors;
}

TEST(Planner, WhatHasNoKernelIsAnErrorThatNamesIt) {
  std::string quantizedResult = R"(
func.func @f(%x: tensor<?x64xbf16>) -> !fp4.quantized<?x64, nvfp4, block = 1x16, axis = 1> {
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<?x64xbf16> -> tensor<?x4xf8E4M3FN>, tensor<f32>
  %q = fp4.quantize %x scales(%s : tensor<?x4xf8E4M3FN>) amax(%a)
      : tensor<?x64xbf16> -> !fp4.quantized<?x64, nvfp4, block = 1x16, axis = 1>
  return %q : !fp4.quantized<?x64, nvfp4, block = 1x16, axis = 1>
})";
  Planned planned = planText(quantizedResult);
  EXPECT_NE(planned.errors.find("spec.mlir:6"), std::string::npos) << planned.errors;
  EXPECT_NE(planned.errors.find("return its fp4.dequantize"), std::string::npos) << planned.errors;
}

TEST(Planner, OnlyTensorsAndOpsOfTheDialectHaveAMeaning) {
  // A number that is no tensor, and ops of other dialects, which the parser knows.
  auto errors = [](const std::string &argument, const std::string &op) {
    return planText("func.func @f(%x: tensor<4x8xf32>" + argument + ") -> tensor<8xf32> {\n" + op +
                    "  %s = fp4.column_sum %x : tensor<4x8xf32> -> tensor<8xf32>\n  return %s : tensor<8xf32>\n}")
        .errors;
  };
  EXPECT_EQ(errors("", ""), "");
  EXPECT_NE(errors(", %k: f32", "").find("argument 'k' of type 'f32' cannot be passed; expects a tensor"), std::string::npos);
  EXPECT_NE(errors(", %k: memref<4xf32>", "").find("argument 'k' of type 'memref<4xf32>' cannot be passed"), std::string::npos);
  for (const char *op : {"%c = arith.constant dense<1.0> : tensor<4xf32>\n", "%c = arith.constant true\nscf.if %c {\n}\n"})
    EXPECT_NE(errors("", op).find("'arith.constant' op has no meaning in a spec"), std::string::npos) << op;
}

TEST(Planner, BlockScalesStayInKernels) {
  Planned planned = planText(R"(
func.func @f(%x: tensor<?x64xbf16>) -> tensor<?x4xf8E4M3FN> {
  %s, %a = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<?x64xbf16> -> tensor<?x4xf8E4M3FN>, tensor<f32>
  return %s : tensor<?x4xf8E4M3FN>
})");
  EXPECT_NE(planned.errors.find("spec.mlir:4"), std::string::npos) << planned.errors;
  EXPECT_NE(planned.errors.find("reads the block scales 's'"), std::string::npos) << planned.errors;
}

TEST(Planner, DisagreeingStaticSizesAreAnErrorWithBothNumbers) {
  // Each op verifies alone; together they ask for 64 == 48 through a dynamic dimension.
  Planned planned = planText(R"(
func.func @f(%x: tensor<8x64xf32>, %w: tensor<4x48xf32>) -> tensor<4xf32> {
  %h = fp4.prologue %x {
  ^bb0(%a: f32):
    fp4.yield %a : f32
  } : tensor<8x64xf32> -> tensor<8x?xf32>
  %s = fp4.column_sum %h : tensor<8x?xf32> -> tensor<?xf32>
  %r = fp4.matvec %w, %s axis = 1 : tensor<4x48xf32>, tensor<?xf32> -> tensor<4xf32>
  return %r : tensor<4xf32>
})");
  EXPECT_NE(planned.errors.find("(64)"), std::string::npos) << planned.errors;
  EXPECT_NE(planned.errors.find("(48)"), std::string::npos) << planned.errors;
}

TEST(Targets, UnknownAndUnsupportedAreOurDiagnostics) {
  std::string why;
  EXPECT_EQ(findTarget("sm_999", &why), nullptr);
  EXPECT_EQ(why, "unknown target 'sm_999'; targets with kernels are: sm_120a, sm_121a, sm_80, sm_90a, sm_100a, sm_103a");
  EXPECT_EQ(findTarget("sm_120", &why), nullptr);
  EXPECT_NE(why.find("use 'sm_120a'"), std::string::npos);
  EXPECT_EQ(findTarget("sm_89", &why), nullptr);
  EXPECT_NE(why.find("use 'sm_80'"), std::string::npos);
  EXPECT_EQ(findTarget("sm_90", &why), nullptr);
  EXPECT_NE(why.find("use 'sm_90a'"), std::string::npos);
  for (const char *name : {"sm_100", "sm_103", "sm_100f"}) {
    EXPECT_EQ(findTarget(name, &why), nullptr);
    EXPECT_NE(why.find(std::string("use '") + std::string(name).substr(0, 6) + "a'"), std::string::npos) << why;
  }
  for (const char *name : {"sm_80", "sm_90a", "sm_100a", "sm_103a", "sm_120a", "sm_121a"})
    EXPECT_NE(findTarget(name, &why), nullptr);
}

} // namespace
