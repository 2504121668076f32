// The compiler in one process with another LLVM, whose symbols everybody can see.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <fstream>
#include <iterator>

using namespace fourfold;

TEST(LlvmBeside, CompilesBesideAnotherLlvm) {
  // First in the process and global: if the plug-in's own symbols could be replaced, these would.
  for (const char *library : {FOURFOLD_LLVM_LIBRARIES "/libLLVM.so", FOURFOLD_LLVM_LIBRARIES "/libMLIR.so"})
    ASSERT_NE(dlopen(library, RTLD_NOW | RTLD_GLOBAL), nullptr) << dlerror();
  ASSERT_NE(dlsym(RTLD_DEFAULT, "LLVMContextCreate"), nullptr);
  setenv("FOURFOLD_CACHE", "off", 1);
  Compiler compiler;
  ASSERT_EQ(Compiler::open(&compiler, FOURFOLD_BINARY_DIR "/lib/libfourfold_jit.so").message(), "");
  Spec spec;
  std::ifstream file(FOURFOLD_SOURCE_DIR "/kernels_spec/averis/linear_forward.mlir");
  spec.text.assign(std::istreambuf_iterator<char>(file), {});
  CompiledSpec compiled;
  ASSERT_EQ(compiler.leaveOut(&spec, {"x", "w"}).message(), "");
  ASSERT_EQ(compiler.compile(spec, "sm_120a", &compiled).message(), "");
  EXPECT_NE(compiled.ptx.find(".visible .entry"), std::string::npos);
}

TEST(LlvmBeside, ThePluginExportsOneFunction) {
  void *plugin = dlopen(FOURFOLD_BINARY_DIR "/lib/libfourfold_jit.so", RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(plugin, nullptr) << dlerror();
  EXPECT_NE(dlsym(plugin, "fourfoldCompilerApi"), nullptr);
  // dlsym also looks in libraries that the plug-in needs: none of them may be LLVM.
  for (const char *symbol : {"LLVMContextCreate", "mlirContextCreate"}) {
    void *found = dlsym(plugin, symbol);
    EXPECT_EQ(found, nullptr) << symbol;
  }
}
