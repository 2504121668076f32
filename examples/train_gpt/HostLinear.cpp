// Block linears by the host program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "HostLinear.h"

#include "Kernels.h"

#include "fourfold/HostProgram.h"
#include "fourfold/Recipe.h"

#include <stdexcept>

namespace traingpt {
namespace {

using fourfold::ElementType;
using fourfold::HostInput;
using fourfold::HostOutput;

void check(const fourfold::Status &status) {
  if (!status.ok())
    throw std::runtime_error(status.message());
}

constexpr uint32_t kWeights = fourfold::hostPhase(0), kForward = fourfold::hostPhase(1);
constexpr uint32_t kBackward = fourfold::hostPhase(2) | fourfold::hostPhase(3) | fourfold::hostPhase(4);

/// What all layers share: one program for all sizes.
struct Shared {
  fourfold::HostProgram program;
  bool isStochastic = false; ///< it takes seed and offset
  int64_t seed = 0;
};

class HostLinear : public BF16Linear {
public:
  HostLinear(std::shared_ptr<const Shared> shared, const std::string &name, int64_t out, int64_t in)
      : BF16Linear(name, out, in), shared(std::move(shared)), dwOfBatch(static_cast<size_t>(out * in)) {
    check(fourfold::HostEnvironment::create(this->shared->program, &weightsState));
    check(fourfold::HostEnvironment::create(this->shared->program, weightsState, &batchState));
  }

protected:
  void setWeightsBF16(const uint16_t *values) override {
    weights.assign(values, values + out * in); // not every recipe keeps all that backward needs of them
    batchState.reset();
    check(weightsState.run(kWeights, withRandom({matrix("w", weights.data(), out, in)}), {}));
  }

  void forwardBF16(const uint16_t *x, uint16_t *y, int64_t tokens) override {
    batchState.reset();
    check(batchState.run(kForward, withRandom({matrix("x", x, tokens, in), matrix("w", weights.data(), out, in)}),
                         {{"y", ElementType::BF16, {tokens, out}, y}}));
  }

  void backwardBF16(const uint16_t *x, const uint16_t *dy, int64_t tokens, uint16_t *dx, float *dw) override {
    std::vector<HostInput> inputs = {matrix("x", x, tokens, in), matrix("w", weights.data(), out, in),
                                     matrix("d", dy, tokens, out)};
    std::vector<HostOutput> outputs = {{"dw", ElementType::F32, {out, in}, dwOfBatch.data()}};
    if (dx)
      outputs.push_back({"dx", ElementType::BF16, {tokens, in}, dx});
    check(batchState.run(kBackward, withRandom(std::move(inputs)), outputs));
    addScaled(dw, dwOfBatch.data(), 1.0f, out * in);
  }

private:
  static HostInput matrix(const char *name, const uint16_t *values, int64_t rows, int64_t columns) {
    return {name, ElementType::BF16, {rows, columns}, values};
  }

  /// Seed and offset too, for recipes that round stochastically: most do so in backward, some everywhere.
  std::vector<HostInput> withRandom(std::vector<HostInput> inputs) {
    if (shared->isStochastic) {
      inputs.push_back({"seed", ElementType::I64, {}, &shared->seed});
      inputs.push_back({"offset", ElementType::I64, {}, &randomOffset});
    }
    return inputs;
  }

  std::shared_ptr<const Shared> shared;
  fourfold::HostEnvironment weightsState, batchState;
  std::vector<uint16_t> weights;
  std::vector<float> dwOfBatch;
};

class HostFactory : public LinearFactory {
public:
  explicit HostFactory(std::shared_ptr<const Shared> shared) : shared(std::move(shared)) {}
  std::unique_ptr<BlockLinear> create(const std::string &name, int64_t out, int64_t in) override {
    return std::make_unique<HostLinear>(shared, name, out, in);
  }
  std::string description() const override { return "host: the specs on this processor"; }

private:
  std::shared_ptr<const Shared> shared;
};

} // namespace

std::unique_ptr<LinearFactory> makeHostFactory(const std::string &recipe, uint64_t seed) {
  fourfold::Compiler compiler;
  fourfold::Recipe specs;
  fourfold::Spec linked;
  auto shared = std::make_shared<Shared>();
  check(fourfold::readRecipe(recipe, fourfold::RecipeOptions(), &specs));
  check(fourfold::Compiler::open(&compiler));
  check(compiler.link(specs, &linked));
  check(fourfold::HostProgram::prepare(compiler, linked, &shared->program));
  for (const std::string &input : shared->program.inputs())
    shared->isStochastic |= input == "seed";
  shared->seed = static_cast<int64_t>(seed);
  return std::make_unique<HostFactory>(std::move(shared));
}

} // namespace traingpt
