// Fits a linear layer to another by gradient descent: forward and backward in 4 bits, two micro-batches a step.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

using namespace fourfold;

namespace {

constexpr int64_t kTokens = 64, kIn = 48, kOut = 32;
constexpr int kSteps = 40, kMicroBatches = 2;

void check(const Status &status) {
  if (status.ok())
    return;
  std::fprintf(stderr, "linear_fit: error: %s\n", status.message().c_str());
  std::exit(1);
}

uint64_t allocate(const Device &device, uint64_t bytes) {
  uint64_t address = 0;
  check(allocateMemory(device, bytes, &address));
  return address;
}

/// The nearest bf16 values; finite ones only.
std::vector<uint16_t> narrow(const std::vector<float> &values) {
  std::vector<uint16_t> result;
  for (float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    result.push_back(static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
  }
  return result;
}

void write(const Device &device, uint64_t address, const std::vector<float> &values) {
  std::vector<uint16_t> bits = narrow(values);
  check(copyIn(device, address, bits.data(), bits.size() * 2));
}

std::vector<float> read(const Device &device, uint64_t address, size_t count) {
  std::vector<uint16_t> bits(count);
  std::vector<float> values(count);
  check(copyOut(device, bits.data(), address, count * 2));
  for (size_t i = 0; i < count; ++i) {
    uint32_t wide = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(&values[i], &wide, 4);
  }
  return values;
}

std::vector<float> randomValues(std::mt19937 &random, size_t count, float mean) {
  std::vector<float> values(count);
  for (float &value : values)
    value = mean + static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f;
  return values;
}

} // namespace

int main(int argc, char **argv) {
  Device device;
  Compiler compiler;
  check(Device::open(argc > 1 ? argv[1] : "auto", &device));
  check(Compiler::open(&compiler));

  LinearDescriptor descriptor;
  descriptor.recipe = argc > 2 ? argv[2] : "averis";
  descriptor.inFeatures = kIn;
  descriptor.outFeatures = kOut;
  descriptor.accumulate = true;
  Linear layer;
  LinearPlan plan;
  check(Linear::create(device, compiler, descriptor, &layer));
  check(layer.prepare(kTokens, &plan));

  LinearTensors t;
  t.x = allocate(device, kTokens * kIn * 2);
  t.w = allocate(device, kOut * kIn * 2);
  t.y = allocate(device, kTokens * kOut * 2);
  t.d = allocate(device, kTokens * kOut * 2);
  t.dx = allocate(device, kTokens * kIn * 2);
  t.dw = allocate(device, kOut * kIn * 4);
  t.seed = allocate(device, 8);
  t.offset = allocate(device, 8);
  t.weights = allocate(device, plan.weightsBytes());
  t.saved = allocate(device, plan.savedBytes());
  t.gradient = allocate(device, plan.gradientBytes());
  t.workspace = allocate(device, plan.workspaceBytes());
  int64_t seed = 7;
  check(copyIn(device, t.seed, &seed, 8));
  check(clearMemory(device, t.offset, 8));

  std::mt19937 random(1);
  std::vector<float> goal = randomValues(random, kOut * kIn, 0.0f), w(kOut * kIn, 0.0f), dw(kOut * kIn);
  double first = 0, last = 0;
  for (int step = 0; step < kSteps; ++step) {
    double loss = 0;
    write(device, t.w, w);
    check(layer.quantizeWeights(nullptr, t));
    for (int micro = 0; micro < kMicroBatches; ++micro) {
      std::vector<float> x = randomValues(random, kTokens * kIn, 0.5f), d(kTokens * kOut);
      write(device, t.x, x);
      check(layer.forward(plan, nullptr, t));
      std::vector<float> y = read(device, t.y, kTokens * kOut);
      for (int64_t token = 0; token < kTokens; ++token)
        for (int64_t o = 0; o < kOut; ++o) {
          float wanted = 0;
          for (int64_t i = 0; i < kIn; ++i)
            wanted += x[token * kIn + i] * goal[o * kIn + i];
          float off = y[token * kOut + o] - wanted;
          d[token * kOut + o] = off;
          loss += off * off / (kTokens * kOut * kMicroBatches);
        }
      write(device, t.d, d);
      check(layer.backward(plan, nullptr, t, /*accumulate=*/micro > 0));
      check(layer.advanceOffset(nullptr, t.offset));
    }
    check(copyOut(device, dw.data(), t.dw, dw.size() * 4));
    for (size_t i = 0; i < w.size(); ++i)
      w[i] -= 0.1f * dw[i] / (kTokens * kMicroBatches);
    (step == 0 ? first : last) = loss;
  }
  std::printf("%s on %s: mean squared error %.3f, after %d steps %.3f\n", descriptor.recipe, device.name().c_str(),
              first, kSteps, last);
  for (uint64_t address : {t.x, t.w, t.y, t.d, t.dx, t.dw, t.seed, t.offset, t.weights, t.saved, t.gradient, t.workspace})
    check(freeMemory(device, address));
  return last < 0.1 * first ? 0 : 1;
}
