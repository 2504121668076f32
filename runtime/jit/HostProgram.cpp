// Host programs of the plug-in, with owners.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/HostProgram.h"

#include "runtime/jit/CompilerImpl.h"

#include <fmt/format.h>

namespace fourfold {

/// The compiler stays open for as long as something of it is there.
struct HostProgram::Impl {
  Compiler compiler;
  const FourfoldCompilerApi *api = nullptr;
  FourfoldHostProgram *program = nullptr;
  std::vector<std::string> inputs, results, phases;

  ~Impl() {
    if (program)
      api->hostRelease(program);
  }
};

struct HostEnvironment::Impl {
  HostProgram program;
  const FourfoldCompilerApi *api = nullptr;
  FourfoldHostEnvironment *environment = nullptr;

  ~Impl() {
    if (environment)
      api->hostDestroy(environment);
  }
};

namespace {

/// Texts that a call sends.
struct Texts {
  std::string error;
  std::vector<std::string> inputs, results, phases;

  static void receive(void *user, const char *name, const void *bytes, size_t size) {
    auto &self = *static_cast<Texts *>(user);
    std::string text(static_cast<const char *>(bytes), size), key = name;
    if (key == "input")
      self.inputs.push_back(text);
    else if (key == "result")
      self.results.push_back(text);
    else if (key == "phase")
      self.phases.push_back(text);
    else if (key == "error")
      self.error += (self.error.empty() ? "" : "\n") + text;
  }

  Status failure(StatusCode code, const char *what) const {
    std::string text = error.empty() ? std::string(what) + " failed without a diagnostic" : error;
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return {code, text};
  }
};

/// Takes the tensors of a run.
struct TensorReceiver {
  Texts texts;
  std::vector<Tensor> *tensors = nullptr;

