// The C interface of the linear layer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Recipe.h"
#include "fourfold/c/linear.h"
#include "fourfold/linear.h"
#include "runtime/c/Guard.h"
#include "runtime/c/Hook.h"
#include "runtime/linear/Struct.h"

using namespace fourfold;
using c::guarded;

struct FourfoldLinear {
  c::Hook hook;
  Linear linear;
};

struct FourfoldLinearPlan {
  LinearPlan plan;
};

namespace {

// One struct under two names, so that it is not copied member by member.
static_assert(sizeof(FourfoldLinearTensors) == sizeof(LinearTensors) &&
              offsetof(FourfoldLinearTensors, x) == offsetof(LinearTensors, x) &&
              offsetof(FourfoldLinearTensors, db) == offsetof(LinearTensors, db) &&
              offsetof(FourfoldLinearTensors, workspace) == offsetof(LinearTensors, workspace));

/// Reads a C descriptor into the library's; `layer` gets the hook and must outlive the layer.
Status readDescriptor(const FourfoldLinearDescriptor &given, FourfoldLinear *layer, LinearDescriptor *descriptor) {
  FourfoldLinearDescriptor known;
  if (Status status = readStruct(given, "FourfoldLinearDescriptor", &known); !status.ok())
    return status;
  descriptor->inFeatures = known.inFeatures;
  descriptor->outFeatures = known.outFeatures;
  descriptor->recipe = known.recipe;
  descriptor->hasBias = known.hasBias != 0;
  descriptor->hasMask = known.hasMask != 0;
  descriptor->accumulate = known.accumulate != 0;
  descriptor->mode = known.mode;
  if (known.reduceHook) {
    layer->hook = {known.reduceHook, known.reduceUser};
    descriptor->reduceHook = c::Hook::call;
    descriptor->reduceUser = &layer->hook;
  }
  return {};
}

LinearTensors tensorsOf(const FourfoldLinearTensors *given) {
  LinearTensors tensors;
  // A size that this version does not know is an error of the call that gets it.
  size_t bytes = given->structSize < sizeof(tensors) ? given->structSize : sizeof(tensors);
  std::memcpy(static_cast<void *>(&tensors), given, bytes < sizeof(size_t) ? sizeof(size_t) : bytes);
  return tensors;
}

/// A call on a layer, its plan and tensors.
template <typename Work>
int layerCall(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, const FourfoldLinearTensors *tensors,
              Work work) noexcept {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(linear);
    FOURFOLD_REQUIRE(plan);
    FOURFOLD_REQUIRE(tensors);
    return work(linear->linear, plan->plan, tensorsOf(tensors));
  });
}

} // namespace

extern "C" {

int fourfoldRecipeList(FourfoldText **recipes) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(recipes);
    *recipes = nullptr;
    std::string lines;
    for (const RecipeInfo &recipe : listRecipes())
      lines += recipe.name + "\t" + recipe.folder + "\n";
    c::giveText(std::move(lines), recipes);
    return {};
  });
}

int fourfoldLinearCreate(const FourfoldDevice *device, const FourfoldLinearDescriptor *descriptor,
                         FourfoldLinear **linear) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(linear);
    *linear = nullptr;
    FOURFOLD_REQUIRE(device);
    FOURFOLD_REQUIRE(descriptor);
    auto made = std::make_unique<FourfoldLinear>();
    LinearDescriptor wanted;
    if (Status status = readDescriptor(*descriptor, made.get(), &wanted); !status.ok())
      return status;
    Compiler compiler;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    Status status = Linear::create(device->device, compiler, wanted, &made->linear);
    if (status.ok())
      *linear = made.release();
    return status;
  });
}

int fourfoldLinearCreateFromPack(const FourfoldDevice *device, const char *manifest, const char *ptx,
                                 const FourfoldLinearDescriptor *descriptor, FourfoldLinear **linear) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(linear);
    *linear = nullptr;
    FOURFOLD_REQUIRE(device);
    FOURFOLD_REQUIRE(manifest);
    FOURFOLD_REQUIRE(ptx);
    FOURFOLD_REQUIRE(descriptor);
    auto made = std::make_unique<FourfoldLinear>();
    LinearDescriptor wanted;
    if (Status status = readDescriptor(*descriptor, made.get(), &wanted); !status.ok())
      return status;
    CompiledSpec pack;
    pack.manifest = manifest;
    pack.ptx = ptx;
    Status status = Linear::create(device->device, pack, wanted, &made->linear);
    if (status.ok())
      *linear = made.release();
    return status;
  });
}

