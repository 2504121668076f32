// Parameters and return values in registers: `.func (.reg .b32 r) f (.reg .b32 a)` and `call (%r1), f, (%r2)`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_REGISTERPARAMETERS_H
#define FOURFOLD_RUNTIME_EMULATOR_REGISTERPARAMETERS_H

#include "Ast.h"

namespace fourfold {
namespace emulator {

/// Rewrites them into `.param` variables with loads and stores, so that there is one kind of parameter below.
void passRegisters(ModuleAst &module);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_REGISTERPARAMETERS_H
