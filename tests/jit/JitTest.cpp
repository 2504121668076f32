// From specs to loaded executables through the cache, with the real compiler and with one written by hand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "../runtime/AddSpec.h"
#include "JitHarness.h"
#include "fourfold/Fourfold.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <thread>

using namespace fourfold;
using namespace fourfold::tests;

namespace fs = std::filesystem;

static const std::string kReal = FOURFOLD_BINARY_DIR "/lib/libfourfold_jit.so";
static const std::string kFake = FOURFOLD_BINARY_DIR "/tests/libfourfold_fake_jit.so";

static std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

static Spec specOf(const std::string &recipe) {
  Spec spec;
  spec.fileName = FOURFOLD_SOURCE_DIR "/kernels_spec/" + recipe + "/linear_forward.mlir";
  spec.text = contents(spec.fileName);
  return spec;
}

static bool pluginIsLoaded() { return contents("/proc/self/maps").find("libfourfold_jit.so") != std::string::npos; }

struct Jit : testing::Test {
  Folder folder;
  Setting place{"FOURFOLD_CACHE_DIR", folder.path + "/cache"};
  Setting counter{"FAKE_JIT_COUNTER", folder.path + "/counter"};
  Messages messages;

  Compiler open(const std::string &path = kFake) {
    Compiler compiler;
    Status status = Compiler::open(&compiler, path);
    EXPECT_TRUE(status.ok()) << status.message();
    return compiler;
  }
  size_t compilations() const { return countLines(folder.path + "/counter"); }
};

