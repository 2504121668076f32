// The fourfold tool: compiles specs, runs and checks them, says what is installed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/npy/Npy.h"
#include "runtime/tools/Commands.h"

#include <cstdio>

namespace fourfold {
namespace tools {

int fail(const std::string &message) {
  // Diagnostics of the compiler begin with file:line:column.
  bool located = message.find(": error: ") != std::string::npos;
  std::fprintf(stderr, "%s%s\n", located ? "" : "fourfold: error: ", message.c_str());
  return kFailure;
}

void warn(const std::string &text) {
  if (!text.empty())
    std::fprintf(stderr, "%s%s", text.c_str(), text.back() == '\n' ? "" : "\n");
}

Status readSpec(const std::string &path, const std::string &function, Spec *spec) {
  spec->fileName = path == "-" ? "<stdin>" : path;
  spec->function = function;
  return readFile(path, &spec->text);
}

} // namespace tools
} // namespace fourfold

int main(int argc, char **argv) {
  using namespace fourfold::tools;
  CLI::App app("Fourfold compiles fusion specs to FP4 kernels, and runs them on a GPU or on the emulated device.\n");
  app.set_version_flag("--version", "fourfold 0.1.0");
  app.require_subcommand(1);
  app.footer("Exit status: 0 success; 1 bad input, a failed run or a failed --check; 2 wrong usage.\n"
             "Each command has its own help with examples: fourfold run --help");
  int result = kSuccess;
  addCompileCommand(app, &result);
  addRunCommand(app, &result);
  addRecipesCommand(app, &result);
  addCacheCommand(app, &result);
  addDoctorCommand(app, &result);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // CLI11 says that a command is missing where the first word is not one.
    if (std::string word = argc > 1 ? argv[1] : "-"; word[0] != '-' && app.get_subcommands().empty()) {
      std::fprintf(stderr, "fourfold: error: there is no command '%s'; there are", word.c_str());
      for (const CLI::App *command : app.get_subcommands({}))
        std::fprintf(stderr, " %s", command->get_name().c_str());
      std::fputs("; fourfold --help says what they do\n", stderr);
      return kUsage;
    }
    return app.exit(error) == 0 ? kSuccess : kUsage;
  } catch (const std::exception &error) {
    return fail(error.what());
  }
  return result;
}
