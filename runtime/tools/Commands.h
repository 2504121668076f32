// The commands of the fourfold tool.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_COMMANDS_H
#define FOURFOLD_RUNTIME_TOOLS_COMMANDS_H

#include <CLI/CLI.hpp>

#include "fourfold/Fourfold.h"

namespace fourfold {
namespace tools {

/// Exit statuses of the tool. Usage errors, such as an unknown flag, are 2.
enum ExitStatus { kSuccess = 0, kFailure = 1, kUsage = 2 };

/// Prints "fourfold: error: ..." unless the message already names a place, and returns kFailure.
int fail(const std::string &message);
inline int fail(const Status &status) { return fail(status.message()); }

/// Prints warnings to the standard error.
void warn(const std::string &text);

/// Reads a spec from a file, or from the standard input for "-".
Status readSpec(const std::string &path, const std::string &function, Spec *spec);

/// Each adds a subcommand whose exit status lands in `*result`.
void addCompileCommand(CLI::App &app, int *result);
void addRunCommand(CLI::App &app, int *result);
void addRecipesCommand(CLI::App &app, int *result);
void addDoctorCommand(CLI::App &app, int *result);
void addCacheCommand(CLI::App &app, int *result);

} // namespace tools
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_COMMANDS_H
