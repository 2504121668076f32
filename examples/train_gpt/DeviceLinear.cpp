// Block linears on a device of the runtime.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "DeviceLinear.h"

#include "Kernels.h"

#include "fourfold/Memory.h"
#include "fourfold/linear.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <stdexcept>

namespace traingpt {
namespace {

using fourfold::Status;

void check(const Status &status) {
  if (!status.ok())
    throw std::runtime_error(status.message());
}

/// Device memory that only grows.
class DeviceBuffer {
public:
  explicit DeviceBuffer(const fourfold::Device &device) : device(device) {}
  DeviceBuffer(const DeviceBuffer &) = delete;
  DeviceBuffer &operator=(const DeviceBuffer &) = delete;
  ~DeviceBuffer() { (void)fourfold::freeMemory(device, start); }

  /// The address of at least `bytes`; what was in it is lost if it grows.
  uint64_t reserve(uint64_t bytes) {
    if (bytes > size) {
      check(fourfold::freeMemory(device, start));
      start = 0;
      check(fourfold::allocateMemory(device, bytes, &start));
      size = bytes;
    }
    return start;
  }
  uint64_t write(const void *from, uint64_t bytes) {
    check(fourfold::copyIn(device, reserve(bytes), from, bytes));
    return start;
  }
  void read(void *to, uint64_t bytes) const { check(fourfold::copyOut(device, to, start, bytes)); }

private:
  fourfold::Device device;
  uint64_t start = 0, size = 0;
};

/// What all layers of a model share: they run one after the other on the default stream.
struct Shared {
  fourfold::Device device;
  fourfold::Compiler compiler;
  std::string recipe;
  std::unique_ptr<DeviceBuffer> workspace, gradient, seed, offset, incoming, outgoing, dw;
};

class DeviceLinear : public BF16Linear {
public:
  DeviceLinear(std::shared_ptr<Shared> shared, const std::string &name, int64_t out, int64_t in)
      : BF16Linear(name, out, in), shared(std::move(shared)), x(this->shared->device), w(this->shared->device),
        weights(this->shared->device), saved(this->shared->device) {
    fourfold::LinearDescriptor descriptor;
    descriptor.inFeatures = in;
    descriptor.outFeatures = out;
    descriptor.recipe = this->shared->recipe.c_str();
    check(fourfold::Linear::create(this->shared->device, this->shared->compiler, descriptor, &linear));
    dwHost.resize(static_cast<size_t>(out * in));
  }

protected:
  void setWeightsBF16(const uint16_t *values) override {
    fourfold::LinearTensors t = randomBits();
    t.w = w.write(values, 2 * static_cast<uint64_t>(out * in));
    t.weights = weights.reserve(linear.weightsBytes());
    t.workspace = shared->workspace->reserve(planFor(1).workspaceBytes());
    check(linear.quantizeWeights(nullptr, t));
    check(fourfold::synchronize(shared->device));
  }

  void forwardBF16(const uint16_t *values, uint16_t *y, int64_t tokens) override {
    const fourfold::LinearPlan &plan = planFor(tokens);
    fourfold::LinearTensors t = common(plan);
    t.x = x.write(values, 2 * static_cast<uint64_t>(tokens * in));
    t.y = shared->outgoing->reserve(2 * static_cast<uint64_t>(tokens * out));
    check(linear.forward(plan, nullptr, t));
    shared->outgoing->read(y, 2 * static_cast<uint64_t>(tokens * out));
  }

  void backwardBF16(const uint16_t *, const uint16_t *dy, int64_t tokens, uint16_t *dx, float *dw) override {
    const fourfold::LinearPlan &plan = planFor(tokens);
    fourfold::LinearTensors t = common(plan);
    t.x = x.reserve(0); // as forward left it; not every recipe needs it
    t.d = shared->incoming->write(dy, 2 * static_cast<uint64_t>(tokens * out));
    t.gradient = shared->gradient->reserve(plan.gradientBytes());
    t.dx = shared->outgoing->reserve(2 * static_cast<uint64_t>(tokens * in));
    t.dw = shared->dw->reserve(4 * static_cast<uint64_t>(out * in));
    check(linear.backward(plan, nullptr, t));
    if (dx)
      shared->outgoing->read(dx, 2 * static_cast<uint64_t>(tokens * in));
    shared->dw->read(dwHost.data(), 4 * static_cast<uint64_t>(out * in));
    addScaled(dw, dwHost.data(), 1.0f, out * in);
  }

private:
  const fourfold::LinearPlan &planFor(int64_t tokens) {
    auto [place, fresh] = plans.try_emplace(tokens);
    if (fresh)
      check(linear.prepare(tokens, &place->second));
    return place->second;
  }

  /// Most recipes round stochastically in backward, some everywhere.
  fourfold::LinearTensors randomBits() {
    fourfold::LinearTensors t;
    t.seed = shared->seed->reserve(0);
    t.offset = shared->offset->write(&randomOffset, sizeof(randomOffset));
    return t;
  }

  /// The weights, and the memory that every call may need.
  fourfold::LinearTensors common(const fourfold::LinearPlan &plan) {
    fourfold::LinearTensors t = randomBits();
    t.w = w.reserve(0);
    t.weights = weights.reserve(0);
    t.saved = saved.reserve(plan.savedBytes());
    t.workspace = shared->workspace->reserve(plan.workspaceBytes());
    return t;
  }

  std::shared_ptr<Shared> shared;
  fourfold::Linear linear;
  std::map<int64_t, fourfold::LinearPlan> plans;
  DeviceBuffer x, w, weights, saved;
  std::vector<float> dwHost;
};

class DeviceFactory : public LinearFactory {
public:
  explicit DeviceFactory(std::shared_ptr<Shared> shared) : shared(std::move(shared)) {}
  std::unique_ptr<BlockLinear> create(const std::string &name, int64_t out, int64_t in) override {
    return std::make_unique<DeviceLinear>(shared, name, out, in);
  }
  std::string description() const override {
    return fmt::format("{}: {}", shared->device.name(), shared->device.description());
  }

private:
  std::shared_ptr<Shared> shared;
};

} // namespace

std::unique_ptr<LinearFactory> makeDeviceFactory(const std::string &recipe, const std::string &device, uint64_t seed) {
  auto shared = std::make_shared<Shared>();
  shared->recipe = recipe;
  check(fourfold::Device::open(device, &shared->device));
  check(fourfold::Compiler::open(&shared->compiler));
  for (auto *buffer : {&shared->workspace, &shared->gradient, &shared->seed, &shared->offset, &shared->incoming,
                       &shared->outgoing, &shared->dw})
    *buffer = std::make_unique<DeviceBuffer>(shared->device);
  shared->seed->write(&seed, sizeof(seed));
  return std::make_unique<DeviceFactory>(std::move(shared));
}

} // namespace traingpt
