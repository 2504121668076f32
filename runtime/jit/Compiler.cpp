// Speaks the compiler plug-in's C interface, unless the cache has the answer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/CompilerImpl.h"

#include "plan/Plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace fourfold {

namespace {

/// What a call sent, by name; several pieces of one name are joined by line breaks.
struct Collected {
  std::map<std::string, std::string> texts;
  std::vector<std::string> targets;
  std::vector<EvaluatedValue> values;
  std::map<std::string, std::string> unchecked; // value -> why

  static void receive(void *user, const char *name, const void *bytes, size_t size) {
    auto &self = *static_cast<Collected *>(user);
    std::string text(static_cast<const char *>(bytes), size);
    std::string key = name;
    if (key == "target") {
      self.targets.push_back(text);
      return;
    }
    if (key == "unchecked") {
      size_t tab = text.find('\t');
      self.unchecked[text.substr(0, tab)] = tab == std::string::npos ? "" : text.substr(tab + 1);
      return;
    }
    std::string &joined = self.texts[key];
    bool separate = !joined.empty() && joined.back() != '\n';
    joined += (separate ? "\n" : "") + text;
  }

  Status failure(const std::string &what) const {
    auto found = texts.find("error");
    std::string text = found == texts.end() ? what + " failed without a diagnostic" : found->second;
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return {StatusCode::CompileError, text};
  }
};

/// Receives evaluated values; remembers the first one it cannot represent.
struct ValueReceiver {
  Collected collected;
  std::string problem;

