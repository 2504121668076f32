// Names of values, choice of the function, and the text of diagnostics.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/dialect/SpecRunner.h"


#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

using namespace fourfold;
using namespace fourfold::compiler;

namespace {

class FrontendTest : public ::testing::Test {
protected:
  FrontendTest() : context(dialects(), mlir::MLIRContext::Threading::DISABLED), diagnostics(context) {}

  static mlir::DialectRegistry dialects() {
    mlir::DialectRegistry registry;
    registerSpecDialects(registry);
    return registry;
  }

  /// The names of arguments and results of ops in order, or the errors.
  std::vector<std::string> names(const std::string &text, const std::string &function = "") {
    mlir::FailureOr<ParsedSpec> spec = parseSpec(text, "spec.mlir", context, function);
    if (failed(spec))
      return {diagnostics.str()};
    std::vector<std::string> result;
    for (mlir::BlockArgument argument : spec->function.getArguments())
      result.push_back(valueName(argument).str());
    for (mlir::Operation &op : spec->function.front())
      for (mlir::OpResult value : op.getResults())
        result.push_back(valueName(value).str());
    for (unsigned i = 0; i < spec->function.getNumResults(); ++i)
      result.push_back("-> " + resultName(spec->function, i));
    return result;
  }

  mlir::MLIRContext context;
  DiagnosticCollector diagnostics;
};

using Names = std::vector<std::string>;

TEST_F(FrontendTest, TakesNamesFromTheSourceText) {
  EXPECT_EQ(names(R"(func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %mu, %xr = fp4.center %x : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
    return %xr : tensor<4x8xf32>
  })"),
            (Names{"x", "mu", "xr", "-> xr"}));
}

TEST_F(FrontendTest, AttributesWinOverTheSourceText) {
  EXPECT_EQ(names(R"(func.func @f(%x: tensor<4x8xf32> {fp4.name = "input"}) -> (tensor<8xf32> {fp4.name = "average"}) {
    %mu, %xr = fp4.center %x : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
    return %mu : tensor<8xf32>
  })"),
            (Names{"input", "average", "xr", "-> average"}));
}

TEST_F(FrontendTest, GroupsAndNumbersFallBackToPositions) {
  EXPECT_EQ(names(R"(func.func @f(%0: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %1:2 = fp4.center %0 : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
    %r:2 = fp4.center %1#1 : tensor<4x8xf32> -> tensor<8xf32>, tensor<4x8xf32>
    return %r#1 : tensor<4x8xf32>
  })"),
            (Names{"arg0", "center.0", "center.1", "r.0", "r.1", "-> r.1"}));
}

TEST_F(FrontendTest, NamesAreUnique) {
  // The argument's attribute takes "s", so the op's own %s must step aside.
  EXPECT_EQ(names(R"(func.func @f(%x: tensor<4x8xf32> {fp4.name = "s"}) -> tensor<8xf32> {
    %s = fp4.column_sum %x : tensor<4x8xf32> -> tensor<8xf32>
    return %s : tensor<8xf32>
  })"),
            (Names{"s", "s_1", "-> s_1"}));
}

TEST_F(FrontendTest, ArgumentAndResultMayNotShareAName) {
  EXPECT_EQ(names(R"(func.func @f(%x: tensor<4x8xf32> {fp4.name = "s"}) -> (tensor<8xf32> {fp4.name = "s"}) {
    %t = fp4.column_sum %x : tensor<4x8xf32> -> tensor<8xf32>
    return %t : tensor<8xf32>
  })"),
            (Names{"spec.mlir:1:1: error: 'func.func' op names both an argument and result 0 's'"}));
}

const char *const kTwoFunctions = R"(
func.func @one(%a: tensor<4x8xf32>) -> tensor<8xf32> {
  %s = fp4.column_sum %a : tensor<4x8xf32> -> tensor<8xf32>
  return %s : tensor<8xf32>
}
func.func @two(%b: tensor<4x8xf32>) -> tensor<8xf32> {
  %s = fp4.column_sum %b : tensor<4x8xf32> -> tensor<8xf32>
  return %s : tensor<8xf32>
})";

TEST_F(FrontendTest, PicksTheFunctionThatIsAskedFor) {
  EXPECT_EQ(names(kTwoFunctions, "two"), (Names{"b", "s", "-> s"}));
}

TEST_F(FrontendTest, AsksWhichOfSeveralFunctions) {
  EXPECT_EQ(names(kTwoFunctions), (Names{"spec.mlir:1:1: error: has 2 functions, one, two: say which one, --function NAME in the tool"}));
}

