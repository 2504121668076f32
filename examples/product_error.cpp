// How far a product is from the one in fp64, and how much of the activation's energy its mean holds. Used by the demo.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Usage: product-error X.npy W.npy Y.npy    (X tokens x in, W out x in, Y tokens x out; X and W are rounded to bf16 first)
// Prints one line: relative error |Y - X W^T| / |X W^T| in the Frobenius norm, mean share tokens |mu|^2 / |X|^2.

#include "dialect/Numerics.h"
#include "runtime/npy/Npy.h"

#include <cmath>
#include <cstdio>
#include <cstring>

using namespace fourfold;

static bool load(const char *path, std::vector<double> *values, std::vector<int64_t> *shape) {
  npy::Array array;
  Tensor tensor;
  Status status = npy::read(path, &array);
  if (status.ok())
    status = npy::convert(array, path, ElementType::BF16, &tensor);
  if (status.ok() && tensor.shape.size() != 2)
    status = {StatusCode::InvalidArgument, std::string(path) + ": expects a matrix"};
  if (!status.ok()) {
    std::fprintf(stderr, "product-error: %s\n", status.message().c_str());
    return false;
  }
  *shape = tensor.shape;
  for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
    uint16_t bits;
    std::memcpy(&bits, &tensor.bytes[i], 2);
    values->push_back(numerics::decodeBF16(bits));
  }
  return true;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: product-error X.npy W.npy Y.npy\n");
    return 1;
  }
  std::vector<double> x, w, y;
  std::vector<int64_t> xs, ws, ys;
  if (!load(argv[1], &x, &xs) || !load(argv[2], &w, &ws) || !load(argv[3], &y, &ys))
    return 1;
  if (xs[1] != ws[1] || ys[0] != xs[0] || ys[1] != ws[0]) {
    std::fprintf(stderr, "product-error: %s, %s and %s do not fit\n", argv[1], argv[2], argv[3]);
    return 1;
  }
  int64_t tokens = xs[0], in = xs[1], out = ws[0];
  double error = 0, norm = 0, energy = 0, meanEnergy = 0;
  for (int64_t i = 0; i < tokens; ++i)
    for (int64_t j = 0; j < out; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < in; ++k)
        sum += x[static_cast<size_t>(i * in + k)] * w[static_cast<size_t>(j * in + k)];
      double difference = y[static_cast<size_t>(i * out + j)] - sum;
      error += difference * difference;
      norm += sum * sum;
    }
  for (int64_t k = 0; k < in; ++k) {
    double sum = 0;
    for (int64_t i = 0; i < tokens; ++i) {
      double value = x[static_cast<size_t>(i * in + k)];
      sum += value;
      energy += value * value;
    }
    meanEnergy += sum * sum / static_cast<double>(tokens);
  }
  std::printf("%.6f %.6f\n", std::sqrt(error / norm), meanEnergy / energy);
  return 0;
}