void fourfoldLinearDestroy(FourfoldLinear *linear) { delete linear; }

int fourfoldLinearPrepare(const FourfoldLinear *linear, int64_t tokens, FourfoldLinearPlan **plan) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(plan);
    *plan = nullptr;
    FOURFOLD_REQUIRE(linear);
    auto made = std::make_unique<FourfoldLinearPlan>();
    Status status = linear->linear.prepare(tokens, &made->plan);
    if (status.ok())
      *plan = made.release();
    return status;
  });
}

void fourfoldLinearPlanRelease(FourfoldLinearPlan *plan) { delete plan; }

int fourfoldLinearPlanSizes(const FourfoldLinearPlan *plan, FourfoldLinearSizes *sizes) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(plan);
    FOURFOLD_REQUIRE(sizes);
    FourfoldLinearSizes known;
    if (Status status = readStruct(*sizes, "FourfoldLinearSizes", &known); !status.ok())
      return status;
    known.structSize = sizes->structSize;
    known.weightsBytes = plan->plan.weightsBytes();
    known.savedBytes = plan->plan.savedBytes();
    known.gradientBytes = plan->plan.gradientBytes();
    known.workspaceBytes = plan->plan.workspaceBytes();
    known.activationBytesBF16 = plan->plan.activationBytesBF16();
    known.forwardReadsW = plan->plan.forwardReadsW();
    known.backwardReadsX = plan->plan.backwardReadsX();
    known.backwardReadsW = plan->plan.backwardReadsW();
    std::memcpy(sizes, &known, sizes->structSize);
    return {};
  });
}

uint64_t fourfoldLinearWeightsBytes(const FourfoldLinear *linear) { return linear ? linear->linear.weightsBytes() : 0; }

int fourfoldLinearQuantizeWeights(const FourfoldLinear *linear, void *stream, const FourfoldLinearTensors *tensors) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(linear);
    FOURFOLD_REQUIRE(tensors);
    return linear->linear.quantizeWeights(stream, tensorsOf(tensors));
  });
}

int fourfoldLinearForward(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                          const FourfoldLinearTensors *tensors) {
  return layerCall(linear, plan, tensors, [&](const Linear &layer, const LinearPlan &bound, const LinearTensors &t) {
    return layer.forward(bound, stream, t);
  });
}

int fourfoldLinearPrepareGradient(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                                  const FourfoldLinearTensors *tensors) {
  return layerCall(linear, plan, tensors, [&](const Linear &layer, const LinearPlan &bound, const LinearTensors &t) {
    return layer.prepareGradient(bound, stream, t);
  });
}

int fourfoldLinearDgrad(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                        const FourfoldLinearTensors *tensors) {
  return layerCall(linear, plan, tensors, [&](const Linear &layer, const LinearPlan &bound, const LinearTensors &t) {
    return layer.dgrad(bound, stream, t);
  });
}

int fourfoldLinearWgrad(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                        const FourfoldLinearTensors *tensors, int32_t accumulate) {
  return layerCall(linear, plan, tensors, [&](const Linear &layer, const LinearPlan &bound, const LinearTensors &t) {
    return layer.wgrad(bound, stream, t, accumulate != 0);
  });
}

int fourfoldLinearBackward(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                           const FourfoldLinearTensors *tensors, int32_t accumulate) {
  return layerCall(linear, plan, tensors, [&](const Linear &layer, const LinearPlan &bound, const LinearTensors &t) {
    return layer.backward(bound, stream, t, accumulate != 0);
  });
}

int fourfoldLinearAdvanceOffset(const FourfoldLinear *linear, void *stream, uint64_t offset, uint64_t by) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(linear);
    return linear->linear.advanceOffset(stream, offset, by);
  });
}

} // extern "C"
