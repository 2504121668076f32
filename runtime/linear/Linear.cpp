// Makes linear layers and their plans.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/linear/LinearImpl.h"
#include "runtime/linear/Struct.h"

#include "fourfold/Recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>

namespace fourfold {

static Status invalid(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

//===----------------------------------------------------------------------===//
// What the recipe's tensors are
//===----------------------------------------------------------------------===//

namespace {

/// A tensor that a layer's plan can have.
struct TensorRule {
  const char *name;
  uint64_t LinearTensors::*member;
  ElementType type;
  const char *shape; // a letter an extent: tokens, in, out
  bool LinearDescriptor::*option; // null: not optional by the descriptor
  bool required;
};

constexpr TensorRule kInputs[] = {
    {"x", &LinearTensors::x, ElementType::BF16, "ti", nullptr, true},
    {"w", &LinearTensors::w, ElementType::BF16, "oi", nullptr, true},
    {"d", &LinearTensors::d, ElementType::BF16, "to", nullptr, true},
    {"bias", &LinearTensors::bias, ElementType::F32, "o", &LinearDescriptor::hasBias, true},
    {"mask", &LinearTensors::mask, ElementType::I8, "t", &LinearDescriptor::hasMask, true},
    {"dw_in", &LinearTensors::dw, ElementType::F32, "oi", &LinearDescriptor::accumulate, true},
    {"seed", &LinearTensors::seed, ElementType::I64, "", nullptr, false},
    {"offset", &LinearTensors::offset, ElementType::I64, "", nullptr, false},
};

constexpr TensorRule kOutputs[] = {
    {"y", &LinearTensors::y, ElementType::BF16, "to", nullptr, true},
    {"dx", &LinearTensors::dx, ElementType::BF16, "ti", nullptr, true},
    {"dw", &LinearTensors::dw, ElementType::F32, "oi", nullptr, true},
    {"db", &LinearTensors::db, ElementType::F32, "o", &LinearDescriptor::hasBias, true},
};

std::vector<int64_t> shapeOf(const TensorRule &rule, int64_t tokens, const LinearDescriptor &descriptor) {
  std::vector<int64_t> shape;
  for (const char *letter = rule.shape; *letter; ++letter)
    shape.push_back(*letter == 't' ? tokens : *letter == 'i' ? descriptor.inFeatures : descriptor.outFeatures);
  return shape;
}

template <size_t N>
const TensorRule *find(const TensorRule (&rules)[N], const std::string &name) {
  for (const TensorRule &rule : rules)
    if (name == rule.name)
      return &rule;
  return nullptr;
}

/// Every tensor of the plan is one that layers know, and none that the descriptor asks for is missing.
template <size_t N>
Status matchTensors(const std::string &recipe, const char *what, const std::vector<Parameter> &parameters,
                    const TensorRule (&rules)[N], const LinearDescriptor &descriptor,
                    std::vector<uint64_t LinearTensors::*> *members) {
  for (const Parameter &parameter : parameters) {
    const TensorRule *rule = find(rules, parameter.name);
    if (!rule)
      return invalid(fmt::format("'{}' is no linear layer: it has an {} '{}', which a layer has not", recipe, what,
                                 parameter.name));
    if (parameter.type != rule->type || parameter.shape.size() != std::string(rule->shape).size())
      return invalid(fmt::format("'{}': {} '{}' is of type {} and rank {}, a linear layer's is {} and {}", recipe, what,
                                 parameter.name, elementTypeName(parameter.type), parameter.shape.size(),
                                 elementTypeName(rule->type), std::string(rule->shape).size()));
    if (rule->option && !(descriptor.*(rule->option)))
      return invalid(fmt::format("'{}' was compiled with '{}', which the descriptor does not ask for: set {}, or "
                                 "compile it without",
                                 recipe, parameter.name,
                                 rule->option == &LinearDescriptor::hasBias   ? "hasBias"
                                 : rule->option == &LinearDescriptor::hasMask ? "hasMask"
                                                                              : "accumulate"));
    members->push_back(rule->member);
  }
  for (const TensorRule &rule : rules) {
    bool wanted = rule.option ? descriptor.*(rule.option) : rule.required;
    bool there = std::any_of(parameters.begin(), parameters.end(),
                             [&](const Parameter &parameter) { return parameter.name == rule.name; });
    if (wanted && !there)
      return invalid(fmt::format("'{}' has no {} '{}'{}", recipe, what, rule.name,
                                 rule.option ? ", which the descriptor asks for: the recipe must have it, and be "
                                               "compiled with it"
                                             : ", so it is no linear layer"));
  }
  return {};
}

} // namespace

Status Linear::Impl::checkSignature() {
  const Executable &executable = loaded->executable;
  if (executable.inputs().size() > kMaxTensors || executable.outputs().size() > kMaxTensors)
    return invalid(fmt::format("'{}' has more than {} inputs or outputs", recipe, kMaxTensors));
  if (Status status = matchTensors(recipe, "input", executable.inputs(), kInputs, descriptor, &inputs); !status.ok())
    return status;
  if (Status status = matchTensors(recipe, "output", executable.outputs(), kOutputs, descriptor, &outputs);
      !status.ok())
    return status;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i] == &LinearTensors::db)
      biasGradient = i;
  return {};
}

