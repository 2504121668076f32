// Where a command's spec comes from: a file, or a recipe whose specs are linked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_SPECSOURCE_H
#define FOURFOLD_RUNTIME_TOOLS_SPECSOURCE_H

#include "runtime/tools/Commands.h"

namespace fourfold {
namespace tools {

/// What the command line says.
struct SpecSource {
  std::string spec, recipe, function, mode;
};

/// Adds the spec and --recipe, one of which must be given, --function and --mode.
void addSourceOptions(CLI::App *command, SpecSource *source);

/// Reads what can be read without compiling: the spec, bytecode as text, or whether the recipe exists. Call it before there are threads.
Status readSource(const SpecSource &source, Spec *spec);
/// Makes it one spec with the optional arguments that are `present`; a recipe's specs are linked.
Status completeSource(const SpecSource &source, const Compiler &compiler, const std::vector<std::string> &present,
                      bool distributed, Spec *spec);

} // namespace tools
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_SPECSOURCE_H
