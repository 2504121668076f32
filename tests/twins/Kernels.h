// Kernels built ahead of time, run on a device with every buffer kept.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_TWINS_KERNELS_H
#define FOURFOLD_TESTS_TWINS_KERNELS_H

#include "fourfold/Fourfold.h"
#include "plan/Plan.h"

#include <string>
#include <vector>

namespace fourfold {
namespace twins {

/// A spec of generated/: "averis/linear_forward".
struct Kernels {
  std::string name, manifest, ptx;
  plan::Plan plan;
};

/// Everything in ROOT/generated/TARGET, in the order of names.
Status readKernels(const std::string &root, const std::string &target, std::vector<Kernels> *all);

/// What a launch ran on: the plan's extents, and the contents of its buffers at the end, by index.
struct Images {
  std::vector<int64_t> dims;
  std::vector<std::vector<uint8_t>> buffers;
  std::vector<LaunchRecord> records;
};

Status runKernels(const Device &device, const Kernels &kernels, const std::vector<Tensor> &inputs, Images *images);

/// Tokens, features in, features out of a test.
struct Size {
  int64_t tokens, in, out;
};

/// What a test's matrices hold: numbers with outliers and a mean; the same with some NaN, infinities, zeros and subnormals; codes of
/// e2m1 with a 6 in every 16 along both axes, so that mxfp4 scales are 1 and products are integers; activations and a weight of a
/// language model (the gradient stays random).
enum class Values { Random, Special, Exact, Captured };

/// Inputs of a recipe's spec. `data` is the folder of minilm_x.npy and minilm_w.npy.
Status makeInputs(const Kernels &kernels, const Size &size, Values values, const std::string &data, std::vector<Tensor> *inputs);

/// How many bytes differ, and how many elements of a matmul's result lie outside its bound.
struct Comparison {
  std::string kernels, buffer;
  int64_t elements = 0, different = 0, outside = 0;
  bool bounded = false;
  double maxError = 0, maxBound = 0;
  std::string detail;
  bool passed() const { return bounded ? outside == 0 : different == 0; }
};

/// Compares buffer by buffer: bit for bit, except what a matmul precedes, which may round otherwise.
std::vector<Comparison> compareImages(const Kernels &kernels, const Images &device, const Images &reference);

} // namespace twins
} // namespace fourfold

#endif // FOURFOLD_TESTS_TWINS_KERNELS_H
