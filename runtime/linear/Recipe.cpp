// Finds recipes by name and reads them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Recipe.h"

#include "runtime/core/Environment.h"
#include "runtime/npy/Npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>

namespace fourfold {

namespace fs = std::filesystem;

/// The passes of a recipe, a file each.
static constexpr const char *kPasses[] = {"linear_forward.mlir", "linear_dgrad.mlir", "linear_wgrad.mlir"};

/// The folders that hold recipes, in the order they are looked in; not all need exist.
static std::vector<std::string> recipeFolders() {
  std::vector<std::string> folders;
  std::string listed = environment::recipeFolders();
  for (size_t start = 0; start < listed.size();) {
    size_t end = std::min(listed.find(':', start), listed.size());
    if (end > start)
      folders.push_back(listed.substr(start, end - start));
    start = end + 1;
  }
  std::error_code error;
  fs::path executable = fs::read_symlink("/proc/self/exe", error);
  Dl_info info;
  std::vector<fs::path> prefixes;
  // This library's prefix first, as for the compiler plug-in.
  if (dladdr(reinterpret_cast<void *>(&recipeFolders), &info) && info.dli_fname) {
    fs::path library = fs::canonical(info.dli_fname, error);
    if (!error)
      prefixes.push_back(library.parent_path().parent_path());
  }
  if (!executable.empty())
    prefixes.push_back(executable.parent_path().parent_path());
  for (const fs::path &prefix : prefixes) {
    std::string folder = (prefix / "share" / "fourfold" / "recipes").string();
    if (std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  }
  return folders;
}

static bool isRecipe(const fs::path &folder) {
  std::error_code error;
  return std::all_of(std::begin(kPasses), std::end(kPasses),
                     [&](const char *pass) { return fs::is_regular_file(folder / pass, error); });
}

std::vector<RecipeInfo> listRecipes() {
  std::vector<RecipeInfo> recipes;
  for (const std::string &folder : recipeFolders()) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      RecipeInfo info{it->path().filename().string(), it->path().string()};
      bool known = std::any_of(recipes.begin(), recipes.end(),
                               [&](const RecipeInfo &other) { return other.name == info.name; });
      if (!known && isRecipe(it->path()))
        recipes.push_back(std::move(info));
    }
  }
  std::sort(recipes.begin(), recipes.end(), [](const auto &a, const auto &b) { return a.name < b.name; });
  return recipes;
}

Status findRecipe(const std::string &name, std::string *folder) {
  if (name.find('/') != std::string::npos) {
    if (isRecipe(name)) {
      *folder = name;
      return {};
    }
    return {StatusCode::NotFound, fmt::format("'{}' is not the folder of a recipe: it must have the files {}", name,
                                              fmt::join(kPasses, ", "))};
  }
  for (const std::string &candidate : recipeFolders())
    if (!name.empty() && isRecipe(fs::path(candidate) / name)) {
      *folder = (fs::path(candidate) / name).string();
      return {};
    }
  std::vector<std::string> names;
  for (const RecipeInfo &recipe : listRecipes())
    names.push_back(recipe.name);
  return {StatusCode::NotFound,
          fmt::format("there is no recipe '{}'; {}; looked in {}; set FOURFOLD_RECIPES to the folder that holds "
                      "recipes, or give a recipe's own folder with a slash in it",
                      name, names.empty() ? "none was found" : fmt::format("there are {}", fmt::join(names, ", ")),
                      fmt::join(recipeFolders(), ", "))};
}

Status readRecipe(const std::string &name, const RecipeOptions &options, Recipe *recipe) {
  std::string folder;
  if (Status status = findRecipe(name, &folder); !status.ok())
    return status;
  *recipe = Recipe();
  Spec *specs[] = {&recipe->forward, &recipe->dgrad, &recipe->wgrad};
  for (size_t i = 0; i < 3; ++i) {
    specs[i]->fileName = (fs::path(folder) / kPasses[i]).string();
    if (Status status = readFile(specs[i]->fileName, &specs[i]->text); !status.ok())
      return status;
  }
  if (!options.bias)
    recipe->absent = {"bias", "db"};
  if (!options.mask)
    recipe->absent.push_back("mask");
  if (!options.accumulate)
    recipe->absent.push_back("dw_in");
  recipe->distributed = options.distributed;
  recipe->mode = options.mode;
  return {};
}

} // namespace fourfold
