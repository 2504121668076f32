// PTX shared out over modules: every kernel once, and only where kernels share nothing.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"
#include "runtime/emulator/Emulator.h"
#include "runtime/jit/SplitPtx.h"
#include "runtime/npy/Npy.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace fourfold;

static std::string generated() {
  std::string text;
  EXPECT_TRUE(readFile(FOURFOLD_SOURCE_DIR "/generated/sm_120a/averis/linear_wgrad.ptx", &text).ok());
  return text;
}

static size_t count(const std::string &text, const std::string &what) {
  size_t number = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++number;
  return number;
}

TEST(SplitPtx, EachKernelIsInOnePartAndEachPartLoads) {
  const device::DriverTable &driver = emulator::driver();
  device::CUcontext context = nullptr;
  ASSERT_EQ(driver.init(0), device::kSuccess);
  ASSERT_EQ(driver.primaryCtxRetain(&context, emulator::deviceOrdinal("sm_120a")), device::kSuccess);
  ASSERT_EQ(driver.ctxSetCurrent(context), device::kSuccess);
  std::string ptx = generated();
  std::vector<KernelPtx> kernels = splitKernels(ptx);
  ASSERT_EQ(kernels.size(), count(ptx, ".entry "));
  for (size_t parts : {1, 2, 3, 7, 100}) {
    std::vector<std::string> modules = splitPtx(ptx, parts);
    EXPECT_EQ(modules.size(), std::min(parts, kernels.size()));
    for (const KernelPtx &kernel : kernels) {
      std::string entry = ".visible .entry " + kernel.name + "(";
      EXPECT_EQ(std::count_if(modules.begin(), modules.end(), [&](const std::string &text) { return count(text, entry) == 1; }), 1) << kernel.name;
    }
    size_t entries = 0, longest = 0, shortest = ptx.size();
    for (const std::string &text : modules) {
      entries += count(text, ".entry ");
      longest = std::max(longest, text.size());
      shortest = std::min(shortest, text.size());
      device::CUmodule module = nullptr;
      EXPECT_EQ(driver.moduleLoadDataEx(&module, text.c_str(), 0, nullptr, nullptr), device::kSuccess) << emulator::lastFinding();
      driver.moduleUnload(module);
    }
    EXPECT_EQ(entries, kernels.size());
    if (parts == 2) {
      EXPECT_LT(longest, shortest * 3 / 2) << "the parts take as long as each other";
    }
  }
}

TEST(SplitPtx, WhatKernelsShareKeepsThemTogether) {
  std::string ptx = generated(), head = ".address_size 64\n";
  ASSERT_EQ(splitPtx(ptx, 2).size(), 2u);
  for (const char *shared : {".visible .global .align 4 .u32 counter;\n", ".func f()\n{\n\tret;\n}\n", ".extern .func f\n(\n)\n;\n"}) {
    std::string changed = ptx;
    changed.insert(changed.find(head) + head.size(), shared);
    EXPECT_EQ(splitPtx(changed, 2), std::vector<std::string>{changed}) << shared;
    EXPECT_TRUE(splitKernels(changed).empty()) << shared;
  }
  EXPECT_EQ(splitPtx(ptx + "\n.func f()\n{\n\tret;\n}\n", 2).size(), 1u);
  EXPECT_EQ(splitPtx("no kernels", 2), std::vector<std::string>{"no kernels"});
}

TEST(OneKernel, IsWhatItIsAmongAllOfThem) {
  Compiler compiler;
  ASSERT_EQ(Compiler::open(&compiler).message(), "");
  Spec spec;
  ASSERT_TRUE(readFile(FOURFOLD_SOURCE_DIR "/kernels_spec/nvfp4/linear_forward.mlir", &spec.text).ok());
  ASSERT_EQ(compiler.leaveOut(&spec, {}).message(), "");
  std::string all, one;
  ASSERT_EQ(compiler.emit(spec, "sm_80", "ptx", &all).message(), "");
  std::vector<KernelPtx> kernels = splitKernels(all);
  ASSERT_GT(kernels.size(), 2u);
  for (const KernelPtx &kernel : kernels) {
    ASSERT_EQ(compiler.emit(spec, "sm_80", "ptx", &one, nullptr, kernel.name).message(), "");
    EXPECT_EQ(count(one, ".entry "), 1u);
    size_t body = one.find(".visible .entry " + kernel.name + "(");
    ASSERT_NE(body, std::string::npos) << kernel.name;
    EXPECT_NE(all.find(one.substr(body)), std::string::npos) << kernel.name;
  }
  std::string first = kernels.front().name;
  ASSERT_EQ(compiler.emit(spec, "sm_80", "kernels", &one, nullptr, first).message(), "");
  EXPECT_EQ(count(one, "nvvm.kernel"), 1u);
  EXPECT_EQ(compiler.emit(spec, "sm_80", "ptx", &one, nullptr, "matmul").message().find("the plan has no kernel 'matmul'; it has " + first), 0u);
  EXPECT_EQ(compiler.emit(spec, "sm_80", "plan", &one, nullptr, first).message(), "a kernel can be chosen for the outputs kernels, llvm and ptx, not for plan");
  EXPECT_EQ(compiler.emit(spec, "sm_80", "signature", &one, nullptr, first).message(), "a kernel can be chosen for the outputs kernels, llvm and ptx, not for signature");
}
