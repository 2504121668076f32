// The environment variables that the runtime reads, all of them here (the emulated device reads its own in
// emulator/Options.cpp). SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_CORE_ENVIRONMENT_H
#define FOURFOLD_RUNTIME_CORE_ENVIRONMENT_H

#include <cstdlib>
#include <string>

namespace fourfold {
namespace environment {

inline std::string read(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// FOURFOLD_JIT: the compiler plug-in's path.
inline std::string compilerPath() { return read("FOURFOLD_JIT"); }

/// FOURFOLD_RECIPES: folders that hold recipes, separated by colons.
inline std::string recipeFolders() { return read("FOURFOLD_RECIPES"); }

/// CUDA_HOME: the CUDA toolkit, for nvJitLink and ptxas; /usr/local/cuda unless set.
inline std::string cudaHome() {
  std::string home = read("CUDA_HOME");
  return home.empty() ? "/usr/local/cuda" : home;
}

/// FOURFOLD_NVJITLINK: path of nvJitLink, or "off" to leave machine code to ptxas and the driver.
inline std::string nvJitLink() { return read("FOURFOLD_NVJITLINK"); }

} // namespace environment
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_CORE_ENVIRONMENT_H
