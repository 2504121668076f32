// A linear layer from a host program: kernels built ahead of time, no compiler, no CUDA headers; only libfourfold.so.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   linear_forward generated/sm_120a/averis/linear_forward [device]
//
// Loads PTX and manifest of that name, computes Y = X W^T for made-up activations with a large mean, and compares with
// fp64.

#include "fourfold/Fourfold.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace fourfold;

namespace {

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A bf16 matrix. The values given here have at most 8 significant bits: cutting off the lower half of the fp32 is
/// exact.
Tensor makeMatrix(const std::string &name, int64_t rows, int64_t columns, float (*valueAt)(int64_t, int64_t)) {
  Tensor tensor;
  tensor.name = name;
  tensor.type = ElementType::BF16;
  tensor.shape = {rows, columns};
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      float value = valueAt(row, column);
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      tensor.bytes.push_back(static_cast<uint8_t>(bits >> 16));
      tensor.bytes.push_back(static_cast<uint8_t>(bits >> 24));
    }
  return tensor;
}

// A coherent mean of 8 under a signal of at most 2.
float activation(int64_t token, int64_t feature) {
  return 8.0f + static_cast<float>((token * 7 + feature * 5) % 17 - 8) / 4;
}
float weight(int64_t out, int64_t feature) { return static_cast<float>((out * 11 + feature * 3) % 15 - 7) / 8; }

int fail(const Status &status) {
  std::fprintf(stderr, "linear_forward: error: %s\n", status.message().c_str());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: linear_forward KERNELS [device]\n");
    return 2;
  }
  const int64_t tokens = 100, in = 200, out = 72;
  std::string kernels = argv[1];

  Device device;
  if (Status status = Device::open(argc == 3 ? argv[2] : "auto", &device); !status.ok())
    return fail(status);
  Executable layer;
  if (Status status =
          Executable::load(device, readFile(kernels + ".manifest.json"), readFile(kernels + ".ptx"), &layer);
      !status.ok())
    return fail(status);

  std::vector<Tensor> outputs;
  if (Status status = layer.run({makeMatrix("x", tokens, in, activation), makeMatrix("w", out, in, weight)}, &outputs);
      !status.ok())
    return fail(status);

  double error = 0, energy = 0;
  for (int64_t token = 0; token < tokens; ++token)
    for (int64_t o = 0; o < out; ++o) {
      double exact = 0;
      for (int64_t feature = 0; feature < in; ++feature)
        exact += static_cast<double>(activation(token, feature)) * weight(o, feature);
      uint32_t bits = 0;
      std::memcpy(reinterpret_cast<char *>(&bits) + 2, &outputs[0].bytes[static_cast<size_t>(token * out + o) * 2], 2);
      float y;
      std::memcpy(&y, &bits, 4);
      error += (y - exact) * (y - exact);
      energy += exact * exact;
    }
  double relative = std::sqrt(error / energy);
  std::printf("%s on %s: %s, relative error %.4f\n", layer.outputs()[0].name.c_str(), device.name().c_str(),
              shapeText(outputs[0].shape).c_str(), relative);
  // Four bits: two significant ones and a shared scale leave about a tenth.
  return relative < 0.2 ? 0 : 1;
}
