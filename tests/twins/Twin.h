// Kernels in CUDA C++, compiled by NVRTC at run time, against those that are generated.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_TWINS_TWIN_H
#define FOURFOLD_TESTS_TWINS_TWIN_H

#include "tests/twins/Kernels.h"

namespace fourfold {
namespace twins {

/// The twins of tests/twins on one device.
class Twins {
public:
  Twins() = default;
  Twins(const Twins &) = delete;
  Twins &operator=(const Twins &) = delete;
  ~Twins();

  /// Compiles and loads them. NotFound: there is no NVRTC, and why.
  Status open(const std::string &root, const Device &device);

  /// Every amax, codes and scales buffer of a run against the twin's, computed from the run's inputs and means; and, where the epilogue
  /// adds nothing, the product: inside the twin's bound, or with `exact` bit for bit.
  Status compare(const Kernels &kernels, const Images &images, bool exact, std::vector<Comparison> *results) const;

  /// The s4 product of packed operands through shared memory and ldmatrix against the host's integers.
  Status compareLayout(std::vector<Comparison> *results) const;

private:
  Status load(const std::string &root, const std::string &file, void **module) const;
  Status launch(void *module, const char *kernel, int64_t threads, unsigned block, std::vector<void *> arguments) const;

  Device device;
  void *quantize = nullptr, *matmul = nullptr, *layout = nullptr;
};

} // namespace twins
} // namespace fourfold

#endif // FOURFOLD_TESTS_TWINS_TWIN_H