TEST_F(FrontendTest, SaysWhichFunctionsThereAre) {
  EXPECT_EQ(names(kTwoFunctions, "three"), (Names{"spec.mlir:1:1: error: has no function 'three'; it has one, two"}));
}

TEST_F(FrontendTest, RefusesAModuleWithoutFunctions) {
  EXPECT_EQ(names("module {}"), (Names{"spec.mlir:1:1: error: expects a func.func, but the module has none"}));
}

TEST_F(FrontendTest, RefusesWhatLlvmsParserWouldFollowToTheEndOfTheStack) {
  auto repeat = [](const std::string &text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i)
      all += text;
    return all;
  };
  auto attribute = [&](int depth) { return "func.func @f() attributes {a = " + repeat("[", depth) + repeat("]", depth) + "} { return }"; };
  auto type = [&](int depth) { return "func.func @f(%a: " + repeat("tuple<", depth) + "i32" + repeat(">", depth) + ") { return }"; };
  auto map = [&](int terms) { return "#map = affine_map<(d0) -> (d0" + repeat(" + d0", terms) + ")>\nfunc.func @f() { return }"; };
  // An arrow closes nothing, nor do brackets in strings and comments count.
  std::string arrows = "func.func @f() attributes {b = \"" + repeat("[<\\\"", 200) + "\"} { // " + repeat("{", 200) + "\n return\n}" ;
  const int many = 1000000;
  EXPECT_EQ(names(attribute(100)), Names());
  EXPECT_EQ(names(type(100)), Names{"a"});
  EXPECT_EQ(names(map(100)), Names());
  EXPECT_EQ(names(arrows), Names());
  for (const std::string &text : {attribute(many), type(many), repeat("\"a.b\"() ({\n", many)})
    EXPECT_NE(names(text)[0].find("error: expects brackets to be nested at most 128 deep"), std::string::npos);
  EXPECT_NE(names(map(many))[0].find("spec.mlir:1:18: error: expects affine maps and sets of at most 1024 characters"), std::string::npos);
}

TEST_F(FrontendTest, RefusesADeclaration) {
  EXPECT_EQ(names("func.func private @f(tensor<4x8xf32>)"),
            (Names{"spec.mlir:1:1: error: 'func.func' op 'f' has no body"}));
}

TEST_F(FrontendTest, ParserErrorsCarryTheirPlace) {
  EXPECT_EQ(names("func.func @f() {\n  fp4.nonsense\n}"),
            (Names{"spec.mlir:2:3: error: custom op 'fp4.nonsense' is unknown"}));
}

TEST_F(FrontendTest, NotesFollowTheirError) {
  std::vector<std::string> got = names(R"(func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %h = fp4.prologue %x {
    ^bb0(%a: f32):
      %e = tensor.empty() : tensor<4xf32>
      fp4.yield %a : f32
    } : tensor<4x8xf32> -> tensor<4x8xf32>
    return %h : tensor<4x8xf32>
  })");
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0],
            "spec.mlir:2:10: error: 'fp4.prologue' op expects only arith, math and fp4.call ops on scalars in its region, but "
            "got 'tensor.empty'\nspec.mlir:4:12: note: it stands here");
}

TEST_F(FrontendTest, ArbitraryBytesAreAnErrorNotACrash) {
  std::string bytes("ML\xefR\x00\x01garbage", 13);
  EXPECT_NE(names(bytes)[0].find("error: "), std::string::npos);
  EXPECT_NE(names(std::string("\0\xff\x80{", 4))[0].find("error: "), std::string::npos);
}

TEST_F(FrontendTest, UnknownRegionMathIsNamed) {
  mlir::FailureOr<ParsedSpec> spec = parseSpec(R"(func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %h = fp4.prologue %x {
    ^bb0(%a: f32):
      %e = arith.remf %a, %a : f32
      fp4.yield %e : f32
    } : tensor<4x8xf32> -> tensor<4x8xf32>
    return %h : tensor<4x8xf32>
  })",
                                               "spec.mlir", context, "");
  ASSERT_TRUE(succeeded(spec)) << diagnostics.str();
  EXPECT_TRUE(failed(expandMath(spec->function)));
  EXPECT_EQ(diagnostics.str(),
            "spec.mlir:4:12: error: 'arith.remf' op has no exact definition on these types: 'f32' 'f32'; regions "
            "take IEEE arithmetic, comparisons, integer bit operations and the functions that expand to them");
}

} // namespace
