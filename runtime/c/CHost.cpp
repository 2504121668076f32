// The C interface of host programs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/HostProgram.h"
#include "fourfold/Recipe.h"
#include "fourfold/c/host.h"
#include "runtime/c/CSpec.h"
#include "runtime/c/Guard.h"
#include "runtime/linear/Struct.h"

using namespace fourfold;
using c::guarded;

struct FourfoldHost {
  HostProgram program;
};

struct FourfoldHostState {
  HostEnvironment environment;
};

namespace {

Status prepare(const Spec &spec, const Compiler &compiler, FourfoldHost **host) {
  auto made = std::make_unique<FourfoldHost>();
  if (Status status = HostProgram::prepare(compiler, spec, &made->program); !status.ok())
    return status;
  *host = made.release();
  return {};
}

const char *nameAt(const std::vector<std::string> &names, size_t index) {
  return index < names.size() ? names[index].c_str() : "";
}

} // namespace

extern "C" {

int fourfoldHostPrepare(const FourfoldSpecDescriptor *descriptor, FourfoldHost **host) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(host);
    *host = nullptr;
    Spec spec;
    if (Status status = c::readSpec(descriptor, &spec); !status.ok())
      return status;
    Compiler compiler;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    return prepare(spec, compiler, host);
  });
}

int fourfoldHostPrepareLinear(const FourfoldLinearDescriptor *descriptor, FourfoldHost **host) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(host);
    *host = nullptr;
    FOURFOLD_REQUIRE(descriptor);
    FourfoldLinearDescriptor known;
    if (Status status = readStruct(*descriptor, "FourfoldLinearDescriptor", &known); !status.ok())
      return status;
    if (!known.recipe || !*known.recipe)
      return {StatusCode::InvalidArgument, "the descriptor names no recipe; fourfoldRecipeList lists them"};
    if (known.reduceHook)
      return {StatusCode::Unsupported, "host programs have one rank: leave the descriptor's reduceHook null"};
    RecipeOptions options;
    options.bias = known.hasBias != 0;
    options.mask = known.hasMask != 0;
    options.accumulate = known.accumulate != 0;
    Recipe recipe;
    Spec linked;
    Compiler compiler;
    if (Status status = readRecipe(known.recipe, options, &recipe); !status.ok())
      return status;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    if (Status status = compiler.link(recipe, &linked); !status.ok())
      return status;
    return prepare(linked, compiler, host);
  });
}

void fourfoldHostDestroy(FourfoldHost *host) { delete host; }

size_t fourfoldHostInputCount(const FourfoldHost *host) { return host ? host->program.inputs().size() : 0; }
size_t fourfoldHostResultCount(const FourfoldHost *host) { return host ? host->program.results().size() : 0; }
size_t fourfoldHostPhaseCount(const FourfoldHost *host) { return host ? host->program.phases().size() : 0; }

const char *fourfoldHostInputName(const FourfoldHost *host, size_t input) {
  return host ? nameAt(host->program.inputs(), input) : "";
}

const char *fourfoldHostResultName(const FourfoldHost *host, size_t result) {
  return host ? nameAt(host->program.results(), result) : "";
}

const char *fourfoldHostPhaseName(const FourfoldHost *host, size_t phase) {
  return host ? nameAt(host->program.phases(), phase) : "";
}

int fourfoldHostRun(const FourfoldHost *host, const FourfoldTensor *inputs, size_t count, FourfoldTensors **results) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(results);
    *results = nullptr;
    FOURFOLD_REQUIRE(host);
    std::vector<Tensor> given;
    if (Status status = c::copyTensors(inputs, count, &given); !status.ok())
      return status;
    HostEnvironment environment;
    if (Status status = HostEnvironment::create(host->program, &environment); !status.ok())
      return status;
    auto made = std::make_unique<FourfoldTensors>();
    if (Status status = environment.run(given, &made->tensors); !status.ok())
      return status;
    *results = made.release();
    return {};
  });
}

int fourfoldHostStateCreate(const FourfoldHost *host, const FourfoldHostState *weights, FourfoldHostState **state) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(state);
    *state = nullptr;
    FOURFOLD_REQUIRE(host);
    auto made = std::make_unique<FourfoldHostState>();
    if (Status status = HostEnvironment::create(host->program, weights ? weights->environment : HostEnvironment(),
                                                &made->environment);
        !status.ok())
      return status;
    *state = made.release();
    return {};
  });
}

void fourfoldHostStateDestroy(FourfoldHostState *state) { delete state; }

int fourfoldHostStateRun(FourfoldHostState *state, uint32_t phases, const FourfoldTensor *inputs, size_t inputCount,
                         const FourfoldTensor *outputs, size_t outputCount) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(state);
    std::vector<c::TensorView> given, wanted;
    if (Status status = c::readTensors(inputs, inputCount, "input", &given); !status.ok())
      return status;
    if (Status status = c::readTensors(outputs, outputCount, "output", &wanted); !status.ok())
      return status;
    std::vector<HostInput> hostInputs;
    for (const c::TensorView &view : given)
      hostInputs.push_back({view.name, view.type, view.shape, view.data});
    std::vector<HostOutput> hostOutputs;
    for (const c::TensorView &view : wanted)
      hostOutputs.push_back({view.name, view.type, view.shape, view.data});
    return state->environment.run(phases, hostInputs, hostOutputs);
  });
}

uint64_t fourfoldHostStateBytes(const FourfoldHostState *state) { return state ? state->environment.bytesHeld() : 0; }

} // extern "C"
