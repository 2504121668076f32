// Inputs that mutants are run on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Inputs.h"

#include "dialect/Numerics.h"

#include <array>
#include <cstring>
#include <limits>

namespace fourfold {
namespace mutation {

static float valueAt(int64_t i, int64_t count, int64_t width, const Special &special, size_t input, float value) {
  int64_t n = special.number;
  if (special.kind == Special::Infinities)
    return input == static_cast<size_t>(n) && i / width == i % width && i % width < 32 ? std::numeric_limits<float>::infinity() : value;
  if (special.kind == Special::LateInfinities)
    return input == static_cast<size_t>(n) && i / width - 64 == i % width && i % width < 32 ? std::numeric_limits<float>::infinity() : value;
  if (special.kind == Special::Ties) {
    // Rows come in pairs of opposite sign. 2688, the largest value of a block at the largest scale, makes the tensor's scale 1; 6 a block's.
    int64_t row = i / width, column = i % width, pair = row / 2;
    float magnitude = pair + column == 0 ? 2688.0f : column % 16 == pair % 8 * 2 ? 6.0f : static_cast<float>((pair * 7 + column * 5) % 24) * 0.25f;
    return row % 2 ? -magnitude : magnitude;
  }
  if (special.kind == Special::ScaleTies) {
    // One bf16 step above the middle between two block scales, 6 * 1.0625: without its last bit the lower one is taken. Once in each block of
    // 16x16; four numbers take every column of a block to each column of blocks, and every row to each row of them.
    int64_t row = i / width, column = i % width, down = row / 16, right = column / 16;
    bool isHere = column % 16 == (3 * right + down + 8 * (n % 2)) % 16 && row % 16 == (3 * down + right + 8 * (n / 2)) % 16;
    return i == 0 ? 2688.0f : isHere ? 6.40625f : value;
  }
  if (special.kind == Special::Corner)
    return i == count - 1 ? 60.0f : value;
  if (special.kind == Special::Column)
    return i % width == (n < 0 ? width - 1 : n % width) ? 4.5f + value : value;
  if (special.kind == Special::Place)
    return i == n % (count / width) * width + n % width ? 9.5f : value;
  if (special.kind == Special::Far)
    return i == 130 * width + 3 ? std::numeric_limits<float>::quiet_NaN() : value;
  if (i != (special.kind == Special::Last ? count - 1 : n * 7919 % count))
    return value;
  return n == 9 ? std::numeric_limits<float>::infinity() : n == 10 ? std::numeric_limits<float>::quiet_NaN() : n % 2 ? 7.5f : -9.25f;
}

Tensor makeInput(const Parameter &parameter, const Trial &trial, size_t input) {
  Tensor tensor;
  tensor.name = parameter.name;
  tensor.type = parameter.type;
  for (const std::string &extent : parameter.shape)
    tensor.shape.push_back(extent[0] == 'd' ? trial.dims[static_cast<size_t>(std::stoi(extent.substr(1)))] : std::stoll(extent));
  int64_t count = countElements(tensor.shape), width = tensor.shape.empty() ? 1 : tensor.shape.back();
  tensor.bytes.resize(static_cast<size_t>(count * elementTypeBytes(tensor.type)), 0);
  for (int64_t i = 0; i < count; ++i) {
    auto random = numerics::elementRandom16(static_cast<uint32_t>(input + 1), 0, static_cast<uint32_t>(i), 7);
    float value = valueAt(i, count, width, trial.special, input, static_cast<float>(random) / 16384.0f - 1.5f);
    auto *place = &tensor.bytes[static_cast<size_t>(i * elementTypeBytes(tensor.type))];
    if (tensor.type == ElementType::BF16) {
      uint16_t bits = numerics::encodeBF16(value);
      std::memcpy(place, &bits, 2);
    } else if (tensor.type == ElementType::F32) {
      std::memcpy(place, &value, 4);
    } else {
      *place = static_cast<uint8_t>(random & 63);
    }
  }
  return tensor;
}

std::vector<Trial> makeTrials(size_t inputs, const std::string &when) {
  std::vector<Trial> trials;
  auto add = [&](std::vector<int64_t> dims, Special::Kind kind = Special::Anywhere) {
    trials.push_back({std::move(dims), {kind, static_cast<int64_t>(trials.size()) + 1}});
  };
  // Ragged in every dimension, with more steps along either reduction than the pipeline has stages; whole tiles; less than a tile; more rows of
  // tiles than are taken together for the cache; two columns left over.
  for (const auto &dims : {std::array{137, 333, 139}, {333, 137, 139}, {128, 384, 192}, {24, 24, 40}, {1100, 20, 150}, {20, 1100, 150}, {66, 70, 74}, {130, 34, 262}})
    add({dims[0], dims[1], dims[2]});
  // Small problems with their largest value in other places: every remainder of a block of 16, then whole blocks.
  for (int64_t i = 0; i < 17; ++i)
    add({40 + i, 70 + i, 56 + i});
  for (int i = 0; i < 16; ++i)
    add({32, 64, 48});
  // Every remainder with the largest value last; twice the pipeline's stages along each dimension; whole tiles beside each other.
  for (int64_t i = 0; i < 17; ++i)
    add({61 + 4 * i, 32 + i, 72 + i}, Special::Last);
  for (const auto &dims : {std::array{140, 1000, 140}, {140, 140, 1000}, {1000, 140, 140}, {128, 64, 384}, {384, 128, 64}, {64, 384, 128},
                           {1100, 16, 128}, {1100, 128, 16}, {16, 1100, 128}, {128, 1100, 16}, {16, 128, 1100}, {128, 16, 1100}})
    add({dims[0], dims[1], dims[2]});
  // A product's K of one element past a stage (of 128, of 256), with few rows and with many; whole tiles of 256 columns in the second stage; two
  // columns of tiles under more than eight rows of them.
  for (const auto &dims : {std::array{5, 72, 129}, {5, 129, 72}, {72, 129, 5}, {129, 5, 72}, {129, 72, 5}, {130, 200, 257}, {130, 257, 200},
                           {257, 200, 130}, {140, 300, 300}, {300, 140, 300}, {300, 300, 140}, {1100, 300, 48}, {1100, 48, 300}, {300, 1100, 48}, {48, 1100, 300}})
    add({dims[0], dims[1], dims[2]});
  // Every remainder of 8 in rows and in columns, under a K that goes on past the pipeline's stages and ends in the second half of a step.
  for (size_t along = 0; along < 3; ++along)
    for (int64_t i = 0; i < 8; ++i) {
      std::vector<int64_t> dims = {65 + i, 65 + i, 65 + i};
      dims[along] = 150 + i;
      add(dims);
    }
  // Steps along each dimension that are not whole, in each stage of the pipeline.
  for (int64_t extent : {40, 150, 300, 400})
    for (size_t along = 0; along < 3; ++along) {
      std::vector<int64_t> dims = {200, 200, 200};
      dims[along] = extent;
      add(dims, Special::Far);
    }
  // Every remainder of the widest block, at each step of the pipeline; then with whole rows of 16 bytes, as the wide paths want them.
  for (size_t along = 0; along < 3; ++along) {
    for (int64_t i = 0; i < 32; ++i) {
      std::vector<int64_t> dims = {43, 27, 50};
      dims[along] = 33 + 23 * i;
      add(dims, i % 2 ? Special::Place : Special::Column);
    }
    for (int64_t extent : {5, 20, 37, 52, 77, 100, 117}) {
      std::vector<int64_t> dims = {64, 72, 40};
      dims[along] = extent;
      add(dims, Special::Place);
    }
    // More than two blocks' threads along one dimension.
    std::vector<int64_t> dims = {16, 24, 8};
    dims[along] = 8201;
    add(dims, Special::Last);
    trials.push_back({dims, {Special::Column, 8200}});
  }
  // Every remainder with a last column, or a last value, that decides, along each dimension and in both halves of a tile of 128.
  for (int64_t i = 0; i < 16; ++i) {
    trials.push_back({{20 + i, 48 + i, 36 + i}, {Special::Column, -1}});
    trials.push_back({{65 + i, 96 + i, 97 + i}, {Special::Corner, 0}});
  }
  for (int64_t quarter = 0; quarter < 4; ++quarter)
    trials.push_back({{128, 128, 128}, {Special::ScaleTies, quarter}});
  trials.push_back({{64, 80, 48}, {Special::Ties, 0}});
  trials.push_back({{96, 48, 112}, {Special::Ties, 0}});
  for (size_t i = 0; i < inputs; ++i)
    trials.push_back({{112, 112, 112}, {Special::LateInfinities, static_cast<int64_t>(i)}});
  for (size_t i = 0; i < inputs; ++i)
    for (const auto &dims : {std::array{48, 64, 80}, {33, 17, 49}})
      trials.push_back({{dims[0], dims[1], dims[2]}, {Special::Infinities, static_cast<int64_t>(i)}});
  // A kernel that is chosen for few rows only: every number of them.
  int64_t entryNumber = 15;
  if (when.compare(0, 4, "le(d") == 0)
    for (Trial &trial : trials)
      trial.dims[static_cast<size_t>(when[4] - '0')] = 1 + entryNumber++ % 16;
  return trials;
}

} // namespace mutation
} // namespace fourfold
