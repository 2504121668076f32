// fourfold compile: from a spec to any stage of the way to machine code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/Cubin.h"
#include "runtime/npy/Npy.h"
#include "runtime/tools/SpecSource.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace fourfold {
namespace tools {

namespace {

struct CompileOptions {
  SpecSource source;
  std::string target = "sm_120a", stage = "ptx", kernel, output = "-";
  std::vector<std::string> with;
  bool distributed = false;
};

constexpr const char *kStages[] = {"linked", "plan", "kernels", "llvm", "ptx", "manifest", "cubin"};

/// What only a recipe has, and what it has not.
Status checkRecipeOptions(const CompileOptions &options) {
  if (options.source.recipe.empty()) {
    if (options.stage == "linked" || options.distributed)
      return {StatusCode::InvalidArgument, fmt::format("{} needs --recipe: a single spec is not linked",
                                                       options.distributed ? "--distributed" : "--emit linked")};
    return {};
  }
  for (const std::string &name : options.with)
    if (name != "bias" && name != "mask" && name != "dw_in")
      return {StatusCode::InvalidArgument,
              fmt::format("unknown argument '{}' for --with: a recipe can have bias, mask, dw_in", name)};
  return {};
}

/// What is of all kernels, and not of one.
Status checkKernelOption(const CompileOptions &options) {
  if (!options.kernel.empty() && (options.stage == "linked" || options.stage == "plan" || options.stage == "manifest"))
    return {StatusCode::InvalidArgument,
            fmt::format("--kernel {} needs --emit kernels, llvm, ptx or cubin: {} is of all kernels", options.kernel, options.stage)};
  return {};
}

/// Produces the bytes of the stage asked for.
Status produce(const CompileOptions &options, std::string *bytes) {
  Spec spec;
  Compiler compiler;
  std::string warnings;
  if (Status status = checkRecipeOptions(options); !status.ok())
    return status;
  if (Status status = checkKernelOption(options); !status.ok())
    return status;
  if (Status status = readSource(options.source, &spec); !status.ok())
    return status;
  if (Status status = Compiler::open(&compiler); !status.ok())
    return status;
  if (Status status = completeSource(options.source, compiler, options.with, options.distributed, &spec); !status.ok())
    return status;
  if (options.stage == "linked") {
    *bytes = spec.text;
    return {};
  }
  if (options.stage == "plan" || options.stage == "kernels" || options.stage == "llvm") {
    Status status = compiler.emit(spec, options.target, options.stage, bytes, &warnings, options.kernel);
    warn(warnings);
    return status;
  }
  CompiledSpec compiled;
  if (Status status = options.kernel.empty() ? compiler.compile(spec, options.target, &compiled)
                                             : compiler.emit(spec, options.target, "ptx", &compiled.ptx, &compiled.warnings, options.kernel);
      !status.ok())
    return status;
  warn(compiled.warnings);
  if (options.stage != "cubin") {
    *bytes = options.stage == "ptx" ? compiled.ptx : compiled.manifest;
    return {};
  }
  std::vector<uint8_t> cubin;
  if (Status status = assembleCubin(compiled.ptx, options.target, &cubin); !status.ok())
    return status;
  bytes->assign(cubin.begin(), cubin.end());
  return {};
}

int compile(const CompileOptions &options) {
  bool toStdout = options.output == "-";
  if (std::find(std::begin(kStages), std::end(kStages), options.stage) == std::end(kStages))
    return fail(
        fmt::format("unknown stage '{}' for --emit: expected one of {}", options.stage, fmt::join(kStages, ", ")));
  if (options.stage == "cubin" && toStdout && isatty(STDOUT_FILENO))
    return fail("machine code is not for a terminal: write it to a file with -o FILE, or pipe it");
  if (!toStdout)
    if (Status status = checkWritable(options.output); !status.ok())
      return fail(status);
  std::string bytes;
  if (Status status = produce(options, &bytes); !status.ok())
    return fail(status);
  if (!toStdout) {
    Status status = writeFileAtomically(options.output, bytes);
    return status.ok() ? kSuccess : fail(status);
  }
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
    return fail("cannot write to the standard output");
  return kSuccess;
}

} // namespace

void addCompileCommand(CLI::App &app, int *result) {
  auto options = std::make_shared<CompileOptions>();
  CLI::App *command = app.add_subcommand("compile", "Compile a spec to a plan, to PTX or to machine code");
  addSourceOptions(command, &options->source);
  command->add_option("--target", options->target, "GPU to compile for; 'fourfold doctor' lists them")
      ->capture_default_str();
  command->add_option("--emit", options->stage, "Stage: linked (a recipe's one spec), plan, kernels, llvm, ptx, manifest or cubin")
      ->capture_default_str();
  command->add_option("--kernel", options->kernel, "Only this kernel, for --emit kernels, llvm, ptx or cubin; --emit plan has the names");
  command->add_option("-o,--output", options->output, "File to write; - is the standard output")->capture_default_str();
  command->add_flag("--distributed", options->distributed, "Of a recipe: statistics are reduced over ranks");
  command->add_option("--with", options->with, "Optional argument to compile for; the others are left out")->delimiter(',');
  command->footer(
      "Examples:\n"
      "  fourfold compile kernels_spec/averis/linear_forward.mlir --emit plan\n"
      "  fourfold compile spec.mlir --emit ptx | ptxas -arch=sm_120a -v - -o kernels.cubin\n"
      "  fourfold compile spec.mlir --emit cubin -o kernels.cubin\n"
      "  fourfold compile kernels_spec/nvfp4/linear_forward.mlir --kernel matmul_nvfp4_128x128_to_y --target sm_90a\n"
      "  fourfold compile --recipe averis --with bias,dw_in --emit linked\n\n"
      "--with for a recipe: bias (and the result db), mask, dw_in (dW is added to it).\n\n"
      "Exit status: 0 success; 1 the spec was rejected or a file cannot be read or written; 2 wrong usage.\n"
      "A file is written whole or not at all.");
  command->callback([options, result] { *result = compile(*options); });
}

} // namespace tools
} // namespace fourfold