  static void receiveText(void *user, const char *name, const void *bytes, size_t size) {
    Texts::receive(&static_cast<TensorReceiver *>(user)->texts, name, bytes, size);
  }
  static void receive(void *user, const char *part, const FourfoldHostTensor *source, const float *) {
    Tensor tensor;
    if (std::string(part) != "tensor" || !parseElementType(source->elementType, &tensor.type))
      return;
    tensor.name = source->name;
    tensor.shape.assign(source->shape, source->shape + source->rank);
    auto *bytes = static_cast<const uint8_t *>(source->data);
    if (int64_t count = countElements(tensor.shape); count > 0)
      tensor.bytes.assign(bytes, bytes + count * elementTypeBytes(tensor.type));
    static_cast<TensorReceiver *>(user)->tensors->push_back(std::move(tensor));
  }
};

} // namespace

Status HostProgram::prepare(const Compiler &compiler, const Spec &spec, HostProgram *program) {
  if (!compiler.impl)
    return {StatusCode::InvalidArgument, "the compiler is not open"};
  std::vector<const char *> absent;
  for (const std::string &name : spec.absent)
    absent.push_back(name.c_str());
  FourfoldCompileRequest request = {};
  request.structSize = sizeof(request);
  request.text = spec.text.c_str();
  request.textSize = spec.text.size();
  request.fileName = spec.fileName.c_str();
  request.function = spec.function.empty() ? nullptr : spec.function.c_str();
  request.absent = absent.data();
  request.numAbsent = absent.size();
  auto impl = std::make_shared<Impl>();
  impl->compiler = compiler;
  if (Status status = compiler.impl->load(&impl->api); !status.ok())
    return status;
  if (!impl->api->hostPrepare)
    return {StatusCode::Unsupported, fmt::format("compiler plug-in '{}' has no host programs", compiler.path())};
  Texts texts;
  if (impl->api->hostPrepare(&request, &impl->program, Texts::receive, &texts) != 0)
    return texts.failure(StatusCode::CompileError, "preparing the spec");
  impl->inputs = std::move(texts.inputs);
  impl->results = std::move(texts.results);
  impl->phases = std::move(texts.phases);
  program->impl = std::move(impl);
  return {};
}

static const std::vector<std::string> kNoNames;
const std::vector<std::string> &HostProgram::inputs() const { return impl ? impl->inputs : kNoNames; }
const std::vector<std::string> &HostProgram::results() const { return impl ? impl->results : kNoNames; }
const std::vector<std::string> &HostProgram::phases() const { return impl ? impl->phases : kNoNames; }

Status HostEnvironment::create(const HostProgram &program, HostEnvironment *environment) {
  return create(program, HostEnvironment(), environment);
}

Status HostEnvironment::create(const HostProgram &program, const HostEnvironment &weights,
                               HostEnvironment *environment) {
  if (!program.impl)
    return {StatusCode::InvalidArgument, "the host program is not prepared"};
  auto impl = std::make_shared<Impl>();
  impl->program = program;
  impl->api = program.impl->api;
  Texts texts;
  if (impl->api->hostCreate(program.impl->program, weights.impl ? weights.impl->environment : nullptr,
                            &impl->environment, Texts::receive, &texts) != 0)
    return texts.failure(StatusCode::InvalidArgument, "creating an environment");
  environment->impl = std::move(impl);
  return {};
}

static FourfoldHostTensor hostTensor(const std::string &name, ElementType type, const std::vector<int64_t> &shape,
                                     const void *data) {
  return {name.c_str(), elementTypeName(type), static_cast<int32_t>(shape.size()), shape.data(), data};
}

static Status notCreated() { return {StatusCode::InvalidArgument, "the host environment is not created"}; }

Status HostEnvironment::run(uint32_t phases, const std::vector<HostInput> &inputs,
                            const std::vector<HostOutput> &outputs) {
  if (!impl)
    return notCreated();
  std::vector<FourfoldHostTensor> tensors;
  for (const HostInput &input : inputs)
    tensors.push_back(hostTensor(input.name, input.type, input.shape, input.data));
  std::vector<FourfoldHostOutput> targets;
  for (const HostOutput &output : outputs)
    targets.push_back({output.name.c_str(), nullptr, elementTypeName(output.type),
                       static_cast<int32_t>(output.shape.size()), output.shape.data(), output.data});
  FourfoldHostRunRequest request = {};
  request.structSize = sizeof(request);
  request.environment = impl->environment;
  request.phases = phases;
  request.inputs = tensors.data();
  request.numInputs = tensors.size();
  request.outputs = targets.data();
  request.numOutputs = targets.size();
  Texts texts;
  if (impl->api->hostRun(&request, nullptr, Texts::receive, &texts) != 0)
    return texts.failure(StatusCode::InvalidArgument, "running on the host");
  return {};
}

Status HostEnvironment::run(const std::vector<Tensor> &inputs, std::vector<Tensor> *outputs) {
  if (!impl)
    return notCreated();
  std::vector<FourfoldHostTensor> tensors;
  for (const Tensor &input : inputs)
    tensors.push_back(hostTensor(input.name, input.type, input.shape, input.bytes.data()));
  FourfoldHostRunRequest request = {};
  request.structSize = sizeof(request);
  request.environment = impl->environment;
  request.phases = kHostAllPhases;
  request.inputs = tensors.data();
  request.numInputs = tensors.size();
  TensorReceiver receiver;
  std::vector<Tensor> results;
  receiver.tensors = &results;
  if (impl->api->hostRun(&request, TensorReceiver::receive, TensorReceiver::receiveText, &receiver) != 0)
    return receiver.texts.failure(StatusCode::InvalidArgument, "running on the host");
  *outputs = std::move(results);
  return {};
}

void HostEnvironment::reset() {
  if (impl)
    impl->api->hostReset(impl->environment);
}

uint64_t HostEnvironment::bytesHeld() const { return impl ? impl->api->hostBytesHeld(impl->environment) : 0; }

} // namespace fourfold
