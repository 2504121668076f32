// Where a command's spec comes from: a file, or a recipe whose specs are linked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/SpecSource.h"

#include "fourfold/Recipe.h"
#include "plan/ChildProcess.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {
namespace tools {

void addSourceOptions(CLI::App *command, SpecSource *source) {
  CLI::Option_group *group = command->add_option_group("Source", "One of these");
  group->add_option("spec", source->spec, "Spec: MLIR text or bytecode; - reads the standard input");
  group->add_option("--recipe", source->recipe,
                    "Recipe of a linear layer by name ('fourfold recipes' lists them) or folder, with a slash in it: "
                    "its forward, dgrad and wgrad as one spec");
  group->require_option(1);
  command->add_option("--function", source->function, "Function, where the spec has several");
  command
      ->add_option("--mode", source->mode,
                   "How targets without FP4 tensor cores (sm_80, sm_90a) sum products: fast (bf16 steps), or faithful (to the "
                   "bits of those that have them, several times slower); default fast")
      ->check(CLI::IsMember({"fast", "faithful"}));
}

/// Bytecode becomes text in a child process, which LLVM's reader may bring down: nothing of this one depends on its bytes.
static Status readBytecode(Spec *spec) {
  Compiler compiler;
  if (Status status = Compiler::open(&compiler); !status.ok())
    return status;
  std::string text;
  ChildEnd end = runInChild(
      [&](std::string *result) {
        Status status = compiler.emit(*spec, "", "text", result);
        if (!status.ok())
          *result = status.message();
        return status.ok();
      },
      &text);
  if (end == ChildEnd::Crash)
    return {StatusCode::CompileError,
            fmt::format("{}:1:1: error: the bytecode is damaged: its reader, a process of its own, {}", spec->fileName, text)};
  if (end == ChildEnd::Failure)
    return {StatusCode::CompileError, text};
  spec->text = std::move(text);
  return {};
}

Status readSource(const SpecSource &source, Spec *spec) {
  std::string folder;
  if (!source.recipe.empty())
    return findRecipe(source.recipe, &folder);
  if (Status status = readSpec(source.spec, source.function, spec); !status.ok())
    return status;
  // What MLIR bytecode begins with.
  return spec->text.compare(0, 4, "ML\xefR") == 0 ? readBytecode(spec) : Status();
}

Status completeSource(const SpecSource &source, const Compiler &compiler, const std::vector<std::string> &present,
                      bool distributed, Spec *spec) {
  if (source.recipe.empty()) {
    spec->mode = source.mode;
    return compiler.leaveOut(spec, present);
  }
  auto has = [&](const char *name) { return std::find(present.begin(), present.end(), name) != present.end(); };
  RecipeOptions options;
  options.bias = has("bias");
  options.mask = has("mask");
  options.accumulate = has("dw_in");
  options.distributed = distributed;
  options.mode = source.mode;
  Recipe recipe;
  if (Status status = readRecipe(source.recipe, options, &recipe); !status.ok())
    return status;
  return compiler.link(recipe, spec);
}

} // namespace tools
} // namespace fourfold
