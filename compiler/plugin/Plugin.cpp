// libfourfold_jit.so: the compiler behind the C interface of plan/CompilerPlugin.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/codegen/CudaFunctions.h"
#include "compiler/codegen/Ptx.h"
#include "compiler/evaluate/Evaluate.h"
#include "compiler/evaluate/Unchecked.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/host/Api.h"
#include "compiler/host/Lower.h"
#include "compiler/planner/Planner.h"
#include "compiler/recipe/Recipe.h"
#include "plan/CompilerNote.h"
#include "plan/CompilerPlugin.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

/// Collects diagnostics of one call and hands them to the sink.
class Reporter {
public:
  Reporter(FourfoldSink sink, void *user) : sink(sink), user(user) {}

  void send(const char *name, llvm::StringRef text) const { sink(user, name, text.data(), text.size()); }
  int32_t fail(llvm::StringRef text) const {
    send("error", text);
    return 1;
  }

private:
  FourfoldSink sink;
  void *user;
};

std::string asString(const char *text) { return text ? text : ""; }

/// What every call starts with: a context, the parsed spec, its region math made exact.
struct Session {
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<DiagnosticCollector> diagnostics;
  ParsedSpec spec;

  Session() {
    DialectRegistry registry;
    registerSpecDialects(registry);
    registerKernelDialects(registry);
    // One spec is small: threads would cost more to start than they save until its kernels are compiled, which brings its own.
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    diagnostics = std::make_unique<DiagnosticCollector>(*context);
  }

  bool open(llvm::StringRef text, llvm::StringRef fileName, llvm::StringRef function,
            llvm::ArrayRef<std::string> absent, const Reporter &reporter) {
    FailureOr<ParsedSpec> parsed = parseSpec(text, fileName, *context, function);
    if (failed(parsed) || failed(dropAbsent(parsed->function, absent)) || failed(expandMath(parsed->function))) {
      reportErrors(reporter, "the spec cannot be read");
      return false;
    }
    spec = std::move(*parsed);
    return true;
  }

  void reportErrors(const Reporter &reporter, llvm::StringRef fallback) const {
    std::string text = diagnostics->str();
    reporter.send("error", text.empty() ? fallback : llvm::StringRef(text));
  }
};

std::vector<std::string> asStrings(const char *const *list, size_t size) {
  return std::vector<std::string>(list, list + size);
}

/// The names of a plan's kernels, each once, in their order.
llvm::SmallVector<llvm::StringRef> kernelNames(const plan::Plan &plan) {
  llvm::SetVector<llvm::StringRef> names;
  for (const plan::Launch &launch : plan.launches)
    for (const plan::Variant &variant : launch.variants)
      names.insert(variant.kernel);
  return names.takeVector();
}

int32_t compile(const FourfoldCompileRequest *request, FourfoldSink sink, void *user) {
  Reporter reporter(sink, user);
  if (!request || request->structSize < sizeof(FourfoldCompileRequest) || !request->text || !request->target)
    return reporter.fail("compile request is incomplete: expects text, target and the size of the struct");
  llvm::StringRef emit = request->emit ? request->emit : "ptx";
  if (emit != "ptx" && emit != "plan" && emit != "kernels" && emit != "llvm" && emit != "signature" && emit != "text")
    return reporter.fail(("unknown output '" + emit + "'; expects signature, text, plan, kernels, llvm or ptx").str());
  if (emit == "text") {
    Session session;
    FailureOr<std::string> text = bytecodeToText({request->text, request->textSize}, asString(request->fileName), *session.context);
    if (failed(text)) {
      session.reportErrors(reporter, "the bytecode cannot be read");
      return 1;
    }
    reporter.send("text", *text);
    return 0;
  }
  std::string why;
  const Target *target = findTarget(request->target, &why);
  if (!target)
    return reporter.fail(why);

  std::optional<MatmulMode> mode = parseMode(asString(request->mode));
  if (request->kernel && emit != "kernels" && emit != "llvm" && emit != "ptx")
    return reporter.fail("a kernel can be chosen for the outputs kernels, llvm and ptx, not for " + emit.str());
  if (!mode)
    return reporter.fail("unknown mode '" + asString(request->mode) + "'; expects fast or faithful");

  Session session;
  if (!session.open({request->text, request->textSize}, asString(request->fileName), asString(request->function),
                    asStrings(request->absent, request->numAbsent), reporter))
    return 1;
  if (emit == "signature") {
    FailureOr<plan::Plan> signature = signatureOf(session.spec.function);
    if (failed(signature)) {
      session.reportErrors(reporter, "the spec has no signature");
      return 1;
    }
    reporter.send("signature", signature->toJson());
    return 0;
  }
  std::string kernel = asString(request->kernel);
  FailureOr<PlannedSpec> planned = planSpec(session.spec.function, *target, *mode, kernel);
  if (failed(planned)) {
    session.reportErrors(reporter, "the spec cannot be planned");
    return 1;
  }
  if (emit == "plan") {
    reporter.send("plan", planned->plan.str());
    return 0;
  }
  if (llvm::SmallVector<llvm::StringRef> names = kernelNames(planned->plan); !kernel.empty() && !llvm::is_contained(names, kernel))
    return reporter.fail("the plan has no kernel '" + kernel + "'; it has " + llvm::join(names, ", "));
  if (emit == "kernels") {
    std::string text;
    llvm::raw_string_ostream stream(text);
    planned->kernels->print(stream);
    stream << "\n";
    reporter.send("kernels", text);
    return 0;
  }
  FailureOr<std::string> code = translateModule(*planned->kernels, *target, emit == "ptx");
  // Files that they include, the toolkit's too, may change when the spec does not.
  if (emit == "ptx" && !calledFunctions(session.spec.function).empty())
    reporter.send("volatile", "CUDA C++ functions");
  if (succeeded(code) && emit == "ptx" &&
      failed(addCudaFunctions(session.spec.function, *target, &*code, &planned->plan.ptxVersion)))
    code = failure();
  if (failed(code)) {
    session.reportErrors(reporter, "the kernels cannot be lowered");
    return 1;
  }
  if (emit == "ptx" && kernel.empty())
    reporter.send("manifest", planned->plan.toJson());
  reporter.send(emit == "ptx" ? "ptx" : "llvm", *code);
  return 0;
}

