// Constant expressions of integers (PTX ISA 4.5.4 to 4.5.6), as array extents, initialisers, offsets and immediates have them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_CONSTANTEXPRESSION_H
#define FOURFOLD_RUNTIME_EMULATOR_CONSTANTEXPRESSION_H

#include "Lexer.h"

#include <vector>

namespace fourfold {
namespace emulator {

/// Whether an expression of integers may start at the token: a literal, a sign or `~` or `!` before one, or a bracket around one.
bool startsConstant(const std::vector<Token> &tokens, size_t position);

/// Evaluates the longest expression at `position`, which is moved behind it. Throws LoadError.
int64_t parseConstant(const std::vector<Token> &tokens, size_t &position);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_CONSTANTEXPRESSION_H
