// fourfold recipes: which recipes of linear layers can be named.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Recipe.h"
#include "runtime/tools/Commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace fourfold {
namespace tools {

static int recipes() {
  std::vector<RecipeInfo> list = listRecipes();
  size_t width = 0;
  for (const RecipeInfo &recipe : list)
    width = std::max(width, recipe.name.size());
  for (const RecipeInfo &recipe : list)
    fmt::print("{:<{}}  {}\n", recipe.name, width, recipe.folder);
  if (!list.empty())
    return kSuccess;
  std::string folder;
  return fail(findRecipe("", &folder)); // says where it looked
}

void addRecipesCommand(CLI::App &app, int *result) {
  CLI::App *command = app.add_subcommand("recipes", "List the recipes of linear layers");
  command->footer("A recipe is a folder with linear_forward.mlir, linear_dgrad.mlir and linear_wgrad.mlir. Folders that hold\n"
                  "recipes are those of FOURFOLD_RECIPES, separated by colons, then share/fourfold/recipes of this build or\n"
                  "installation.\n\n"
                  "Example:\n"
                  "  fourfold compile --recipe averis --emit plan\n\n"
                  "Exit status: 0 success; 1 there is none; 2 wrong usage.");
  command->callback([result] { *result = recipes(); });
}

} // namespace tools
} // namespace fourfold
