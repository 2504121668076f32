// NVRTC, opened at run time: CUDA C++ to PTX without nvcc.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_CUDA_NVRTC_H
#define FOURFOLD_CUDA_NVRTC_H

#include <memory>
#include <string>
#include <vector>

namespace fourfold {
namespace cuda {

/// The toolkit: CUDA_HOME, else /usr/local/cuda. It need not exist.
std::string toolkitHome();

/// An open libnvrtc. Thread-safe once opened; copies share the library.
class Nvrtc {
public:
  /// Opens FOURFOLD_NVRTC if that is set, else the library of `toolkitHome()`, else one that the loader finds (libnvrtc.so.13, .so.12, .so). On failure `*error` names
  /// everything that was tried.
  static bool open(Nvrtc *nvrtc, std::string *error);

  /// Compiles `source`, which messages call `name`, for a target such as "sm_120a". Header files of the toolkit are found. On failure
  /// returns false; `*log` is the compiler's own text, warnings included where it succeeded.
  bool compile(const std::string &source, const std::string &name, const std::string &target,
               const std::vector<std::string> &options, std::string *ptx, std::string *log) const;

  /// "13.0".
  std::string version() const;
  const std::string &path() const;

  struct Library;

private:
  std::shared_ptr<const Library> library;
};

} // namespace cuda
} // namespace fourfold

#endif // FOURFOLD_CUDA_NVRTC_H
