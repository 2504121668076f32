// How far each recipe's weight gradient is from the exact one, by the share of the mean in activation and gradient.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Usage: gradient-error RECIPES DEVICE [X.npy]
//   RECIPES  folder with a folder a recipe (kernels_spec), DEVICE such as emulated:sm_120a,
//   X.npy    activations, tokens x in: adds rows with these in place of synthetic ones
// Prints a markdown table of |dW - D^T X| / |D^T X| in the Frobenius norm, D^T X in fp64, and the factor between nvfp4 and averis. Exits
// with 1 if averis is not at least three times better than nvfp4 where the mean holds nine tenths of the activation.

#include "fourfold/Fourfold.h"

#include "dialect/Numerics.h"
#include "runtime/npy/Npy.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

using namespace fourfold;

namespace {

constexpr int64_t kTokens = 4096, kIn = 256, kOut = 256;
const char *const kRecipes[] = {"bf16", "mxfp4", "nvfp4", "nvidia", "averis", "averis_hadamard", "averis_v1"};

/// A matrix in bf16 with its values.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;
  Tensor tensor;

  void round(const std::string &name) {
    tensor.name = name;
    tensor.type = ElementType::BF16;
    tensor.shape = {rows, columns};
    tensor.bytes.resize(values.size() * 2);
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = numerics::encodeBF16(values[i]);
      std::memcpy(&tensor.bytes[i * 2], &bits, 2);
      values[i] = numerics::decodeBF16(bits);
    }
  }
};

/// Standard normal numbers from Philox, by Box and Muller.
class Normal {
public:
  explicit Normal(uint64_t seed) : seed(seed) {}

  float next() {
    auto words = numerics::philox4x32({static_cast<uint32_t>(count++), 0, 0, 0}, seed);
    double u = (words[0] + 0.5) * 0x1p-32, v = (words[1] + 0.5) * 0x1p-32;
    return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
  }

private:
  uint64_t seed;
  uint64_t count = 0;
};

/// Normal rows around one normal mean that holds `share` of the energy.
Matrix synthetic(const std::string &name, int64_t rows, int64_t columns, double share, uint64_t seed) {
  Normal normal(seed);
  Matrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  std::vector<float> mean;
  for (int64_t j = 0; j < columns; ++j)
    mean.push_back(static_cast<float>(std::sqrt(share)) * normal.next());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      matrix.values.push_back(mean[static_cast<size_t>(j)] + static_cast<float>(std::sqrt(1 - share)) * normal.next());
  matrix.round(name);
  return matrix;
}

Status fromFile(const std::string &path, Matrix *matrix) {
  npy::Array array;
  Tensor tensor;
  if (Status status = npy::read(path, &array); !status.ok())
    return status;
  if (Status status = npy::convert(array, path, ElementType::BF16, &tensor); !status.ok())
    return status;
  if (tensor.shape.size() != 2)
    return {StatusCode::InvalidArgument, path + ": expects a matrix, tokens x features"};
  matrix->rows = tensor.shape[0];
  matrix->columns = tensor.shape[1];
  for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
    uint16_t bits;
    std::memcpy(&bits, &tensor.bytes[i], 2);
    matrix->values.push_back(numerics::decodeBF16(bits));
  }
  matrix->round("x");
  return {};
}

double meanShare(const Matrix &matrix) {
  double energy = 0, means = 0;
  for (int64_t j = 0; j < matrix.columns; ++j) {
    double sum = 0;
    for (int64_t i = 0; i < matrix.rows; ++i) {
      double value = matrix.values[static_cast<size_t>(i * matrix.columns + j)];
      sum += value;
      energy += value * value;
    }
    means += sum * sum / static_cast<double>(matrix.rows);
  }
  return means / energy;
}

/// D^T X in fp64.
std::vector<double> exactGradient(const Matrix &d, const Matrix &x) {
  std::vector<double> result(static_cast<size_t>(d.columns * x.columns));
  for (int64_t t = 0; t < d.rows; ++t)
    for (int64_t i = 0; i < d.columns; ++i) {
      double scale = d.values[static_cast<size_t>(t * d.columns + i)];
      for (int64_t j = 0; j < x.columns; ++j)
        result[static_cast<size_t>(i * x.columns + j)] += scale * x.values[static_cast<size_t>(t * x.columns + j)];
    }
  return result;
}

Tensor scalar(const std::string &name, int64_t value) {
  Tensor tensor;
  tensor.name = name;
  tensor.type = ElementType::I64;
  tensor.bytes.resize(8);
  std::memcpy(tensor.bytes.data(), &value, 8);
  return tensor;
}

