// The C interface of specs: compiling, asking, binding, launching.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/c/CSpec.h"
#include "fourfold/Executable.h"
#include "runtime/c/Guard.h"
#include "runtime/c/Hook.h"
#include "runtime/linear/Struct.h"

using namespace fourfold;
using c::guarded;

struct FourfoldSpec {
  Executable executable;
  /// The extents of the inputs, then of the outputs, as C reads them.
  std::vector<std::vector<const char *>> extents;

  void keepExtents() {
    for (const auto *list : {&executable.inputs(), &executable.outputs()})
      for (const Parameter &parameter : *list) {
        std::vector<const char *> texts;
        for (const std::string &extent : parameter.shape)
          texts.push_back(extent.c_str());
        extents.push_back(std::move(texts));
      }
  }
};

struct FourfoldBinding {
  Executable executable;
  Binding binding;
};

namespace {

Status invalid(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

Status giveParameter(const FourfoldSpec *spec, bool input, size_t index, FourfoldParameter *to) {
  FOURFOLD_REQUIRE(spec);
  FourfoldParameter *parameter = to;
  FOURFOLD_REQUIRE(parameter);
  FourfoldParameter known;
  if (Status status = readStruct(*to, "FourfoldParameter", &known); !status.ok())
    return status;
  const std::vector<Parameter> &list = input ? spec->executable.inputs() : spec->executable.outputs();
  if (index >= list.size())
    return invalid(fmt::format("there is no {} {}: the spec has {}", input ? "input" : "output", index, list.size()));
  const std::vector<const char *> &extents = spec->extents[input ? index : spec->executable.inputs().size() + index];
  known.structSize = to->structSize;
  known.name = list[index].name.c_str();
  known.elementType = static_cast<int32_t>(list[index].type);
  known.rank = static_cast<int32_t>(extents.size());
  known.extents = extents.data();
  std::memcpy(static_cast<void *>(to), &known, to->structSize);
  return {};
}

/// What both launches do; `phase` is null for all.
Status launch(const FourfoldSpec *spec, const FourfoldBinding *binding, const size_t *phase,
              const FourfoldLaunchBuffers *buffers) {
  FOURFOLD_REQUIRE(spec);
  FOURFOLD_REQUIRE(binding);
  FOURFOLD_REQUIRE(buffers);
  FourfoldLaunchBuffers known;
  if (Status status = readStruct(*buffers, "FourfoldLaunchBuffers", &known); !status.ok())
    return status;
  const Executable &executable = spec->executable;
  if (known.inputCount != executable.inputs().size() || known.outputCount != executable.outputs().size())
    return invalid(fmt::format("the buffers have {} inputs and {} outputs, the spec {} and {}", known.inputCount,
                               known.outputCount, executable.inputs().size(), executable.outputs().size()));
  c::Hook hook{known.reduceHook, known.reduceUser}; // called during the launch only
  LaunchBuffers wanted;
  wanted.inputs = known.inputs;
  wanted.outputs = known.outputs;
  wanted.workspace = known.workspace;
  wanted.stream = known.stream;
  wanted.weights = known.weights;
  wanted.saved = known.saved;
  wanted.gradient = known.gradient;
  if (hook.hook) {
    wanted.reduceHook = c::Hook::call;
    wanted.reduceUser = &hook;
  }
  return phase ? executable.launchPhase(binding->binding, *phase, wanted) : executable.launch(binding->binding, wanted);
}

} // namespace

extern "C" {

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

int fourfoldSpecCompile(const FourfoldDevice *device, const FourfoldSpecDescriptor *descriptor, FourfoldSpec **spec,
                        FourfoldText **warnings) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(spec);
    *spec = nullptr;
    if (warnings)
      *warnings = nullptr;
    FOURFOLD_REQUIRE(device);
    Spec wanted;
    if (Status status = c::readSpec(descriptor, &wanted); !status.ok())
      return status;
    Compiler compiler;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    auto made = std::make_unique<FourfoldSpec>();
    std::string text;
    if (Status status =
            Executable::compile(device->device, compiler, wanted, &made->executable, warnings ? &text : nullptr);
        !status.ok())
      return status;
    made->keepExtents();
    c::giveText(std::move(text), warnings);
    *spec = made.release();
    return {};
  });
}

