// Bytecode: refused as a spec, made text where asked, and read in a child process where its bytes may be damaged.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/raw_ostream.h"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

using namespace fourfold::compiler;

namespace {

class BytecodeTest : public ::testing::Test {
protected:
  BytecodeTest() : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED), diagnostics(context) {}

  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    registerSpecDialects(registry);
    return registry;
  }

  std::string bytecodeOf(const std::string &text) {
    mlir::FailureOr<ParsedSpec> spec = parseSpec(text, "spec.mlir", context, "");
    EXPECT_TRUE(succeeded(spec)) << diagnostics.str();
    std::string bytecode;
    llvm::raw_string_ostream stream(bytecode);
    EXPECT_TRUE(succeeded(spec) && succeeded(mlir::writeBytecodeToFile(*spec->module, stream)));
    return bytecode;
  }

  mlir::MLIRContext context;
  DiagnosticCollector diagnostics;
};

const char *const kSpec = R"(func.func @f(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  %s = fp4.column_sum %x : tensor<4x8xf32> -> tensor<8xf32>
  return %s : tensor<8xf32>
})";

TEST_F(BytecodeTest, IsRefusedAsASpec) {
  EXPECT_TRUE(failed(parseSpec(bytecodeOf(kSpec), "spec.mlirbc", context, "")));
  EXPECT_NE(diagnostics.str().find("spec.mlirbc:1:1: error: is MLIR bytecode, which is not read here"), std::string::npos)
      << diagnostics.str();
}

TEST_F(BytecodeTest, ItsTextHasTheSameNames) {
  mlir::FailureOr<std::string> text = bytecodeToText(bytecodeOf(kSpec), "spec.mlirbc", context);
  ASSERT_TRUE(succeeded(text)) << diagnostics.str();
  mlir::FailureOr<ParsedSpec> spec = parseSpec(*text, "spec.mlirbc", context, "");
  ASSERT_TRUE(succeeded(spec)) << diagnostics.str();
  EXPECT_EQ(valueName(spec->function.getArgument(0)), "x");
  EXPECT_EQ(resultName(spec->function, 0), "s");
  std::string guarded;
  ASSERT_TRUE(guardedBytecodeToText(bytecodeOf(kSpec), "spec.mlirbc", makeRegistry(), &guarded)) << guarded;
  EXPECT_EQ(guarded, *text);
}

TEST_F(BytecodeTest, TextIsNotBytecode) {
  EXPECT_TRUE(failed(bytecodeToText(kSpec, "spec.mlir", context)));
  std::string text;
  EXPECT_FALSE(guardedBytecodeToText(kSpec, "spec.mlir", makeRegistry(), &text));
  EXPECT_NE(text.find("error: "), std::string::npos) << text;
}

TEST_F(BytecodeTest, DamagedBytesAreAnErrorOrASpec) {
  std::ifstream file(FOURFOLD_SOURCE_DIR "/kernels_spec/averis/linear_forward.mlir");
  std::string spec{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::string bytes = bytecodeOf(spec), whole;
  mlir::DialectRegistry registry = makeRegistry();
  ASSERT_TRUE(guardedBytecodeToText(bytes, "spec.mlirbc", registry, &whole)) << whole;
  size_t refused = 0, runs = 0;
  auto read = [&](const std::string &damaged, size_t at) {
    std::string text;
    ++runs;
    if (guardedBytecodeToText(damaged, "spec.mlirbc", registry, &text)) {
      // Another text may be another spec, or none: that is said by diagnostics.
      size_t before = diagnostics.messages().size();
      bool isSpec = succeeded(parseSpec(text, "spec.mlirbc", context, ""));
      EXPECT_TRUE(isSpec || diagnostics.messages().size() > before) << at;
      return;
    }
    ++refused;
    EXPECT_NE(text.find("error: "), std::string::npos) << at << ": " << text;
  };
  for (size_t at = 4; at < bytes.size(); at += 5) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(~damaged[at]);
    read(damaged, at);
  }
  for (size_t size : {size_t{4}, size_t{5}, size_t{17}, bytes.size() / 4, bytes.size() / 2, bytes.size() - 100, bytes.size() - 1}) {
    size_t before = refused;
    read(bytes.substr(0, size), size);
    EXPECT_EQ(refused, before + 1) << "cut to " << size << " of " << bytes.size();
  }
  EXPECT_GT(refused, runs / 4);
}

} // namespace