  static void receiveText(void *user, const char *name, const void *bytes, size_t size) {
    Collected::receive(&static_cast<ValueReceiver *>(user)->collected, name, bytes, size);
  }
  static void receive(void *user, const char *part, const FourfoldHostTensor *tensor, const float *bound) {
    auto &self = *static_cast<ValueReceiver *>(user);
    EvaluatedValue value;
    value.part = part;
    value.tensor.name = tensor->name;
    value.tensor.shape.assign(tensor->shape, tensor->shape + tensor->rank);
    std::string type = tensor->elementType;
    int64_t count = countElements(value.tensor.shape);
    if (type == "codes" || type == "scales")
      value.tensor.type = ElementType::I8;
    else if (!parseElementType(type, &value.tensor.type))
      self.problem = fmt::format("the evaluator sent '{}' of unknown element type '{}'", tensor->name, type);
    if (count < 0)
      self.problem = fmt::format("the evaluator sent '{}' of shape {}", tensor->name, shapeText(value.tensor.shape));
    if (!self.problem.empty())
      return;
    const uint8_t *bytes = static_cast<const uint8_t *>(tensor->data);
    if (count > 0)
      value.tensor.bytes.assign(bytes, bytes + count * elementTypeBytes(value.tensor.type));
    if (bound)
      value.bound.assign(bound, bound + count);
    self.collected.values.push_back(std::move(value));
  }
};

const char *orNull(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

Status notOpen() { return {StatusCode::InvalidArgument, "the compiler is not open"}; }

std::vector<const char *> pointers(const std::vector<std::string> &list) {
  std::vector<const char *> result;
  for (const std::string &text : list)
    result.push_back(text.c_str());
  return result;
}

FourfoldCompileRequest compileRequest(const Spec &spec, const std::vector<const char *> &absent,
                                      const std::string &target, const char *emit) {
  FourfoldCompileRequest request = {};
  request.absent = absent.data();
  request.numAbsent = absent.size();
  request.structSize = sizeof(request);
  request.text = spec.text.c_str();
  request.textSize = spec.text.size();
  request.fileName = spec.fileName.c_str();
  request.function = orNull(spec.function);
  request.target = target.c_str();
  request.emit = emit;
  request.mode = orNull(spec.mode);
  return request;
}

} // namespace

CacheKey Compiler::Impl::compiledKey(const Spec &spec, const std::string &target, const char *emit) const {
  // A new field of the request changes the code it asks for: it must be added below.
  // Of one kernel alone nothing is kept.
  static_assert(sizeof(FourfoldCompileRequest) == 11 * sizeof(void *), "add the request's new field to the key");
  return CacheKeyBuilder("compile")
      .addNumber(FOURFOLD_COMPILER_ABI)
      .add(identity)
      .add(version)
      .add(target)
      .add(emit)
      .add(spec.function)
      .add(spec.absent)
      .add(spec.mode)
      .add(spec.fileName) // warnings have it
      .add(spec.text)
      .key();
}

/// Has the plug-in make an entry of the texts `wanted` and the warnings.
template <typename Call>
static Status makeEntry(const Compiler::Impl &impl, const std::string &what, const std::string &about,
                        const std::vector<const char *> &wanted, CacheTexts *texts, Call call) {
  const FourfoldCompilerApi *api = nullptr;
  if (Status status = impl.load(&api); !status.ok())
    return status;
  Collected collected;
  if (call(*api, &collected) != 0)
    return collected.failure(what);
  for (const char *name : wanted) {
    auto found = collected.texts.find(name);
    if (found == collected.texts.end())
      return {StatusCode::CompileError, fmt::format("{}: the compiler sent no {}", what, name)};
    (*texts)[name] = std::move(found->second);
  }
  if (std::string &warnings = collected.texts["warning"]; !warnings.empty())
    (*texts)["warning"] = std::move(warnings);
  if (collected.texts.count(kVolatile))
    (*texts)[kVolatile] = collected.texts[kVolatile];
  (*texts)["about"] = about;
  return {};
}

static std::string textOf(const CachedTexts &texts, const std::string &name) {
  auto found = texts->find(name);
  return found == texts->end() ? "" : found->second;
}

Status Compiler::Impl::compiled(const Spec &spec, const std::string &target, const char *emit,
                                CachedTexts *texts) const {
  auto make = [&](CacheTexts *made) {
    std::vector<const char *> absent = pointers(spec.absent), wanted = {emit};
    if (std::string(emit) == "ptx")
      wanted.push_back("manifest");
    FourfoldCompileRequest request = compileRequest(spec, absent, target, emit);
    return makeEntry(*this, "compiling " + spec.fileName,
                     fmt::format("{} of {}{}{} for {}", emit, spec.fileName, spec.function.empty() ? "" : ", ",
                                 spec.function, target),
                     wanted, made, [&](const FourfoldCompilerApi &api, Collected *collected) {
                       return api.compile(&request, Collected::receive, collected);
                     });
  };
  return cache->find(compiledKey(spec, target, emit), make, texts);
}

Status Compiler::compile(const Spec &spec, const std::string &target, CompiledSpec *compiled) const {
  if (!impl)
    return notOpen();
  CachedTexts texts;
  if (Status status = impl->compiled(spec, target, "ptx", &texts); !status.ok())
    return status;
  compiled->manifest = textOf(texts, "manifest");
  compiled->ptx = textOf(texts, "ptx");
  compiled->warnings = textOf(texts, "warning");
  return {};
}

Status Compiler::emit(const Spec &spec, const std::string &target, const std::string &stage, std::string *text,
                      std::string *warnings, const std::string &kernel) const {
  if (!impl)
    return notOpen();
  if (kernel.empty() && (stage == "signature" || stage == "ptx")) {
    CachedTexts texts;
    if (Status status = impl->compiled(spec, target, stage.c_str(), &texts); !status.ok())
      return status;
    *text = textOf(texts, stage);
    if (warnings)
      *warnings = textOf(texts, "warning");
    return {};
  }
  // Stages for people, which nothing waits for: they would only fill the cache.
  const FourfoldCompilerApi *api = nullptr;
  if (Status status = impl->load(&api); !status.ok())
    return status;
  std::vector<const char *> absent = pointers(spec.absent);
  FourfoldCompileRequest request = compileRequest(spec, absent, target, stage.c_str());
  request.kernel = orNull(kernel);
  Collected collected;
  if (api->compile(&request, Collected::receive, &collected) != 0)
    return collected.failure("compiling " + spec.fileName);
  if (!collected.texts.count(stage))
    return {StatusCode::CompileError, fmt::format("the compiler sent no {} for {}", stage, spec.fileName)};
  *text = collected.texts[stage];
  if (warnings)
    *warnings = collected.texts["warning"];
  return {};
}

Status Compiler::evaluate(const Spec &spec, const std::vector<Tensor> &inputs, bool intermediates,
                          std::vector<EvaluatedValue> *values, const std::string &mode) const {
  if (!impl)
    return notOpen();
  std::vector<FourfoldHostTensor> tensors;
  for (const Tensor &input : inputs)
    tensors.push_back({input.name.c_str(), elementTypeName(input.type), static_cast<int32_t>(input.shape.size()),
                       input.shape.data(), input.bytes.data()});
  FourfoldEvaluateRequest request = {};
  request.structSize = sizeof(request);
  request.text = spec.text.c_str();
  request.textSize = spec.text.size();
  request.fileName = spec.fileName.c_str();
  request.function = orNull(spec.function);
  request.inputs = tensors.data();
  request.numInputs = tensors.size();
  request.intermediates = intermediates;
  std::vector<const char *> absent = pointers(spec.absent);
  request.absent = absent.data();
  request.numAbsent = absent.size();
  request.mode = orNull(mode);
  ValueReceiver receiver;
  const FourfoldCompilerApi *api = nullptr;
  if (Status status = impl->load(&api); !status.ok())
    return status;
  if (api->evaluate(&request, ValueReceiver::receive, ValueReceiver::receiveText, &receiver) != 0)
    return receiver.collected.failure("evaluating " + spec.fileName);
  if (!receiver.problem.empty())
    return {StatusCode::CompileError, receiver.problem};
  *values = std::move(receiver.collected.values);
  for (EvaluatedValue &value : *values)
    if (auto found = receiver.collected.unchecked.find(value.tensor.name); found != receiver.collected.unchecked.end())
      value.unchecked = found->second;
  return {};
}

Status Compiler::leaveOut(Spec *spec, const std::vector<std::string> &present) const {
  spec->absent.clear();
  // Only specs that say so have any: the others are not parsed twice.
  if (spec->text.find("optional") == std::string::npos)
    return {};
  std::string signature, error;
  if (Status status = emit(*spec, "sm_120a", "signature", &signature); !status.ok())
    return status;
  plan::Plan plan;
  if (!plan::Plan::fromJson(signature, &plan, &error))
    return {StatusCode::CompileError, error};
  for (const plan::TensorInfo &input : plan.inputs)
    if (input.optional && std::find(present.begin(), present.end(), input.name) == present.end())
      spec->absent.push_back(input.name);
  return {};
}

Status Compiler::link(const Recipe &recipe, Spec *linked) const {
  if (!impl)
    return notOpen();
  const Spec *specs[] = {&recipe.forward, &recipe.dgrad, &recipe.wgrad};
  static_assert(sizeof(FourfoldLinkRequest) == 13 * sizeof(void *), "add the request's new field to the key");
  CacheKeyBuilder key("link");
  key.addNumber(FOURFOLD_COMPILER_ABI).add(impl->identity).add(impl->version);
  for (const Spec *spec : specs)
    key.add(spec->text).add(spec->fileName); // the linked spec has locations
  key.add(recipe.absent).addNumber(recipe.distributed);
  auto make = [&](CacheTexts *made) {
    FourfoldLinkRequest request = {};
    request.structSize = sizeof(request);
    for (size_t i = 0; i < 3; ++i) {
      request.specs[i].text = specs[i]->text.c_str();
      request.specs[i].textSize = specs[i]->text.size();
      request.specs[i].fileName = specs[i]->fileName.c_str();
    }
    std::vector<const char *> absent = pointers(recipe.absent);
    request.absent = absent.data();
    request.numAbsent = absent.size();
    request.distributed = recipe.distributed;
    std::string what = "linking the recipe of " + recipe.forward.fileName;
    return makeEntry(*impl, what, "link of the recipe of " + recipe.forward.fileName, {"spec"}, made,
                     [&](const FourfoldCompilerApi &api, Collected *collected) {
                       return api.link(&request, Collected::receive, collected);
                     });
  };
  CachedTexts texts;
  if (Status status = impl->cache->find(key.key(), make, &texts); !status.ok())
    return status;
  *linked = Spec();
  linked->text = textOf(texts, "spec");
  linked->fileName = recipe.forward.fileName;
  linked->mode = recipe.mode;
  return {};
}

Status Compiler::targets(std::vector<TargetInfo> *list) const {
  if (!impl)
    return notOpen();
  auto make = [&](CacheTexts *made) {
    std::vector<std::string> lines;
    Status status = makeEntry(*impl, "listing targets", "targets", {}, made,
                              [&](const FourfoldCompilerApi &api, Collected *collected) {
                                int32_t result = api.targets(Collected::receive, collected);
                                lines = collected->targets;
                                return result;
                              });
    for (const std::string &line : lines)
      (*made)["targets"] += line + "\n";
    return status;
  };
  CacheKey key =
      CacheKeyBuilder("targets").addNumber(FOURFOLD_COMPILER_ABI).add(impl->identity).add(impl->version).key();
  CachedTexts texts;
  if (Status status = impl->cache->find(key, make, &texts); !status.ok())
    return status;
  list->clear();
  std::istringstream lines(textOf(texts, "targets"));
  for (std::string line; std::getline(lines, line);) {
    size_t first = line.find('\t'), second = line.find('\t', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos)
      return {StatusCode::CompileError, fmt::format("the compiler described a target as '{}'", line)};
    list->push_back(
        {line.substr(0, first), line.substr(first + 1, second - first - 1) == "yes", line.substr(second + 1)});
  }
  return {};
}

} // namespace fourfold
