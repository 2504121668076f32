// Specs that call CUDA C++: what the emulated device computes, what the evaluator says, and every message.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"
#include "fourfold/HostProgram.h"

#include "cuda/Nvrtc.h"
#include "dialect/Numerics.h"
#include "runtime/jit/Cubin.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace fourfold;

namespace {

/// A prologue on f32 values whose region is `body`, which defines %r from %a.
std::string elementSpec(const std::string &declarations, const std::string &body) {
  return declarations + "\nfunc.func @f(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {\n" +
         "  %y = fp4.prologue %x {\n  ^bb0(%a: f32):\n" + body +
         "    fp4.yield %r : f32\n  } : tensor<?x?xf32> -> tensor<?x?xf32>\n  return %y : tensor<?x?xf32>\n}\n";
}

std::string callSpec(const std::string &source) {
  return elementSpec("fp4.cuda @f1 : (f32) -> f32 source = \"" + source + "\"", "    %r = fp4.call @f1(%a) : (f32) -> f32\n");
}

struct CudaFunctions : testing::Test {
  void SetUp() override {
    unsetenv("FOURFOLD_NVRTC");
    ASSERT_TRUE(Compiler::open(&compiler, std::string(FOURFOLD_BINARY_DIR) + "/lib/libfourfold_jit.so").ok());
    ASSERT_TRUE(Device::open("emulated:sm_120a", &device).ok());
    cuda::Nvrtc nvrtc;
    std::string error;
    if (!cuda::Nvrtc::open(&nvrtc, &error)) {
      std::cout << "SKIPPED: no NVRTC: " << error << std::endl;
      GTEST_SKIP();
    }
  }

  Status compile(const std::string &text, CompiledSpec *compiled, const std::string &fileName = "spec.mlir") {
    Spec spec;
    spec.text = text;
    spec.fileName = fileName;
    return compiler.compile(spec, device.target(), compiled);
  }
  std::string messageOf(const std::string &text, const std::string &fileName = "spec.mlir") {
    CompiledSpec compiled;
    return compile(text, &compiled, fileName).message();
  }

  /// One f32 matrix in, one out.
  std::vector<float> run(const std::string &text, const std::vector<float> &values, int64_t columns) {
    CompiledSpec compiled;
    Executable executable;
    Tensor x;
    x.name = "x";
    x.shape = {static_cast<int64_t>(values.size()) / columns, columns};
    x.bytes.resize(values.size() * 4);
    std::memcpy(x.bytes.data(), values.data(), x.bytes.size());
    std::vector<Tensor> outputs;
    for (const Status &status :
         {compile(text, &compiled), Executable::load(device, compiled.manifest, compiled.ptx, &executable)})
      if (!status.ok()) {
        ADD_FAILURE() << status.message();
        return {};
      }
    if (Status status = executable.run({x}, &outputs); !status.ok()) {
      ADD_FAILURE() << status.message();
      return {};
    }
    std::vector<float> result(values.size());
    std::memcpy(result.data(), outputs[0].bytes.data(), outputs[0].bytes.size());
    return result;
  }