/// Recipes compiled for one device.
class Recipes {
public:
  Status open(const std::string &folder, const std::string &deviceName) {
    Device device;
    Compiler compiler;
    if (Status status = Device::open(deviceName, &device); !status.ok())
      return status;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    for (const char *recipe : kRecipes) {
      Spec spec;
      spec.fileName = fmt::format("{}/{}/linear_wgrad.mlir", folder, recipe);
      std::ifstream file(spec.fileName);
      std::stringstream text;
      text << file.rdbuf();
      spec.text = text.str();
      if (!file || spec.text.empty())
        return {StatusCode::NotFound, fmt::format("'{}' cannot be read", spec.fileName)};
      CompiledSpec compiled;
      if (Status status = compiler.leaveOut(&spec, {}); !status.ok())
        return status;
      if (Status status = compiler.compile(spec, device.target(), &compiled); !status.ok())
        return status;
      if (Status status = Executable::load(device, compiled.manifest, compiled.ptx, &executables[recipe]); !status.ok())
        return status;
    }
    return {};
  }

  Status error(const std::string &recipe, const Matrix &d, const Matrix &x, const std::vector<double> &exact,
               double *error) const {
    const Executable &executable = executables.at(recipe);
    std::vector<Tensor> inputs = {d.tensor, x.tensor}, outputs;
    if (executable.inputs().size() > 2) {
      inputs.push_back(scalar("seed", 1));
      inputs.push_back(scalar("offset", 0));
    }
    if (Status status = executable.run(inputs, &outputs); !status.ok())
      return status;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      float value;
      std::memcpy(&value, &outputs[0].bytes[i * 4], 4);
      difference += (value - exact[i]) * (value - exact[i]);
      norm += exact[i] * exact[i];
    }
    *error = std::sqrt(difference / norm);
    return {};
  }

private:
  std::map<std::string, Executable> executables;
};

int fail(const Status &status) {
  std::fprintf(stderr, "gradient-error: %s\n", status.message().c_str());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: gradient-error RECIPES DEVICE [X.npy]\n");
    return 2;
  }
  Recipes recipes;
  if (Status status = recipes.open(argv[1], argv[2]); !status.ok())
    return fail(status);

  struct Row {
    std::string name;
    Matrix x, d;
  };
  std::vector<Row> rows;
  for (auto [x, d] : {std::pair(0.9, 0.01), std::pair(0.5, 0.01), std::pair(0.05, 0.01), std::pair(0.9, 0.3)})
    rows.push_back({"synthetic, 4096 tokens", synthetic("x", kTokens, kIn, x, 1), synthetic("d", kTokens, kOut, d, 2)});
  if (argc == 4) {
    Matrix x;
    if (Status status = fromFile(argv[3], &x); !status.ok())
      return fail(status);
    std::string name = fmt::format("captured, {} tokens", x.rows);
    int64_t tokens = x.rows;
    rows.push_back({name, std::move(x), synthetic("d", tokens, kOut, 0.01, 3)});
  }

  fmt::print("| X | share of X's mean | of D's |");
  for (const char *recipe : kRecipes)
    fmt::print(" `{}` |", recipe);
  fmt::print(" nvfp4 / averis |\n|---|---|---|");
  for (size_t i = 0; i <= std::size(kRecipes); ++i)
    fmt::print("---|");
  fmt::print("\n");
  double factorAtNineTenths = 0;
  for (Row &row : rows) {
    std::vector<double> exact = exactGradient(row.d, row.x);
    std::map<std::string, double> errors;
    fmt::print("| {} | {:.2f} | {:.2f} |", row.name, meanShare(row.x), meanShare(row.d));
    for (const char *recipe : kRecipes) {
      if (Status status = recipes.error(recipe, row.d, row.x, exact, &errors[recipe]); !status.ok())
        return fail(status);
      fmt::print(" {:.4f} |", errors[recipe]);
      std::fflush(stdout);
    }
    double factor = errors["nvfp4"] / errors["averis"];
    fmt::print(" {:.2f} |\n", factor);
    if (&row == &rows.front())
      factorAtNineTenths = factor;
  }
  if (factorAtNineTenths >= 3)
    return 0;
  std::fprintf(stderr, "gradient-error: averis is %.2f times better than nvfp4 at a mean share of 0.9, expected 3 or more\n",
               factorAtNineTenths);
  return 1;
}