TEST_F(Jit, AHitDoesNotLoadTheCompiler) {
  // Another process compiles; this one must not have loaded the plug-in before.
  ASSERT_FALSE(pluginIsLoaded());
  pid_t child = fork();
  if (child == 0) {
    CompiledSpec compiled;
    Compiler compiler = open(kReal);
    bool good = compiler.compile(specOf("averis"), "sm_120a", &compiled).ok() && pluginIsLoaded();
    _exit(good ? 0 : 1);
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  Compiler compiler = open(kReal);
  EXPECT_EQ(compiler.version().rfind("fourfold ", 0), 0u) << compiler.version();
  CompiledSpec hit, fresh;
  ASSERT_TRUE(compiler.compile(specOf("averis"), "sm_120a", &hit).ok());
  EXPECT_FALSE(pluginIsLoaded());
  Setting off("FOURFOLD_CACHE", "off");
  Compiler uncached = open(kReal);
  EXPECT_EQ(uncached.version(), compiler.version());
  ASSERT_TRUE(uncached.compile(specOf("averis"), "sm_120a", &fresh).ok());
  EXPECT_TRUE(pluginIsLoaded());
  EXPECT_EQ(hit.ptx, fresh.ptx);
  EXPECT_EQ(hit.manifest, fresh.manifest);
}

TEST_F(Jit, EverythingThatChangesTheCodeIsInTheKey) {
  Compiler compiler = open();
  CompiledSpec compiled;
  Spec spec;
  spec.text = "add";
  auto compile = [&](const Spec &what, const std::string &target) {
    ASSERT_TRUE(compiler.compile(what, target, &compiled).ok());
  };
  compile(spec, "sm_120a");
  compile(spec, "sm_120a");
  EXPECT_EQ(compilations(), 1u);
  Spec text = spec, function = spec, absent = spec, mode = spec;
  text.text = "add ";
  function.function = "f";
  absent.absent = {"mask"};
  mode.mode = "faithful";
  compile(text, "sm_120a");
  compile(function, "sm_120a");
  compile(absent, "sm_120a");
  compile(mode, "sm_120a");
  compile(spec, "sm_80");
  EXPECT_EQ(compiled.ptx, addPtx("sm_80"));
  EXPECT_EQ(compilations(), 6u);
  std::string signature;
  ASSERT_TRUE(compiler.emit(spec, "sm_120a", "signature", &signature).ok());
  EXPECT_EQ(compilations(), 7u);
}

TEST_F(Jit, WhatDependsOnFilesIsNotKept) {
  Compiler compiler = open();
  Device device;
  ASSERT_TRUE(Device::open("emulated:sm_120a", &device).ok());
  Spec spec;
  spec.text = "add volatile";
  Executable one, two;
  ASSERT_EQ(Executable::compile(device, compiler, spec, &one).message(), "");
  ASSERT_EQ(Executable::compile(device, compiler, spec, &two).message(), "");
  EXPECT_NE(&one.inputs(), &two.inputs());
  EXPECT_EQ(compilations(), 2u);
  for (const auto &entry : fs::recursive_directory_iterator(folder.path + "/cache"))
    EXPECT_NE(entry.path().filename().string().size(), 32u) << entry.path();
}

TEST_F(Jit, AnotherBuildOfTheCompilerCompilesAnew) {
  // Two builds differ in the build id that the linker writes.
  std::string path = folder.path + "/libfake.so", bytes = contents(kFake);
  size_t note = bytes.find(std::string("\x14\0\0\0\x03\0\0\0GNU\0", 12));
  ASSERT_NE(note, std::string::npos) << "the fake plug-in has no build id";
  CompiledSpec compiled;
  Spec spec;
  spec.text = "add";
  for (int build : {0, 1, 1}) {
    std::string changed = bytes;
    changed[note + 12] = static_cast<char>(changed[note + 12] + build);
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << changed;
    ASSERT_TRUE(open(path).compile(spec, "sm_120a", &compiled).ok());
  }
  EXPECT_EQ(compilations(), 2u);
}

TEST_F(Jit, ExecutablesAreSharedInAProcess) {
  Compiler compiler = open();
  Device device;
  ASSERT_TRUE(Device::open("emulated:sm_120a", &device).ok());
  Spec spec;
  spec.text = "add";
  Executable one, two;
  ASSERT_EQ(Executable::compile(device, compiler, spec, &one).message(), "");
  ASSERT_EQ(Executable::compile(device, compiler, spec, &two).message(), "");
  EXPECT_EQ(&one.inputs(), &two.inputs());
  one = two = Executable();
  ASSERT_EQ(Executable::compile(device, compiler, spec, &two).message(), "");
  EXPECT_EQ(two.inputs().size(), 2u);
  EXPECT_EQ(compilations(), 1u);
}

TEST_F(Jit, AFailureLeavesTheProcessHealthy) {
  Compiler compiler = open(kReal);
  Device device;
  ASSERT_TRUE(Device::open("emulated:sm_120a", &device).ok());
  std::atomic<int> failures{0}, successes{0};
  auto work = [&](const char *recipe) {
    Spec good = specOf(recipe), bad = good;
    bad.text.replace(bad.text.find("fp4.quantize"), 12, "fp4.quantise");
    for (int i = 0; i < 2; ++i) {
      Executable executable;
      Status failed = Executable::compile(device, compiler, bad, &executable);
      failures += failed.code() == StatusCode::CompileError && failed.message().find("fp4.quantise") != std::string::npos;
      EXPECT_FALSE(executable.isLoaded());
      Status status = Executable::compile(device, compiler, good, &executable);
      EXPECT_EQ(status.message(), "");
      successes += executable.isLoaded();
    }
  };
  std::thread one(work, "nvfp4"), two(work, "mxfp4");
  one.join();
  two.join();
  EXPECT_EQ(failures, 4);
  EXPECT_EQ(successes, 4);
  EXPECT_EQ(messages.count(), 0u) << messages.text();
}

TEST_F(Jit, LinearLayersUseTheCache) {
  Device device;
  ASSERT_TRUE(Device::open("emulated:sm_120a", &device).ok());
  LinearDescriptor descriptor;
  descriptor.inFeatures = descriptor.outFeatures = 64;
  descriptor.recipe = FOURFOLD_SOURCE_DIR "/kernels_spec/nvfp4/";
  uint64_t bytes[2];
  for (uint64_t &weights : bytes) {
    // What the layers of one process share must not hide what the cache does.
    Linear linear;
    Status status = Linear::create(device, open(kReal), descriptor, &linear);
    ASSERT_TRUE(status.ok()) << status.message();
    weights = linear.weightsBytes();
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  size_t entries = 0;
  for (const auto &entry : fs::recursive_directory_iterator(folder.path + "/cache"))
    entries += entry.is_regular_file() && entry.path().filename().string().size() == 32;
  EXPECT_EQ(entries, 2u) << "the linked spec and its kernels";
}