Status Linear::Impl::findPhases() {
  const std::vector<std::string> &names = loaded->executable.phases();
  for (size_t i = 0; i < names.size(); ++i) {
    auto *found = std::find(std::begin(kPhaseNames), std::end(kPhaseNames), names[i]);
    if (found == std::end(kPhaseNames))
      return invalid(fmt::format("'{}' has a phase '{}', which a linear layer has not", recipe, names[i]));
    phases[found - std::begin(kPhaseNames)] = static_cast<int>(i);
  }
  for (Phase needed : {Phase::Forward, Phase::Dgrad, Phase::Wgrad})
    if (phases[static_cast<int>(needed)] < 0)
      return invalid(
          fmt::format("'{}' has no phase '{}': it is no linear layer", recipe, kPhaseNames[static_cast<int>(needed)]));
  return {};
}

bool Linear::Impl::reads(Phase phase, const char *input) const {
  int index = phases[static_cast<int>(phase)];
  const std::vector<Parameter> &parameters = loaded->executable.inputs();
  for (size_t i = 0; index >= 0 && i < parameters.size(); ++i)
    if (parameters[i].name == input)
      return loaded->executable.phaseUsesInput(static_cast<size_t>(index), i);
  return false;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

Status Linear::Impl::bind(int64_t tokens, int onlyPhase, Binding *binding) const {
  std::vector<std::vector<int64_t>> shapes;
  for (const Parameter &input : loaded->executable.inputs())
    shapes.push_back(shapeOf(*find(kInputs, input.name), tokens, descriptor));
  auto bound = std::make_shared<Binding::Impl>();
  if (Status status = bindPlan(loaded->executable.impl, shapes, bound.get(), onlyPhase); !status.ok())
    return {status.code(), fmt::format("linear layer '{}' of {} to {} features, {} tokens: {}", recipe,
                                       descriptor.inFeatures, descriptor.outFeatures, tokens, status.message())};
  for (size_t i = 0; i < bound->outputShapes.size(); ++i) {
    std::vector<int64_t> expected = shapeOf(*find(kOutputs, loaded->executable.outputs()[i].name), tokens, descriptor);
    if (bound->outputShapes[i] != expected)
      return invalid(fmt::format("'{}': output '{}' is {}, a linear layer's is {}", recipe,
                                 loaded->executable.outputs()[i].name, shapeText(bound->outputShapes[i]),
                                 shapeText(expected)));
  }
  binding->impl = std::move(bound);
  return {};
}

static bool sameLaunch(const BoundLaunch &one, const BoundLaunch &other) {
  auto sameArgument = [](const BoundLaunch::Argument &a, const BoundLaunch::Argument &b) {
    return a.buffer == b.buffer && a.value == b.value;
  };
  return one.function == other.function && std::equal(one.grid, one.grid + 3, other.grid) &&
         std::equal(one.block, one.block + 3, other.block) && one.sharedBytes == other.sharedBytes &&
         std::equal(one.args.begin(), one.args.end(), other.args.begin(), other.args.end(), sameArgument) &&
         one.reduce == other.reduce && one.buffer == other.buffer && one.bytes == other.bytes &&
         one.offset == other.offset;
}

/// The quantized weight serves all token counts, so that its phase must not depend on them: it is bound for two.
Status Linear::Impl::bindWeights() {
  constexpr int64_t kFew = 1, kMany = 65536;
  int phase = phases[static_cast<int>(Phase::Weights)];
  Binding other;
  // Without such a phase no launch has a number this high, and what is bound are the sizes.
  int only = phase >= 0 ? phase : kNumPhases;
  if (Status status = bind(kFew, only, &weightsBinding); !status.ok())
    return status;
  if (Status status = bind(kMany, only, &other); !status.ok())
    return status;
  const Binding::Impl &few = *weightsBinding.impl, &many = *other.impl;
  bool same = few.weightsBytes == many.weightsBytes &&
              std::equal(few.launches.begin(), few.launches.end(), many.launches.begin(), sameLaunch);
  const plan::Plan &plan = loaded->executable.impl->plan;
  for (size_t i = 0; i < plan.buffers.size(); ++i)
    if (plan.buffers[i].kind == plan::Buffer::Kind::Weights)
      same = same && few.bufferPlace[i] == many.bufferPlace[i];
  return same ? Status()
              : invalid(fmt::format("'{}': its quantized weight depends on the number of tokens, so it cannot be kept",
                                    recipe));
}

Status Linear::Impl::init() {
  static std::atomic<uint64_t> count{0};
  number = ++count;
  if (descriptor.inFeatures < 1 || descriptor.outFeatures < 1)
    return invalid(fmt::format("a linear layer of {} to {} features: both must be 1 or more", descriptor.inFeatures,
                               descriptor.outFeatures));
  if (Status status = checkSignature(); !status.ok())
    return status;
  if (Status status = findPhases(); !status.ok())
    return status;
  return bindWeights();
}

Status Linear::Impl::prepare(int64_t tokens, std::shared_ptr<const LinearPlan::Impl> *plan) const {
  // A plan is some kilobytes; programs with ever new token counts must not keep them all.
  constexpr size_t kMaxCached = 128;
  if (tokens < 1)
    return invalid(fmt::format("a linear layer for {} tokens: expected 1 or more", tokens));
  std::lock_guard<std::mutex> lock(mutex);
  if (auto cached = plans.find(tokens); cached != plans.end()) {
    *plan = cached->second;
    return {};
  }
  auto made = std::make_shared<LinearPlan::Impl>();
  made->layer = number;
  made->tokens = tokens;
  made->inFeatures = descriptor.inFeatures;
  if (Status status = bind(tokens, -1, &made->binding); !status.ok())
    return status;
  made->gradientBytes = made->binding.gradientBytes();
  if (keepsBiasGradient()) {
    made->biasPlace = (made->gradientBytes + 255) / 256 * 256;
    made->gradientBytes = made->biasPlace + static_cast<uint64_t>(descriptor.outFeatures) * 4;
  }
  made->forwardReadsW = reads(Phase::Forward, "w");
  for (Phase phase : {Phase::Gradient, Phase::Dgrad, Phase::Wgrad}) {
    made->backwardReadsX |= reads(phase, "x");
    made->backwardReadsW |= reads(phase, "w");
  }
  if (plans.size() >= kMaxCached)
    plans.clear();
  plans[tokens] = made;
  *plan = std::move(made);
  return {};
}

//===----------------------------------------------------------------------===//
// The public interface
//===----------------------------------------------------------------------===//

namespace {

/// The recipes that are loaded somewhere in the process: a model's layers have few different ones.
struct LoadedRecipes {
  std::mutex mutex;
  std::map<std::pair<const Device::Impl *, std::string>, std::weak_ptr<const LoadedRecipe>> loaded;
};

LoadedRecipes &loadedRecipes() {
  static auto *recipes = new LoadedRecipes; // never destroyed: layers may outlive static objects
  return *recipes;
}

/// Loads what `compile` gives, or finds it loaded. The lock is held meanwhile: the second of two layers waits for the first.
template <typename Compile>
Status loadRecipe(const Device &device, const std::string &key, Compile compile,
                  std::shared_ptr<const LoadedRecipe> *result) {
  LoadedRecipes &recipes = loadedRecipes();
  std::lock_guard<std::mutex> lock(recipes.mutex);
  auto &entry = recipes.loaded[{DeviceAccess::of(device).get(), key}];
  if ((*result = entry.lock()))
    return {};
  for (auto it = recipes.loaded.begin(); it != recipes.loaded.end();)
    it = it->second.expired() && &it->second != &entry ? recipes.loaded.erase(it) : std::next(it);
  CompiledSpec compiled;
  auto made = std::make_shared<LoadedRecipe>();
  if (Status status = compile(&compiled); !status.ok())
    return status;
  if (Status status = Executable::load(device, compiled.manifest, compiled.ptx, &made->executable); !status.ok())
    return status;
  if (Status status = made->kernels.load(device); !status.ok())
    return status;
  entry = made;
  *result = std::move(made);
  return {};
}

} // namespace

Status Linear::create(const Device &device, const Compiler &compiler, const LinearDescriptor &given, Linear *linear) {
  auto made = std::make_shared<Impl>();
  if (Status status = readStruct(given, "LinearDescriptor", &made->descriptor); !status.ok())
    return status;
  if (!device.isOpen())
    return invalid("the device is not open");
  if (!made->descriptor.recipe || !*made->descriptor.recipe)
    return invalid("the descriptor names no recipe; 'fourfold recipes' lists them");
  made->device = device;
  made->recipe = made->descriptor.recipe;
  made->descriptor.recipe = made->recipe.c_str();
  const LinearDescriptor &descriptor = made->descriptor;
  Recipe recipe;
  RecipeOptions options;
  options.bias = descriptor.hasBias;
  options.mask = descriptor.hasMask;
  options.accumulate = descriptor.accumulate;
  options.distributed = descriptor.reduceHook != nullptr;
  made->mode = descriptor.mode ? descriptor.mode : "";
  made->descriptor.mode = made->mode.c_str();
  options.mode = made->mode;
  if (Status status = readRecipe(made->recipe, options, &recipe); !status.ok())
    return status;
  std::string key = fmt::format("compiled {} {} {} {}\n{}\n{}\n{}", compiler.path(), fmt::join(recipe.absent, " "),
                                recipe.distributed, recipe.mode, recipe.forward.text, recipe.dgrad.text, recipe.wgrad.text);
  auto compile = [&](CompiledSpec *compiled) {
    Spec linked;
    if (Status status = compiler.link(recipe, &linked); !status.ok())
      return status;
    return compiler.compile(linked, device.target(), compiled);
  };
  if (Status status = loadRecipe(device, key, compile, &made->loaded); !status.ok())
    return status;
  if (Status status = made->init(); !status.ok())
    return status;
  linear->impl = std::move(made);
  return {};
}

Status Linear::create(const Device &device, const CompiledSpec &pack, const LinearDescriptor &given, Linear *linear) {
  auto made = std::make_shared<Impl>();
  if (Status status = readStruct(given, "LinearDescriptor", &made->descriptor); !status.ok())
    return status;
  if (!device.isOpen())
    return invalid("the device is not open");
  if (made->descriptor.mode && *made->descriptor.mode)
    return invalid(fmt::format("mode '{}' was asked for, but a pack's mode is that of its compilation: leave it null",
                               made->descriptor.mode));
  made->device = device;
  made->recipe = made->descriptor.recipe ? made->descriptor.recipe : "pack";
  made->descriptor.recipe = made->recipe.c_str();
  auto compile = [&](CompiledSpec *compiled) {
    *compiled = pack;
    return Status();
  };
  if (Status status = loadRecipe(device, "pack " + pack.manifest + pack.ptx, compile, &made->loaded); !status.ok())
    return status;
  // Its ranks would each have means of their own, and nobody would notice.
  const std::vector<plan::Launch> &launches = made->loaded->executable.impl->plan.launches;
  bool reduces = std::any_of(launches.begin(), launches.end(), [](const plan::Launch &launch) {
    return launch.kind == plan::Launch::Kind::Reduce;
  });
  if (made->descriptor.reduceHook && !reduces)
    return invalid(fmt::format("'{}' has no reduction over ranks, so its hook would never be called: compile it with "
                               "--distributed, or leave the hook null if the recipe has no mean",
                               made->recipe));
  if (Status status = made->init(); !status.ok())
    return status;
  linear->impl = std::move(made);
  return {};
}

Status Linear::prepare(int64_t tokens, LinearPlan *plan) const {
  if (!impl)
    return invalid("the layer was not created");
  return impl->prepare(tokens, &plan->impl);
}

uint64_t Linear::weightsBytes() const { return impl->weightsBinding.weightsBytes(); }
const LinearDescriptor &Linear::descriptor() const { return impl->descriptor; }
const Device &Linear::device() const { return impl->device; }

int64_t LinearPlan::tokens() const { return impl->tokens; }
uint64_t LinearPlan::weightsBytes() const { return impl->binding.weightsBytes(); }
uint64_t LinearPlan::savedBytes() const { return impl->binding.savedBytes(); }
uint64_t LinearPlan::gradientBytes() const { return impl->gradientBytes; }
uint64_t LinearPlan::workspaceBytes() const { return impl->binding.workspaceBytes(); }
uint64_t LinearPlan::activationBytesBF16() const {
  return static_cast<uint64_t>(impl->tokens) * static_cast<uint64_t>(impl->inFeatures) * 2;
}
bool LinearPlan::forwardReadsW() const { return impl->forwardReadsW; }
bool LinearPlan::backwardReadsX() const { return impl->backwardReadsX; }
bool LinearPlan::backwardReadsW() const { return impl->backwardReadsW; }

} // namespace fourfold
