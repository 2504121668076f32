// The entry points of libnvrtc that are used, and one compilation.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "cuda/Nvrtc.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>

namespace fourfold {
namespace cuda {

/// As in nvrtc.h; results are 0 for success.
struct Nvrtc::Library {
  using Program = struct _nvrtcProgram *;

  std::string path;
  int (*version)(int *, int *) = nullptr;
  const char *(*errorString)(int) = nullptr;
  int (*create)(Program *, const char *, const char *, int, const char *const *, const char *const *) = nullptr;
  int (*destroy)(Program *) = nullptr;
  int (*compile)(Program, int, const char *const *) = nullptr;
  int (*ptxSize)(Program, size_t *) = nullptr;
  int (*ptx)(Program, char *) = nullptr;
  int (*logSize)(Program, size_t *) = nullptr;
  int (*log)(Program, char *) = nullptr;

  bool load(const std::string &candidate, std::string *error) {
    // Never closed: NVRTC keeps state of its own, and its builtins library, past dlclose.
    void *handle = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      const char *text = dlerror();
      *error = text ? text : candidate;
      return false;
    }
    path = candidate;
    bool found = true;
    auto find = [&](const char *name, auto *function) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(handle, name));
      if (!*function) {
        *error = candidate + " lacks " + name;
        found = false;
      }
    };
    find("nvrtcVersion", &version);
    find("nvrtcGetErrorString", &errorString);
    find("nvrtcCreateProgram", &create);
    find("nvrtcDestroyProgram", &destroy);
    find("nvrtcCompileProgram", &compile);
    find("nvrtcGetPTXSize", &ptxSize);
    find("nvrtcGetPTX", &ptx);
    find("nvrtcGetProgramLogSize", &logSize);
    find("nvrtcGetProgramLog", &log);
    return found;
  }
};

std::string toolkitHome() {
  const char *value = std::getenv("CUDA_HOME");
  return value && *value ? value : "/usr/local/cuda";
}

bool Nvrtc::open(Nvrtc *nvrtc, std::string *error) {
  auto library = std::make_shared<Library>();
  std::string home = toolkitHome(), tried;
  std::vector<std::string> candidates = {home + "/lib64/libnvrtc.so", home + "/lib/libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12",
                                         "libnvrtc.so"};
  if (const char *given = std::getenv("FOURFOLD_NVRTC"); given && *given)
    candidates = {given};
  for (const std::string &candidate : candidates) {
    std::string why;
    if (library->load(candidate, &why)) {
      nvrtc->library = std::move(library);
      return true;
    }
    tried += "\n  " + why;
  }
  *error = "NVRTC, which compiles CUDA C++, cannot be opened; install the CUDA toolkit's libnvrtc, or set CUDA_HOME to a toolkit "
           "that has it, or FOURFOLD_NVRTC to the library; tried:" +
           tried;
  return false;
}

bool Nvrtc::compile(const std::string &source, const std::string &name, const std::string &target,
                    const std::vector<std::string> &options, std::string *ptx, std::string *log) const {
  if (!library) {
    *log = "NVRTC is not open";
    return false;
  }
  std::vector<std::string> all = {"--gpu-architecture=compute_" + target.substr(target.find('_') + 1), "--std=c++17"};
  std::string include = toolkitHome() + "/include";
  struct stat info;
  if (stat(include.c_str(), &info) == 0)
    all.push_back("--include-path=" + include);
  all.insert(all.end(), options.begin(), options.end());
  std::vector<const char *> arguments;
  for (const std::string &option : all)
    arguments.push_back(option.c_str());

  Library::Program program = nullptr;
  int result = library->create(&program, source.c_str(), name.c_str(), 0, nullptr, nullptr);
  if (result != 0) {
    *log = std::string("NVRTC: ") + library->errorString(result);
    return false;
  }
  result = library->compile(program, static_cast<int>(arguments.size()), arguments.data());
  size_t size = 0;
  log->clear();
  if (library->logSize(program, &size) == 0 && size > 1) {
    log->resize(size);
    library->log(program, log->data());
    log->resize(size - 1);
  }
  if (result == 0) {
    result = library->ptxSize(program, &size);
    if (result == 0) {
      ptx->resize(size);
      result = library->ptx(program, ptx->data());
      ptx->resize(size ? size - 1 : 0);
    }
  }
  if (result != 0 && log->empty())
    *log = std::string("NVRTC (") + library->path + "): " + library->errorString(result) + " for " + target;
  library->destroy(&program);
  return result == 0;
}

std::string Nvrtc::version() const {
  int major = 0, minor = 0;
  if (!library || library->version(&major, &minor) != 0)
    return "";
  return std::to_string(major) + "." + std::to_string(minor);
}

const std::string &Nvrtc::path() const {
  static const std::string none;
  return library ? library->path : none;
}

} // namespace cuda
} // namespace fourfold