int fourfoldSpecLoad(const FourfoldDevice *device, const char *manifest, const char *ptx, FourfoldSpec **spec) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(spec);
    *spec = nullptr;
    FOURFOLD_REQUIRE(device);
    FOURFOLD_REQUIRE(manifest);
    FOURFOLD_REQUIRE(ptx);
    auto made = std::make_unique<FourfoldSpec>();
    if (Status status = Executable::load(device->device, manifest, ptx, &made->executable); !status.ok())
      return status;
    made->keepExtents();
    *spec = made.release();
    return {};
  });
}

void fourfoldSpecDestroy(FourfoldSpec *spec) { delete spec; }

int fourfoldSpecEmit(const FourfoldSpecDescriptor *descriptor, const char *target, const char *stage,
                     FourfoldText **text) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(text);
    *text = nullptr;
    FOURFOLD_REQUIRE(target);
    FOURFOLD_REQUIRE(stage);
    Spec wanted;
    if (Status status = c::readSpec(descriptor, &wanted); !status.ok())
      return status;
    const std::string asked = stage;
    // "text" reads bytecode in this process, which is for C++ programs that know what they do.
    constexpr const char *kStages[] = {"signature", "plan", "kernels", "llvm", "ptx", "manifest"};
    bool known = false;
    for (const char *name : kStages)
      known |= asked == name;
    if (!known)
      return invalid(
          fmt::format("unknown stage '{}': expected signature, plan, kernels, llvm, ptx or manifest", asked));
    Compiler compiler;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    std::string emitted;
    if (asked == "manifest") {
      CompiledSpec compiled;
      if (Status status = compiler.compile(wanted, target, &compiled); !status.ok())
        return status;
      emitted = std::move(compiled.manifest);
    } else if (Status status = compiler.emit(wanted, target, asked, &emitted); !status.ok()) {
      return status;
    }
    c::giveText(std::move(emitted), text);
    return {};
  });
}

//===----------------------------------------------------------------------===//
// What a spec has
//===----------------------------------------------------------------------===//

size_t fourfoldSpecInputCount(const FourfoldSpec *spec) { return spec ? spec->executable.inputs().size() : 0; }
size_t fourfoldSpecOutputCount(const FourfoldSpec *spec) { return spec ? spec->executable.outputs().size() : 0; }
size_t fourfoldSpecPhaseCount(const FourfoldSpec *spec) { return spec ? spec->executable.phases().size() : 0; }

int fourfoldSpecInput(const FourfoldSpec *spec, size_t input, FourfoldParameter *parameter) {
  return guarded([&] { return giveParameter(spec, true, input, parameter); });
}

int fourfoldSpecOutput(const FourfoldSpec *spec, size_t output, FourfoldParameter *parameter) {
  return guarded([&] { return giveParameter(spec, false, output, parameter); });
}

const char *fourfoldSpecPhaseName(const FourfoldSpec *spec, size_t phase) {
  return phase < fourfoldSpecPhaseCount(spec) ? spec->executable.phases()[phase].c_str() : "";
}

int32_t fourfoldSpecPhaseUsesInput(const FourfoldSpec *spec, size_t phase, size_t input) {
  return phase < fourfoldSpecPhaseCount(spec) && input < fourfoldSpecInputCount(spec) &&
         spec->executable.phaseUsesInput(phase, input);
}

int32_t fourfoldSpecPhaseUsesOutput(const FourfoldSpec *spec, size_t phase, size_t output) {
  return phase < fourfoldSpecPhaseCount(spec) && output < fourfoldSpecOutputCount(spec) &&
         spec->executable.phaseUsesOutput(phase, output);
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

int fourfoldSpecBind(const FourfoldSpec *spec, const FourfoldShape *inputShapes, size_t count,
                     FourfoldBinding **binding) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(binding);
    *binding = nullptr;
    FOURFOLD_REQUIRE(spec);
    if (count)
      FOURFOLD_REQUIRE(inputShapes);
    std::vector<std::vector<int64_t>> shapes;
    for (size_t i = 0; i < count; ++i) {
      const FourfoldShape &shape = inputShapes[i];
      if (shape.rank < 0 || (shape.rank && !shape.extents))
        return invalid(
            fmt::format("input shape {} has rank {} and {} extents", i, shape.rank, shape.extents ? "some" : "no"));
      shapes.emplace_back(shape.extents, shape.extents + shape.rank);
    }
    auto made = std::make_unique<FourfoldBinding>();
    made->executable = spec->executable;
    if (Status status = spec->executable.bind(shapes, &made->binding); !status.ok())
      return status;
    *binding = made.release();
    return {};
  });
}

