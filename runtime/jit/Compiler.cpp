// Opens the compiler plug-in and speaks its C interface.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/CompilerImpl.h"

#include "plan/Plan.h"
#include "runtime/core/Environment.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace fourfold {

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

static constexpr const char *kPluginName = "libfourfold_jit.so";

/// Where the plug-in may be, in the order it is looked for.
static std::vector<std::string> candidates() {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  std::error_code error;
  fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error)
    paths.push_back((executable.parent_path().parent_path() / "lib" / kPluginName).string());
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&candidates), &info) && info.dli_fname)
    paths.push_back((fs::absolute(info.dli_fname, error).parent_path() / kPluginName).string());
  paths.push_back(kPluginName);
  return paths;
}

Status Compiler::open(Compiler *compiler, const std::string &path) {
  std::vector<std::string> paths;
  if (!path.empty())
    paths = {path};
  else if (std::string fromEnvironment = environment::compilerPath(); !fromEnvironment.empty())
    paths = {fromEnvironment};
  else
    paths = candidates();

  auto impl = std::make_shared<Impl>();
  std::string tried, error;
  for (const std::string &candidate : paths) {
    if (impl->library.open(candidate, &error)) {
      impl->path = candidate;
      break;
    }
    tried += "\n  " + error;
  }
  if (!impl->library)
    return {StatusCode::NotFound,
            fmt::format("the compiler plug-in {} cannot be opened; build it, or set FOURFOLD_JIT to its "
                        "path; tried:{}",
                        kPluginName, tried)};
  const FourfoldCompilerApi *(*getApi)() = nullptr;
  if (!impl->library.find("fourfoldCompilerApi", &getApi))
    return {StatusCode::Unsupported,
            fmt::format("'{}' is not a Fourfold compiler: it has no symbol fourfoldCompilerApi", impl->path)};
  impl->api = getApi();
  if (!impl->api || impl->api->abi != FOURFOLD_COMPILER_ABI)
    return {
        StatusCode::Unsupported,
        fmt::format("compiler plug-in '{}' has interface version {}, this runtime needs {}: build both from one source",
                    impl->path, impl->api ? impl->api->abi : 0u, FOURFOLD_COMPILER_ABI)};
  compiler->impl = std::move(impl);
  return {};
}

std::string Compiler::version() const { return impl && impl->api->version ? impl->api->version : ""; }
std::string Compiler::path() const { return impl ? impl->path : ""; }

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

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
  return request;
}

} // namespace

Status Compiler::compile(const Spec &spec, const std::string &target, CompiledSpec *compiled) const {
  if (!impl)
    return notOpen();
  std::vector<const char *> absent = pointers(spec.absent);
  FourfoldCompileRequest request = compileRequest(spec, absent, target, "ptx");
  Collected collected;
  if (impl->api->compile(&request, Collected::receive, &collected) != 0)
    return collected.failure("compiling " + spec.fileName);
  for (const char *name : {"manifest", "ptx"})
    if (!collected.texts.count(name))
      return {StatusCode::CompileError, fmt::format("the compiler sent no {} for {}", name, spec.fileName)};
  compiled->manifest = collected.texts["manifest"];
  compiled->ptx = collected.texts["ptx"];
  compiled->warnings = collected.texts["warning"];
  return {};
}

Status Compiler::emit(const Spec &spec, const std::string &target, const std::string &stage, std::string *text,
                      std::string *warnings) const {
  if (!impl)
    return notOpen();
  std::vector<const char *> absent = pointers(spec.absent);
  FourfoldCompileRequest request = compileRequest(spec, absent, target, stage.c_str());
  Collected collected;
  if (impl->api->compile(&request, Collected::receive, &collected) != 0)
    return collected.failure("compiling " + spec.fileName);
  if (!collected.texts.count(stage))
    return {StatusCode::CompileError, fmt::format("the compiler sent no {} for {}", stage, spec.fileName)};
  *text = collected.texts[stage];
  if (warnings)
    *warnings = collected.texts["warning"];
  return {};
}

Status Compiler::evaluate(const Spec &spec, const std::vector<Tensor> &inputs, bool intermediates,
                          std::vector<EvaluatedValue> *values) const {
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
  ValueReceiver receiver;
  if (impl->api->evaluate(&request, ValueReceiver::receive, ValueReceiver::receiveText, &receiver) != 0)
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
  FourfoldLinkRequest request = {};
  request.structSize = sizeof(request);
  const Spec *specs[] = {&recipe.forward, &recipe.dgrad, &recipe.wgrad};
  for (size_t i = 0; i < 3; ++i) {
    request.specs[i].text = specs[i]->text.c_str();
    request.specs[i].textSize = specs[i]->text.size();
    request.specs[i].fileName = specs[i]->fileName.c_str();
  }
  std::vector<const char *> absent = pointers(recipe.absent);
  request.absent = absent.data();
  request.numAbsent = absent.size();
  request.distributed = recipe.distributed;
  Collected collected;
  if (impl->api->link(&request, Collected::receive, &collected) != 0)
    return collected.failure("linking the recipe of " + recipe.forward.fileName);
  if (!collected.texts.count("spec"))
    return {StatusCode::CompileError, "the compiler sent no linked spec for " + recipe.forward.fileName};
  *linked = Spec();
  linked->text = collected.texts["spec"];
  linked->fileName = recipe.forward.fileName;
  return {};
}

Status Compiler::targets(std::vector<TargetInfo> *list) const {
  if (!impl)
    return notOpen();
  Collected collected;
  if (impl->api->targets(Collected::receive, &collected) != 0)
    return collected.failure("listing targets");
  list->clear();
  for (const std::string &line : collected.targets) {
    size_t first = line.find('\t'), second = line.find('\t', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos)
      return {StatusCode::CompileError, fmt::format("the compiler described a target as '{}'", line)};
    list->push_back(
        {line.substr(0, first), line.substr(first + 1, second - first - 1) == "yes", line.substr(second + 1)});
  }
  return {};
}

} // namespace fourfold
