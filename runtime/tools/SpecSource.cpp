// Where a command's spec comes from: a file, or a recipe whose specs are linked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/SpecSource.h"

#include "fourfold/Recipe.h"

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

Status readSource(const SpecSource &source, Spec *spec) {
  std::string folder;
  return source.recipe.empty() ? readSpec(source.spec, source.function, spec) : findRecipe(source.recipe, &folder);
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