  Compiler compiler;
  Device device;
};

std::vector<float> someValues() {
  std::vector<float> values;
  for (int i = 0; i < 40 * 24; ++i)
    values.push_back(static_cast<float>(i - 480) / 97.0f);
  return values;
}

std::string readFile(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// No contraction: what the source writes is what runs, bit for bit what the same region in arith gives.
TEST_F(CudaFunctions, AgreeWithArithBitForBit) {
  std::string called = callSpec("extern \\\"C\\\" __device__ float f1(float x) { return x * x + 0.1f * x; }");
  std::string written = elementSpec("", "    %t = arith.constant 0.1 : f32\n    %p = arith.mulf %a, %a : f32\n"
                                        "    %q = arith.mulf %t, %a : f32\n    %r = arith.addf %p, %q : f32\n");
  std::vector<float> values = someValues(), have = run(called, values, 24), want = run(written, values, 24);
  ASSERT_EQ(have.size(), values.size());
  EXPECT_EQ(0, std::memcmp(have.data(), want.data(), have.size() * 4));
}

TEST_F(CudaFunctions, SeveralFunctionsIntegersAndLocalMemory) {
  // sinf reduces large arguments through local memory and a table.
  std::string text = elementSpec(
      "fp4.cuda @wave : (f32) -> f32 source = \"extern \\\"C\\\" __device__ float wave(float x) { return sinf(x * 1.0e6f); }\"\n"
      "fp4.cuda @shift : (f32, i32) -> f32 source = \"static __device__ float twice(float x) { return x + x; } "
      "extern \\\"C\\\" __device__ float shift(float x, int n) { return twice(x) + n; }\"",
      "    %n = arith.constant -3 : i32\n    %w = fp4.call @wave(%a) : (f32) -> f32\n"
      "    %r = fp4.call @shift(%w, %n) : (f32, i32) -> f32\n");
  std::vector<float> values = someValues(), have = run(text, values, 24);
  ASSERT_EQ(have.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(have[i], 2 * std::sin(static_cast<double>(values[i] * 1.0e6f)) - 3, 1e-5) << values[i];
}

/// The example: y against the host's GELU of the same product, which a spec without the call gives.
TEST_F(CudaFunctions, GeluInTheEpilogueOfAProduct) {
  std::string path = std::string(FOURFOLD_SOURCE_DIR) + "/examples/cuda_epilogue/linear_gelu.mlir", text = readFile(path);
  std::string plain = text;
  auto replace = [](std::string *where, const std::string &from, const std::string &to) {
    size_t at = where->find(from);
    ASSERT_NE(at, std::string::npos) << from;
    where->replace(at, from.size(), to);
  };
  replace(&plain, "fp4.cuda @gelu : (f32) -> f32 file = \"gelu.cu\"\n", "");
  replace(&plain, "%g = fp4.call @gelu(%s) : (f32) -> f32", "");
  replace(&plain, "%r = arith.truncf %g : f32 to bf16", "");
  replace(&plain, "fp4.yield %r : bf16", "fp4.yield %s : f32");
  for (int i = 0; i < 3; ++i)
    if (size_t at = plain.rfind("tensor<?x?xbf16>"); at > plain.find("fp4.yield"))
      plain.replace(at, 16, "tensor<?x?xf32>");
  replace(&plain, "-> tensor<?x?xbf16> {", "-> tensor<?x?xf32> {");
  std::vector<Tensor> inputs(2), outputs[2];
  uint32_t state = 7;
  for (int i = 0; i < 2; ++i) {
    inputs[i].name = i ? "w" : "x";
    inputs[i].type = ElementType::BF16;
    inputs[i].shape = {i ? 72 : 40, 96};
    for (int64_t n = 0; n < countElements(inputs[i].shape); ++n) {
      state = state * 1664525u + 1013904223u;
      uint16_t bits = numerics::encodeBF16(static_cast<float>(state >> 8) * 0x1p-23f - 1.0f);
      inputs[i].bytes.push_back(static_cast<uint8_t>(bits));
      inputs[i].bytes.push_back(static_cast<uint8_t>(bits >> 8));
    }
  }
  for (int i = 0; i < 2; ++i) {
    Spec spec;
    spec.text = i ? plain : text;
    spec.fileName = path;
    spec.absent = {"bias"};
    CompiledSpec compiled;
    Executable executable;
    for (const Status &status : {compiler.compile(spec, device.target(), &compiled),
                                 Executable::load(device, compiled.manifest, compiled.ptx, &executable)})
      ASSERT_TRUE(status.ok()) << status.message();
    Status status = executable.run(inputs, &outputs[i]);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  double largest = 0;
  for (size_t n = 0; n < outputs[0][0].bytes.size() / 2; ++n) {
    uint16_t bits;
    float product;
    std::memcpy(&bits, &outputs[0][0].bytes[n * 2], 2);
    std::memcpy(&product, &outputs[1][0].bytes[n * 4], 4);
    double want = 0.5 * product * (1 + std::erf(0.70710678 * product)), have = numerics::decodeBF16(bits);
    largest = std::max(largest, std::fabs(have));
    EXPECT_NEAR(have, want, std::fabs(want) / 250 + 1e-6) << product;
  }
  EXPECT_GT(largest, 1.0);
}

/// What depends on a call is never called equal; what stands before it is.
TEST_F(CudaFunctions, TheEvaluatorSaysWhatItCannotKnow) {
  Spec spec;
  spec.text = "fp4.cuda @f1 : (f32) -> f32 file = \"no.cu\"\nfunc.func @f(%x: tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {\n"
              "  %m, %c = fp4.center %x : tensor<?x?xf32> -> tensor<?xf32>, tensor<?x?xf32>\n"
              "  %y = fp4.prologue %c {\n  ^bb0(%a: f32):\n    %r = fp4.call @f1(%a) : (f32) -> f32\n    fp4.yield %r : f32\n"
              "  } : tensor<?x?xf32> -> tensor<?x?xf32>\n  %s = fp4.column_sum %y : tensor<?x?xf32> -> tensor<?xf32>\n"
              "  return %y, %s : tensor<?x?xf32>, tensor<?xf32>\n}\n";
  Tensor x{"x", ElementType::F32, {2, 3}, std::vector<uint8_t>(24)};
  std::vector<EvaluatedValue> values;
  Status status = compiler.evaluate(spec, {x}, /*intermediates=*/true, &values);
  ASSERT_TRUE(status.ok()) << status.message();
  int unchecked = 0, known = 0;
  for (const EvaluatedValue &value : values) {
    bool depends = value.tensor.name == "y" || value.tensor.name == "s";
    EXPECT_EQ(value.unchecked, depends ? "it depends on 'f1', CUDA C++ that the evaluator cannot run" : "") << value.tensor.name;
    (depends ? unchecked : known)++;
  }
  EXPECT_EQ(unchecked, 2);
  EXPECT_EQ(known, 2);
  status = compiler.evaluate(spec, {x}, /*intermediates=*/false, &values);
  EXPECT_EQ(status.message(), "result 'y' cannot be evaluated: it depends on 'f1', CUDA C++ that the evaluator cannot run; run the "
                              "spec on a device");
  HostProgram program;
  status = HostProgram::prepare(compiler, spec, &program);
  EXPECT_EQ(status.message(), "<spec>:6:10: error: 'fp4.call' op cannot run CUDA C++ ('f1') on the host: run the spec on a device");
}

TEST_F(CudaFunctions, MessagesPointIntoTheUsersSource) {
  auto folder = std::filesystem::temp_directory_path() / ("fourfold-cuda-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::string file = (folder / "broken.cu").string(), spec = (folder / "spec.mlir").string();
  std::ofstream(file) << "// a comment\nextern \"C\" __device__ float f1(float x) {\n  return x + y;\n}\n";
  std::string text = elementSpec("fp4.cuda @f1 : (f32) -> f32 file = \"broken.cu\"", "    %r = fp4.call @f1(%a) : (f32) -> f32\n");
  std::string message = messageOf(text, spec);
  EXPECT_EQ(message.find(file + ":3:1: error: identifier \"y\" is undefined"), 0u) << message;
  std::filesystem::remove(file);
  message = messageOf(text, spec);
  EXPECT_EQ(message, spec + ":1:1: error: 'fp4.cuda' op 'f1' cannot be read from '" + file +
                         "': No such file or directory; a relative file is looked for in the folder of the spec");
  std::filesystem::remove_all(folder);
}

/// The sources are no part of a cache's key: a file that changes is compiled anew.
TEST_F(CudaFunctions, AFileThatChangesIsReadAgain) {
  auto folder = std::filesystem::temp_directory_path() / ("fourfold-cuda-change-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::string text = elementSpec("fp4.cuda @f1 : (f32) -> f32 file = \"f1.cu\"", "    %r = fp4.call @f1(%a) : (f32) -> f32\n");
  std::string ptx[2];
  for (int i = 0; i < 2; ++i) {
    std::ofstream(folder / "f1.cu") << "extern \"C\" __device__ float f1(float x) { return x + " << i + 1 << "; }\n";
    CompiledSpec compiled;
    Status status = compile(text, &compiled, (folder / "spec.mlir").string());
    EXPECT_TRUE(status.ok()) << status.message();
    ptx[i] = compiled.ptx;
  }
  std::filesystem::remove_all(folder);
  EXPECT_NE(ptx[0].find("0f3F800000"), std::string::npos); // 1.0
  EXPECT_NE(ptx[1].find("0f40000000"), std::string::npos); // 2.0
}

TEST_F(CudaFunctions, FunctionsThatAreNotWhatIsDeclared) {
  std::string expects = "spec.mlir:1:1: error: 'fp4.cuda' op expects 'fp4.cuda @f1' to define extern \"C\" __device__ float f1(float), but ";
  EXPECT_EQ(messageOf(callSpec("extern \\\"C\\\" __device__ float f2(float x) { return x; }")),
            expects + "it defines no function of that name");
  EXPECT_EQ(messageOf(callSpec("extern \\\"C\\\" __device__ float f1(int x) { return x; }")),
            expects + "its function has another signature");
  EXPECT_EQ(messageOf(callSpec("extern \\\"C\\\" __device__ double f1(float x) { return x; }")),
            expects + "its function has another signature");
  EXPECT_EQ(messageOf(callSpec("__device__ float f1(float x) { return x; }")),
            "spec.mlir:1:1: error: 'fp4.cuda' op expects 'f1' to be extern \"C\" __device__, but it has C++ linkage");
}

TEST_F(CudaFunctions, WithoutNvrtcTheMessageSaysWhatToDo) {
  setenv("FOURFOLD_NVRTC", "/nowhere/libnvrtc.so", 1);
  std::string message = messageOf(callSpec("extern \\\"C\\\" __device__ float f1(float x) { return x; }"));
  unsetenv("FOURFOLD_NVRTC");
  EXPECT_EQ(message.find("spec.mlir:1:1: error: 'fp4.cuda' op 'f1' cannot be compiled: NVRTC, which compiles CUDA C++, cannot be "
                         "opened; install the CUDA toolkit's libnvrtc, or set CUDA_HOME"),
            0u)
      << message;
  EXPECT_NE(message.find("/nowhere/libnvrtc.so"), std::string::npos) << message;
  // The process is well: the same spec compiles now.
  CompiledSpec compiled;
  Status status = compile(callSpec("extern \\\"C\\\" __device__ float f1(float x) { return x; }"), &compiled);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_F(CudaFunctions, TheMergedModuleAssembles) {
  CudaTools tools = findCudaTools();
  if (tools.nvJitLink.empty() && tools.ptxas.empty()) {
    std::cout << "SKIPPED: neither nvJitLink nor ptxas" << std::endl;
    GTEST_SKIP();
  }
  std::string path = std::string(FOURFOLD_SOURCE_DIR) + "/examples/cuda_epilogue/linear_gelu.mlir";
  Spec spec;
  spec.text = readFile(path);
  spec.fileName = path;
  spec.absent = {"bias"};
  CompiledSpec compiled;
  Status status = compiler.compile(spec, "sm_120a", &compiled);
  ASSERT_TRUE(status.ok()) << status.message();
  // What a driver must take is the module's version, NVRTC's where that is newer.
  size_t version = compiled.ptx.find(".version ") + 9;
  std::string text = compiled.ptx.substr(version, compiled.ptx.find('\n', version) - version);
  EXPECT_NE(compiled.manifest.find("\"ptxVersion\": \"" + text + "\""), std::string::npos) << text << "\n" << compiled.manifest;
  std::vector<uint8_t> cubin;
  status = assembleCubin(compiled.ptx, "sm_120a", &cubin);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_GT(cubin.size(), 1000u);
}

/// A recipe whose forward calls CUDA C++ links: the declaration comes along, and files are found beside the spec it was in.
TEST_F(CudaFunctions, RecipesKeepTheDeclarations) {
  std::string root = std::string(FOURFOLD_SOURCE_DIR) + "/kernels_spec/nvfp4/";
  Recipe recipe;
  auto read = [&](Spec *spec, const std::string &name) {
    spec->fileName = root + name;
    spec->text = readFile(spec->fileName);
  };
  read(&recipe.forward, "linear_forward.mlir");
  read(&recipe.dgrad, "linear_dgrad.mlir");
  read(&recipe.wgrad, "linear_wgrad.mlir");
  recipe.absent = {"bias", "mask", "dw_in"};
  size_t at = recipe.forward.text.find("    %r = arith.truncf");
  ASSERT_NE(at, std::string::npos);
  std::string line = recipe.forward.text.substr(at, recipe.forward.text.find('\n', at) - at + 1), value;
  std::istringstream words(line);
  for (std::string word; words >> word;)
    if (word[0] == '%')
      value = word; // the last one is the operand
  std::string call = line;
  call.replace(call.find(value), value.size(), "%cuda");
  recipe.forward.text.replace(at, line.size(), "    %cuda = fp4.call @same(" + value + ") : (f32) -> f32\n" + call);
  recipe.forward.text = "fp4.cuda @same : (f32) -> f32 source = \"extern \\\"C\\\" __device__ float same(float x) { return x; }\"\n" +
                        recipe.forward.text;
  Spec linked;
  Status status = compiler.link(recipe, &linked);
  ASSERT_TRUE(status.ok()) << status.message();
  CompiledSpec compiled;
  status = compiler.compile(linked, "sm_120a", &compiled);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_NE(compiled.ptx.find(".visible .func"), std::string::npos);
  EXPECT_EQ(compiled.ptx.find(".extern .func"), std::string::npos);
}

} // namespace
