// C functions around programs and environments: nothing throws past them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Api.h"

#include <new>

namespace fourfold {
namespace host {

static void send(FourfoldSink sink, void *user, const char *name, const std::string &text) {
  sink(user, name, text.data(), text.size());
}

static int32_t fail(FourfoldSink sink, void *user, const std::string &text) {
  send(sink, user, "error", text);
  return 1;
}

int32_t apiAdopt(std::shared_ptr<const Program> program, FourfoldHostProgram **result, FourfoldSink sink, void *user) {
  *result = new (std::nothrow) FourfoldHostProgram{std::move(program)};
  if (!*result)
    return fail(sink, user, "out of memory");
  const Program &source = *(*result)->program;
  for (size_t i = 0; i < source.numArguments; ++i)
    send(sink, user, "input", source.values[i].name);
  for (const Result &item : source.results)
    send(sink, user, "result", item.name);
  for (const std::string &phase : source.phases)
    send(sink, user, "phase", phase);
  return 0;
}

void apiRelease(FourfoldHostProgram *program) { delete program; }

int32_t apiCreate(const FourfoldHostProgram *program, const FourfoldHostEnvironment *weights,
                  FourfoldHostEnvironment **environment, FourfoldSink sink, void *user) {
  if (!program)
    return fail(sink, user, "an environment needs a prepared program");
  if (weights && &weights->environment->program() != program->program.get())
    return fail(sink, user, "the environment of the weights is that of another program");
  try {
    std::shared_ptr<const Environment> shared = weights ? weights->environment : nullptr;
    auto made = std::make_shared<Environment>(program->program, std::move(shared));
    *environment = new FourfoldHostEnvironment{std::move(made)};
    return 0;
  } catch (const std::exception &error) {
    return fail(sink, user, error.what());
  }
}

void apiDestroy(FourfoldHostEnvironment *environment) { delete environment; }
void apiReset(FourfoldHostEnvironment *environment) { environment->environment->reset(); }
uint64_t apiBytesHeld(const FourfoldHostEnvironment *environment) {
  return static_cast<uint64_t>(environment->environment->bytesHeld());
}

int32_t apiRun(const FourfoldHostRunRequest *request, FourfoldTensorSink tensors, FourfoldSink sink, void *user) {
  if (!request || request->structSize < sizeof(FourfoldHostRunRequest) || !request->environment)
    return fail(sink, user, "run request is incomplete: expects an environment and the size of the struct");
  try {
    RunRequest inner;
    inner.phases = request->phases;
    inner.inputs = request->inputs;
    inner.numInputs = request->numInputs;
    inner.intermediates = request->intermediates != 0;
    for (size_t i = 0; i < request->numOutputs; ++i) {
      const FourfoldHostOutput &output = request->outputs[i];
      if (!output.name || !output.elementType || output.rank < 0 || (output.rank > 0 && !output.shape))
        return fail(sink, user, "output " + std::to_string(i) + " has no name, element type or shape");
      Output target;
      target.name = output.name;
      target.part = output.part ? output.part : "tensor";
      target.elementType = output.elementType;
      target.shape.assign(output.shape, output.shape + output.rank);
      target.data = output.data;
      inner.outputs.push_back(std::move(target));
    }
    if (tensors)
      inner.sink = [&](const char *part, const FourfoldHostTensor &tensor) { tensors(user, part, &tensor, nullptr); };
    std::string error = tryRun(*request->environment->environment, inner);
    return error.empty() ? 0 : fail(sink, user, error);
  } catch (const std::exception &error) {
    return fail(sink, user, error.what());
  }
}

} // namespace host
} // namespace fourfold