void fourfoldBindingRelease(FourfoldBinding *binding) { delete binding; }

int fourfoldBindingSizes(const FourfoldBinding *binding, FourfoldBindingSizes *sizes) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(binding);
    FOURFOLD_REQUIRE(sizes);
    FourfoldBindingSizes known;
    if (Status status = readStruct(*sizes, "FourfoldBindingSizes", &known); !status.ok())
      return status;
    known.structSize = sizes->structSize;
    known.workspaceBytes = binding->binding.workspaceBytes();
    known.weightsBytes = binding->binding.weightsBytes();
    known.savedBytes = binding->binding.savedBytes();
    known.gradientBytes = binding->binding.gradientBytes();
    std::memcpy(static_cast<void *>(sizes), &known, sizes->structSize);
    return {};
  });
}

uint64_t fourfoldBindingInputBytes(const FourfoldBinding *binding, size_t input) {
  return binding && input < binding->executable.inputs().size() ? binding->binding.inputBytes(input) : 0;
}

uint64_t fourfoldBindingOutputBytes(const FourfoldBinding *binding, size_t output) {
  return binding && output < binding->executable.outputs().size() ? binding->binding.outputBytes(output) : 0;
}

int fourfoldBindingOutputShape(const FourfoldBinding *binding, size_t output, FourfoldShape *shape) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(binding);
    FOURFOLD_REQUIRE(shape);
    if (output >= binding->executable.outputs().size())
      return invalid(
          fmt::format("there is no output {}: the spec has {}", output, binding->executable.outputs().size()));
    const std::vector<int64_t> &extents = binding->binding.outputShape(output);
    *shape = {static_cast<int32_t>(extents.size()), extents.data()};
    return {};
  });
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

int fourfoldSpecLaunch(const FourfoldSpec *spec, const FourfoldBinding *binding, const FourfoldLaunchBuffers *buffers) {
  return guarded([&] { return launch(spec, binding, nullptr, buffers); });
}

int fourfoldSpecLaunchPhase(const FourfoldSpec *spec, const FourfoldBinding *binding, size_t phase,
                            const FourfoldLaunchBuffers *buffers) {
  return guarded([&] { return launch(spec, binding, &phase, buffers); });
}

int fourfoldSpecRun(const FourfoldSpec *spec, const FourfoldTensor *inputs, size_t count, FourfoldTensors **results) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(results);
    *results = nullptr;
    FOURFOLD_REQUIRE(spec);
    std::vector<Tensor> given;
    if (Status status = c::copyTensors(inputs, count, &given); !status.ok())
      return status;
    auto made = std::make_unique<FourfoldTensors>();
    if (Status status = spec->executable.run(given, &made->tensors); !status.ok())
      return status;
    *results = made.release();
    return {};
  });
}

int fourfoldSpecEvaluate(const FourfoldSpecDescriptor *descriptor, const FourfoldTensor *inputs, size_t count,
                         FourfoldTensors **results) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(results);
    *results = nullptr;
    Spec wanted;
    if (Status status = c::readSpec(descriptor, &wanted); !status.ok())
      return status;
    std::vector<Tensor> given;
    if (Status status = c::copyTensors(inputs, count, &given); !status.ok())
      return status;
    Compiler compiler;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    std::vector<EvaluatedValue> values;
    if (Status status = compiler.evaluate(wanted, given, /*intermediates=*/false, &values, wanted.mode); !status.ok())
      return status;
    auto made = std::make_unique<FourfoldTensors>();
    for (EvaluatedValue &value : values) {
      if (!value.unchecked.empty())
        return {StatusCode::Unsupported,
                fmt::format("the evaluator cannot know result '{}': {}", value.tensor.name, value.unchecked)};
      if (value.part == "tensor")
        made->tensors.push_back(std::move(value.tensor));
    }
    *results = made.release();
    return {};
  });
}

} // extern "C"
