// NVRTC, opened at run time: neither the build nor the other tests need CUDA.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Nvrtc.h"

#include "Harness.h"

#include <cstdlib>
#include <dlfcn.h>
#include <map>

namespace fourfold {
namespace emulator {
namespace test {
namespace {

/// The functions used; types as in nvrtc.h, with its enumeration as int and its handle as void *.
struct Library {
  void *handle = nullptr;
  std::string root;
  int (*create)(void **, const char *, const char *, int, const char *const *, const char *const *) = nullptr;
  int (*compile)(void *, int, const char *const *) = nullptr;
  int (*ptxSize)(void *, size_t *) = nullptr;
  int (*ptx)(void *, char *) = nullptr;
  int (*logSize)(void *, size_t *) = nullptr;
  int (*log)(void *, char *) = nullptr;
  int (*destroy)(void **) = nullptr;

  template <class F>
  void find(F &function, const char *name) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    if (!function)
      handle = nullptr;
  }

  Library() {
    const char *home = std::getenv("CUDA_HOME");
    root = home && *home ? home : "/usr/local/cuda";
    if (!std::ifstream(root + "/include/cuda_fp16.h"))
      return;
    for (const std::string &path : {root + "/lib64/libnvrtc.so.13", root + "/targets/x86_64-linux/lib/libnvrtc.so.13", std::string("libnvrtc.so.13")})
      if (!handle)
        handle = dlopen(path.c_str(), RTLD_NOW);
    if (!handle)
      return;
    find(create, "nvrtcCreateProgram");
    if (handle)
      find(compile, "nvrtcCompileProgram");
    if (handle)
      find(ptxSize, "nvrtcGetPTXSize");
    if (handle)
      find(ptx, "nvrtcGetPTX");
    if (handle)
      find(logSize, "nvrtcGetProgramLogSize");
    if (handle)
      find(log, "nvrtcGetProgramLog");
    if (handle)
      find(destroy, "nvrtcDestroyProgram");
  }
};

const Library &library() {
  static const Library instance;
  return instance;
}

} // namespace

bool haveNvrtc() { return library().handle != nullptr; }

std::string compileWithNvrtc(const std::string &path, const std::string &target) {
  // Each test of a program loads the same PTX.
  static std::map<std::string, std::string> compiled;
  std::string &result = compiled[path + target];
  if (!result.empty())
    return result;
  const Library &nvrtc = library();
  std::string source = readText(path);
  std::string arch = "--gpu-architecture=compute_" + target.substr(3), include = "-I" + nvrtc.root + "/include", cccl = "-I" + nvrtc.root + "/include/cccl";
  const char *options[] = {arch.c_str(), include.c_str(), cccl.c_str(), "-std=c++17"};
  void *program = nullptr;
  EXPECT_EQ(nvrtc.create(&program, source.c_str(), path.c_str(), 0, nullptr, nullptr), 0);
  int status = nvrtc.compile(program, 4, options);
  size_t size = 0;
  if (status == 0 && nvrtc.ptxSize(program, &size) == 0) {
    result.resize(size);
    nvrtc.ptx(program, result.data());
    result.resize(size - 1); // the size counts the zero at the end
  } else {
    nvrtc.logSize(program, &size);
    std::string log(size, '\0');
    nvrtc.log(program, log.data());
    ADD_FAILURE() << "NVRTC does not compile " << path << ":\n" << log;
  }
  nvrtc.destroy(&program);
  return result;
}

} // namespace test
} // namespace emulator
} // namespace fourfold
