// How far Y is from X W^T: compares a result with the fp64 product of its bf16 inputs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   compare_product x.npy w.npy y.npy
//
// prints one JSON object: sizes, the relative error |Y - X W^T|_F / |X W^T|_F, and the mean's share of the energy of X,
// tokens * |mean over tokens|^2 / |X|_F^2.

#include "dialect/Numerics.h"
#include "runtime/npy/Npy.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

using namespace fourfold;

namespace {

/// A matrix as fp64.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  const double *row(int64_t r) const { return &values[static_cast<size_t>(r * columns)]; }
};

/// Reads a matrix, rounded to `type` as the tool rounds it.
Status readMatrix(const std::string &path, ElementType type, Matrix *matrix) {
  npy::Array array;
  Tensor tensor;
  if (Status status = npy::read(path, &array); !status.ok())
    return status;
  if (array.shape.size() != 2)
    return {StatusCode::InvalidArgument, path + ": expected a matrix, found shape " + shapeText(array.shape)};
  if (Status status = npy::convert(array, path, type, &tensor); !status.ok())
    return status;
  matrix->rows = array.shape[0];
  matrix->columns = array.shape[1];
  matrix->values.resize(static_cast<size_t>(matrix->rows * matrix->columns));
  for (size_t i = 0; i < matrix->values.size(); ++i)
    if (type == ElementType::BF16) {
      uint16_t bits;
      std::memcpy(&bits, &tensor.bytes[i * 2], 2);
      matrix->values[i] = numerics::decodeBF16(bits);
    } else {
      float value;
      std::memcpy(&value, &tensor.bytes[i * 4], 4);
      matrix->values[i] = value;
    }
  return {};
}

/// |Y - X W^T|_F / |X W^T|_F.
double relativeError(const Matrix &x, const Matrix &w, const Matrix &y) {
  double difference = 0, reference = 0;
  for (int64_t token = 0; token < x.rows; ++token)
    for (int64_t out = 0; out < w.rows; ++out) {
      const double *a = x.row(token), *b = w.row(out);
      // Four partial sums, so that the compiler may keep four additions in flight: order does not matter in fp64 here.
      double sums[4] = {};
      int64_t k = 0;
      for (; k + 4 <= x.columns; k += 4)
        for (int lane = 0; lane < 4; ++lane)
          sums[lane] += a[k + lane] * b[k + lane];
      for (; k < x.columns; ++k)
        sums[0] += a[k] * b[k];
      double exact = (sums[0] + sums[1]) + (sums[2] + sums[3]);
      double error = y.row(token)[out] - exact;
      difference += error * error;
      reference += exact * exact;
    }
  return std::sqrt(difference / reference);
}

double meanShare(const Matrix &x) {
  double energy = 0, meanEnergy = 0;
  for (double value : x.values)
    energy += value * value;
  for (int64_t column = 0; column < x.columns; ++column) {
    double sum = 0;
    for (int64_t token = 0; token < x.rows; ++token)
      sum += x.row(token)[column];
    meanEnergy += sum * sum / static_cast<double>(x.rows);
  }
  return meanEnergy / energy;
}

int fail(const std::string &message) {
  std::fprintf(stderr, "compare_product: error: %s\n", message.c_str());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: compare_product x.npy w.npy y.npy\n");
    return 2;
  }
  Matrix x, w, y;
  if (Status status = readMatrix(argv[1], ElementType::BF16, &x); !status.ok())
    return fail(status.message());
  if (Status status = readMatrix(argv[2], ElementType::BF16, &w); !status.ok())
    return fail(status.message());
  if (Status status = readMatrix(argv[3], ElementType::F32, &y); !status.ok())
    return fail(status.message());
  if (x.columns != w.columns || y.rows != x.rows || y.columns != w.rows)
    return fail("x is " + shapeText({x.rows, x.columns}) + " and w " + shapeText({w.rows, w.columns}) +
                ": expected y of " + shapeText({x.rows, w.rows}) + ", found " + shapeText({y.rows, y.columns}));
  std::printf("{\"tokens\": %lld, \"in\": %lld, \"out\": %lld, \"relativeError\": %.6e, \"meanShare\": %.6e}\n",
              static_cast<long long>(x.rows), static_cast<long long>(x.columns), static_cast<long long>(w.rows),
              relativeError(x, w, y), meanShare(x));
  return 0;
}
