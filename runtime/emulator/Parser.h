// PTX text into functions and statements, names resolved.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_PARSER_H
#define FOURFOLD_RUNTIME_EMULATOR_PARSER_H

#include "Ast.h"

#include <string_view>

namespace fourfold {
namespace emulator {

/// Parses a module. Throws LoadError; nothing is skipped but debug information and performance hints.
ModuleAst parseModule(std::string_view source);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_PARSER_H