int32_t evaluateSpec(const FourfoldEvaluateRequest *request, FourfoldTensorSink tensors, FourfoldSink sink, void *user) {
  Reporter reporter(sink, user);
  if (!request || request->structSize < sizeof(FourfoldEvaluateRequest) || !request->text)
    return reporter.fail("evaluate request is incomplete: expects text and the size of the struct");
  Session session;
  if (!session.open({request->text, request->textSize}, asString(request->fileName), asString(request->function),
                    asStrings(request->absent, request->numAbsent), reporter))
    return 1;
  for (const UncheckedValue &value : uncheckedValues(session.spec.function)) {
    if (value.isResult && !request->intermediates)
      return reporter.fail("result '" + value.name + "' cannot be evaluated: " + value.reason + "; run the spec on a device");
    reporter.send("unchecked", value.name + "\t" + value.reason);
  }
  auto emit = [&](const char *part, const FourfoldHostTensor &tensor, const float *bound) {
    tensors(user, part, &tensor, bound);
  };
  if (failed(evaluate(session.spec.function, {request->inputs, request->numInputs}, request->intermediates != 0, emit,
                      /*anyOrder=*/asString(request->mode) == modeName(MatmulMode::Fast)))) {
    session.reportErrors(reporter, "the spec cannot be evaluated");
    return 1;
  }
  return 0;
}

int32_t link(const FourfoldLinkRequest *request, FourfoldSink sink, void *user) {
  Reporter reporter(sink, user);
  if (!request || request->structSize < sizeof(FourfoldLinkRequest) || !request->specs[0].text ||
      !request->specs[1].text || !request->specs[2].text)
    return reporter.fail("link request is incomplete: expects three texts and the size of the struct");
  Session session;
  std::vector<RecipeSource> sources;
  for (const auto &spec : request->specs)
    sources.push_back({std::string(spec.text, spec.textSize), asString(spec.fileName)});
  FailureOr<ParsedSpec> linked = linkRecipe(sources, asStrings(request->absent, request->numAbsent),
                                            request->distributed != 0, *session.context);
  if (failed(linked)) {
    session.reportErrors(reporter, "the recipe cannot be linked");
    return 1;
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  // With locations: what is wrong further down is reported where the user wrote it.
  linked->module->print(stream, OpPrintingFlags().enableDebugInfo());
  stream << "\n";
  reporter.send("spec", text);
  return 0;
}

int32_t hostPrepare(const FourfoldCompileRequest *request, FourfoldHostProgram **program, FourfoldSink sink, void *user) {
  Reporter reporter(sink, user);
  if (!request || request->structSize < sizeof(FourfoldCompileRequest) || !request->text || !program)
    return reporter.fail("prepare request is incomplete: expects text and the size of the struct");
  Session session;
  if (!session.open({request->text, request->textSize}, asString(request->fileName), asString(request->function),
                    asStrings(request->absent, request->numAbsent), reporter))
    return 1;
  FailureOr<std::shared_ptr<const host::Program>> lowered = host::lowerToHost(session.spec.function);
  if (failed(lowered)) {
    session.reportErrors(reporter, "the spec cannot be prepared");
    return 1;
  }
  return host::apiAdopt(std::move(*lowered), program, sink, user);
}

int32_t listTargets(FourfoldSink sink, void *user) {
  Reporter reporter(sink, user);
  for (const TargetStatus &status : targetStatuses())
    reporter.send("target", (status.name + "\t" + (status.supported ? "yes" : "no") + "\t" + status.reason).str());
  return 0;
}

} // namespace

} // namespace compiler
} // namespace fourfold

/// In a section of its own: who has the file knows the version without loading it.
__attribute__((section(FOURFOLD_NOTE_SECTION))) static const fourfold::CompilerNote kNote = {
    {'F', 'O', 'U', 'R', 'F', 'O', 'L', 'D'}, FOURFOLD_COMPILER_ABI, "fourfold 0.1.0, LLVM " LLVM_VERSION_STRING};

extern "C" __attribute__((visibility("default"))) const FourfoldCompilerApi *fourfoldCompilerApi(void) {
  static const FourfoldCompilerApi api = {FOURFOLD_COMPILER_ABI, kNote.version,
                                          fourfold::compiler::compile, fourfold::compiler::evaluateSpec,
                                          fourfold::compiler::listTargets, fourfold::compiler::link,
                                          fourfold::compiler::hostPrepare, fourfold::host::apiRelease,
                                          fourfold::host::apiCreate, fourfold::host::apiDestroy,
                                          fourfold::host::apiReset, fourfold::host::apiBytesHeld,
                                          fourfold::host::apiRun};
  return &api;
}
