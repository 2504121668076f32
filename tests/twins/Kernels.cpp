// Reading generated/, inputs, runs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/twins/Kernels.h"

#include "dialect/Numerics.h"
#include "runtime/npy/Npy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace fourfold {
namespace twins {

namespace fs = std::filesystem;

static std::string readText(const fs::path &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Status readKernels(const std::string &root, const std::string &target, std::vector<Kernels> *all) {
  fs::path folder = fs::path(root) / "generated" / target;
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return {StatusCode::NotFound, "there are no kernels for " + target + ": no folder '" + folder.string() + "'"};
  const std::string suffix = ".manifest.json";
  for (const fs::directory_entry &entry : fs::recursive_directory_iterator(folder)) {
    std::string path = entry.path().string();
    if (path.size() < suffix.size() || path.compare(path.size() - suffix.size(), suffix.size(), suffix) != 0)
      continue;
    Kernels kernels;
    std::string stem = path.substr(0, path.size() - suffix.size()), problem;
    kernels.name = fs::path(stem).parent_path().filename().string() + "/" + fs::path(stem).filename().string();
    kernels.manifest = readText(path);
    kernels.ptx = readText(stem + ".ptx");
    if (!plan::Plan::fromJson(kernels.manifest, &kernels.plan, &problem))
      return {StatusCode::InvalidArgument, path + ": " + problem};
    all->push_back(std::move(kernels));
  }
  std::sort(all->begin(), all->end(), [](const Kernels &a, const Kernels &b) { return a.name < b.name; });
  return all->empty() ? Status(StatusCode::NotFound, "no manifest in '" + folder.string() + "'") : Status();
}

Status runKernels(const Device &device, const Kernels &kernels, const std::vector<Tensor> &inputs, Images *images) {
  Executable executable;
  if (Status status = Executable::load(device, kernels.manifest, kernels.ptx, &executable); !status.ok())
    return status;
  images->dims.assign(kernels.plan.dims.size(), 0);
  for (const plan::TensorInfo &info : kernels.plan.inputs)
    for (const Tensor &tensor : inputs)
      for (size_t d = 0; tensor.name == info.name && d < info.shape.size() && d < tensor.shape.size(); ++d)
        if (info.shape[d].kind() == plan::Expr::Kind::Dim)
          images->dims[static_cast<size_t>(info.shape[d].value())] = tensor.shape[d];
  images->buffers.assign(kernels.plan.buffers.size(), {});
  RunOptions options;
  options.records = &images->records;
  options.inspect = [&](size_t buffer, const std::vector<uint8_t> &bytes) { images->buffers[buffer] = bytes; };
  std::vector<Tensor> outputs;
  return executable.run(inputs, &outputs, options);
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

static void setNumber(Tensor *tensor, size_t index, float value) {
  if (tensor->type == ElementType::BF16) {
    uint16_t bits = numerics::encodeBF16(value);
    std::memcpy(&tensor->bytes[index * 2], &bits, 2);
  } else {
    std::memcpy(&tensor->bytes[index * 4], &value, 4);
  }
}

/// Roughly normal, with outliers and a mean that differs by column.
static float randomNumber(uint32_t &state, int64_t column) {
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    state = state * 1664525u + 1013904223u;
    sum += static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  if ((state >> 8) % 97 == 0)
    sum *= 20.0f;
  return sum + 0.25f * static_cast<float>(column % 7);
}

static float exactNumber(uint32_t &state, int64_t row, int64_t column) {
  constexpr float codes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  state = state * 1664525u + 1013904223u;
  float value = (row + column) % 16 == 0 ? 6.0f : codes[(state >> 9) & 7];
  return state >> 31 ? -value : value;
}

/// Blocks of their own with a NaN, an infinity, only zeros, only subnormals.
static float specialNumber(uint32_t &state, int64_t row, int64_t column) {
  float value = randomNumber(state, column);
  switch ((row / 16 * 5 + column / 16 * 3) % 8) {
  case 1:
    return row % 16 == 3 && column % 16 == 5 ? NAN : value;
  case 3:
    return row % 16 == 7 && column % 16 == 2 ? -INFINITY : value;
  case 5:
    return row % 2 ? -0.0f : 0.0f;
  case 6:
    return value * 0x1p-130f;
  default:
    return value;
  }
}

Status makeInputs(const Kernels &kernels, const Size &size, Values values, const std::string &data, std::vector<Tensor> *inputs) {
  uint32_t state = 12345;
  for (const plan::TensorInfo &info : kernels.plan.inputs) {
    Tensor tensor;
    tensor.name = info.name;
    tensor.type = static_cast<ElementType>(info.type);
    if (info.shape.empty()) {
      int64_t value = info.name == "seed" ? 0x123456789abcll : 77;
      tensor.bytes.resize(8);
      std::memcpy(tensor.bytes.data(), &value, 8);
      inputs->push_back(tensor);
      continue;
    }
    if (info.shape.size() != 2 || (info.name != "x" && info.name != "w" && info.name != "d"))
      return {StatusCode::Unsupported, kernels.name + " has input '" + info.name + "', which this test does not make"};
    tensor.shape = {info.name == "w" ? size.out : size.tokens, info.name == "d" ? size.out : size.in};
    auto count = static_cast<size_t>(tensor.shape[0] * tensor.shape[1]);
    tensor.bytes.resize(count * static_cast<size_t>(elementTypeBytes(tensor.type)));
    Tensor whole;
    if (values == Values::Captured && info.name != "d") {
      npy::Array array;
      if (Status status = npy::read(data + "/minilm_" + info.name + ".npy", &array); !status.ok())
        return status;
      if (Status status = npy::convert(array, info.name, ElementType::F32, &whole); !status.ok())
        return status;
      if (whole.shape[0] < tensor.shape[0] || whole.shape[1] < tensor.shape[1])
        return {StatusCode::InvalidArgument, "the captured '" + info.name + "' is smaller than asked for"};
    }
    for (size_t i = 0; i < count; ++i) {
      auto row = static_cast<int64_t>(i) / tensor.shape[1], column = static_cast<int64_t>(i) % tensor.shape[1];
      float value = values == Values::Exact     ? exactNumber(state, row, column)
                    : values == Values::Special ? specialNumber(state, row, column)
                                                : randomNumber(state, column);
      if (!whole.bytes.empty())
        std::memcpy(&value, &whole.bytes[static_cast<size_t>(row * whole.shape[1] + column) * 4], 4);
      setNumber(&tensor, i, value);
    }
    inputs->push_back(std::move(tensor));
  }
  return {};
}

} // namespace twins
} // namespace fourfold
