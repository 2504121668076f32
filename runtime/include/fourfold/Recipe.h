// Recipes: folders of specs that say how a linear layer is computed, forward and backward.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RECIPE_H
#define FOURFOLD_RECIPE_H

#include "fourfold/Compiler.h"

namespace fourfold {

/// The optional parts that a layer of a recipe is compiled with.
struct RecipeOptions {
  /// Arguments bias, mask and dw_in; the result db comes with the bias.
  bool bias = false;
  bool mask = false;
  bool accumulate = false;
  /// Statistics are reduced over ranks.
  bool distributed = false;
  /// As `Spec::mode`.
  std::string mode;
};

/// A recipe that was found.
struct RecipeInfo {
  std::string name;
  std::string folder;
};

/// The recipes that can be named, sorted; of several folders with one name the first that is looked in counts.
FOURFOLD_API std::vector<RecipeInfo> listRecipes();
/// The folder of a recipe. A name with a slash in it is the folder itself; others are looked for in the folders of
/// FOURFOLD_RECIPES (separated by colons), then in share/fourfold/recipes next to this library's or the executable's folder.
FOURFOLD_API Status findRecipe(const std::string &nameOrFolder, std::string *folder);
/// Reads a recipe's three specs, which `Compiler::link` makes one.
FOURFOLD_API Status readRecipe(const std::string &nameOrFolder, const RecipeOptions &options, Recipe *recipe);

} // namespace fourfold

#endif // FOURFOLD_RECIPE_H
