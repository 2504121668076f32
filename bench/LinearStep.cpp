// A training step of a linear layer, for measuring.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "bench/LinearStep.h"

#include "dialect/Numerics.h"
#include "runtime/emulator/Emulator.h"

#include <chrono>
#include <cstring>

namespace fourfold {
namespace bench {

/// bf16 values of small random numbers around a mean.
static std::vector<uint8_t> randomBytes(int64_t rows, int64_t columns, uint64_t seed, float mean) {
  std::vector<uint8_t> bytes(static_cast<size_t>(rows * columns) * 2);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      float value = static_cast<float>(
          numerics::elementRandom16(seed, 0, static_cast<uint32_t>(row), static_cast<uint32_t>(column)));
      uint16_t bits = numerics::encodeBF16(value / 32768.0f - 1.0f + mean);
      std::memcpy(&bytes[static_cast<size_t>(row * columns + column) * 2], &bits, 2);
    }
  return bytes;
}

LinearStep::~LinearStep() {
  for (uint64_t address : memory)
    if (Status status = freeMemory(device, address); !status.ok())
      return; // a device that failed: the measurement has said so
}

Status LinearStep::allocate(uint64_t *address, uint64_t bytes, const std::vector<uint8_t> &contents) {
  if (Status status = allocateMemory(device, bytes, address); !status.ok())
    return status;
  memory.push_back(*address);
  return contents.empty() ? clearMemory(device, *address, bytes)
                          : copyIn(device, *address, contents.data(), contents.size());
}

Status LinearStep::create(const Device &opened, const Compiler &compiler, const std::string &recipe, int64_t tokens,
                          int64_t in, int64_t out) {
  device = opened;
  LinearDescriptor descriptor;
  descriptor.recipe = recipe.c_str();
  descriptor.inFeatures = in;
  descriptor.outFeatures = out;
  if (Status status = Linear::create(device, compiler, descriptor, &layer); !status.ok())
    return status;
  if (Status status = layer.prepare(tokens, &plan); !status.ok())
    return status;
  auto bytesOf = [](int64_t rows, int64_t columns, int64_t each) { return static_cast<uint64_t>(rows * columns * each); };
  struct {
    uint64_t *address;
    uint64_t bytes;
    std::vector<uint8_t> contents;
  } all[] = {
      {&tensors.x, bytesOf(tokens, in, 2), randomBytes(tokens, in, 1, 1.0f)},
      {&tensors.w, bytesOf(out, in, 2), randomBytes(out, in, 2, 0.0f)},
      {&tensors.d, bytesOf(tokens, out, 2), randomBytes(tokens, out, 3, 0.1f)},
      {&tensors.y, bytesOf(tokens, out, 2), {}},
      {&tensors.dx, bytesOf(tokens, in, 2), {}},
      {&tensors.dw, bytesOf(out, in, 4), {}},
      {&tensors.seed, 8, {}},
      {&tensors.offset, 8, {}},
      {&tensors.weights, plan.weightsBytes(), {}},
      {&tensors.saved, plan.savedBytes(), {}},
      {&tensors.gradient, plan.gradientBytes(), {}},
      {&tensors.workspace, plan.workspaceBytes(), {}},
  };
  for (auto &tensor : all)
    if (Status status = allocate(tensor.address, tensor.bytes, tensor.contents); !status.ok())
      return status;
  return synchronize(device);
}

Status LinearStep::run(double *milliseconds, double *bytes) {
  emulator::resetCounters();
  auto start = std::chrono::steady_clock::now();
  if (Status status = layer.quantizeWeights(nullptr, tensors); !status.ok())
    return status;
  if (Status status = layer.forward(plan, nullptr, tensors); !status.ok())
    return status;
  if (Status status = layer.backward(plan, nullptr, tensors); !status.ok())
    return status;
  if (Status status = synchronize(device); !status.ok())
    return status;
  *milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  emulator::Counters counters = emulator::counters();
  *bytes = static_cast<double>(counters.globalBytesRead + counters.globalBytesWritten);
  return {};
}

Status LinearStep::time(bool backward, int count, double *milliseconds) {
  if (Status status = layer.quantizeWeights(nullptr, tensors); !status.ok())
    return status;
  if (Status status = synchronize(device); !status.ok())
    return status;
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    if (Status status = layer.forward(plan, nullptr, tensors); !status.ok())
      return status;
    if (Status status = backward ? layer.backward(plan, nullptr, tensors) : Status(); !status.ok())
      return status;
  }
  if (Status status = synchronize(device); !status.ok())
    return status;
  *milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / count;
  return {};
}

double LinearStep::minimumBytes() const {
  auto tokens = static_cast<double>(plan.tokens());
  auto in = static_cast<double>(layer.descriptor().inFeatures), out = static_cast<double>(layer.descriptor().outFeatures);
  double x = tokens * in, w = out * in, d = tokens * out;
  // 4 bits a code and, with one scale byte for 16, half a bit more.
  constexpr double kQuantized = 0.5625;
  return 2 * (x + w + d) + 2 * d + 2 * x + 4 * w + 2 * 2 * kQuantized * (x + w + d);
}

} // namespace bench
} // namespace fourfold
