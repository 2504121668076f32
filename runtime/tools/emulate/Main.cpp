// fourfold-emulate: runs a kernel of a PTX file on the emulated device, and says what is wrong with it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/emulate/Session.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

using namespace fourfold;
using namespace fourfold::emulate;

namespace {

enum ExitStatus { kSuccess = 0, kFinding = 1, kUsage = 2 };

/// "X", "X,Y" or "X,Y,Z".
bool parseDimensions(const std::string &text, unsigned *sizes) {
  char tail = 0;
  int count = std::sscanf(text.c_str(), "%u,%u,%u%c", &sizes[0], &sizes[1], &sizes[2], &tail);
  size_t commas = static_cast<size_t>(std::count(text.begin(), text.end(), ','));
  return count >= 1 && count <= 3 && static_cast<size_t>(count) == commas + 1 && text.find('-') == std::string::npos;
}

std::string dimensions(const std::string &text) {
  unsigned sizes[3] = {};
  return parseDimensions(text, sizes) ? "" : "'" + text + "' is not X, X,Y or X,Y,Z";
}

int fail(int status, const std::string &message) {
  std::fprintf(stderr, "fourfold-emulate: %s: %s\n", status == kFinding ? "finding" : "error", message.c_str());
  return status;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Runs a kernel of a PTX file without a GPU and checks every access, barrier and asynchronous copy.\n");
  app.set_version_flag("--version", "fourfold-emulate 0.1.0");
  LaunchRequest request;
  std::string path, grid = "1", block = "32", cluster, check = "full", order = "ascending";
  std::vector<std::string> arguments;
  std::string profile, gpuName;
  bool list = false, checkOnly = false, json = false;
  app.add_option("ptx", path, "PTX file; - reads the standard input")->required();
  app.add_option("--kernel", request.kernel, "Kernel; may be left out where the file has one");
  app.add_option("--grid", grid, "Blocks: X, X,Y or X,Y,Z")->capture_default_str()->check(dimensions);
  app.add_option("--block", block, "Threads of a block: X, X,Y or X,Y,Z")->capture_default_str()->check(dimensions);
  app.add_option("--cluster", cluster, "Blocks of a cluster: X, X,Y or X,Y,Z; default: what the kernel requires")->check(dimensions);
  app.add_flag("--cooperative", request.isCooperative, "All blocks run at once, as grid-wide barriers of cooperative groups need it");
  app.add_option("--shared", request.sharedBytes, "Bytes of dynamic shared memory")->capture_default_str();
  app.add_option("--arg", arguments, "An argument, see below; once for each parameter")->allow_extra_args(false);
  app.add_option("--device", request.target, "Emulated device: sm_80, sm_90a, sm_100a or sm_120a; default: what the PTX is for");
  app.add_option("--check", check, "none: bounds and alignment; fast: also initialisation and pending copies; full: also races")
      ->capture_default_str()
      ->check(CLI::IsMember({"none", "fast", "full"}));
  app.add_option("--threads", request.threads, "Host threads; 0: all")->capture_default_str()->check(CLI::Range(0, 1024));
  app.add_option("--budget", request.maxInstructions, "Warp instructions a block may execute; 0: no limit")->capture_default_str();
  app.add_option("--block-order", order, "In which order blocks start; with --threads 1 a result that changes with it depends on what no GPU promises")
      ->capture_default_str()
      ->check(CLI::IsMember({"ascending", "descending"}));
  CLI::Option *profiles =
      app.add_flag("--profile{table}", profile,
                   "Print what the kernel did: instructions, bytes, sectors, bank conflicts. --profile=json: as JSON, as --json alone")
          ->check(CLI::IsMember({"table", "json"}));
  app.add_option("--gpu", gpuName, "With --profile: the least time on this GPU, and what binds: " + model::gpuNames())->needs(profiles);
  app.add_flag("--json", json, "Print the profile as JSON");
  app.add_flag("--list", list, "List the kernels of the file and their parameters, and end");
  app.add_flag("--check-only", checkOnly, "Say of each kernel, or of that of --kernel, whether it can run and what is missing, and end");
  app.footer(std::string(argumentHelp) +
             "\n\nExamples:\n"
             "  nvcc -ptx -arch=sm_80 scale.cu && fourfold-emulate scale.ptx --list\n"
             "  fourfold-emulate scale.ptx --grid 4 --block 256 --arg in:x.npy --arg out:y.npy,f32,1000 --arg f32:2 --arg i32:1000\n"
             "  fourfold-emulate kernel.ptx --kernel reduce --grid 2,2 --block 32,8 --shared 4096 --arg zero:f32,64,sum.npy --profile\n\n"
             "Exit status: 0 the kernel ran and nothing is wrong with it; 1 a finding, on the standard error, and no file is written;\n"
             "2 wrong usage, unreadable files, PTX that cannot be loaded, a kernel with instructions that the device has not.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? kSuccess : kUsage;
  }
  parseDimensions(grid, request.grid);
  parseDimensions(block, request.block);
  if (!cluster.empty()) {
    std::fill_n(request.cluster, 3, 1u);
    parseDimensions(cluster, request.cluster);
  }
  request.checks = check == "none"   ? emulator::CheckLevel::None
                   : check == "fast" ? emulator::CheckLevel::Fast
                                     : emulator::CheckLevel::Full;
  request.order = order == "descending" ? emulator::BlockOrder::Descending : emulator::BlockOrder::Ascending;
  try {
    const model::Gpu *gpu = nullptr;
    if (!gpuName.empty())
      if (Status status = model::findGpu(gpuName, &gpu); !status.ok())
        return fail(kUsage, "--gpu: " + status.message());
    Session session;
    if (Status status = session.open(path, request.target); !status.ok())
      return fail(kUsage, status.message());
    if (std::string reason = gpu ? model::whyNot(*gpu, session.target()) : ""; !reason.empty())
      return fail(kUsage, "--gpu " + gpuName + ": " + reason);
    if (list) {
      std::fputs(session.kernelList().c_str(), stdout);
      return kSuccess;
    }
    if (checkOnly) {
      std::string text;
      bool canRun = false;
      if (Status status = session.check(request.kernel, &text, &canRun); !status.ok())
        return fail(kUsage, status.message());
      std::fputs(text.c_str(), stdout);
      return canRun ? kSuccess : kUsage;
    }
    request.arguments.resize(arguments.size());
    for (size_t i = 0; i < arguments.size(); ++i)
      if (Status status = parseArgument(arguments[i], &request.arguments[i]); !status.ok())
        return fail(kUsage, status.message());
    std::string finding;
    if (Status status = session.run(request, &finding); !status.ok())
      return fail(kUsage, status.message());
    if (!finding.empty())
      return fail(kFinding, finding);
    if (Status status = session.writeOutputs(request); !status.ok())
      return fail(kUsage, status.message());
    if (!profile.empty() || json) {
      std::string text;
      if (Status status = session.profile(gpu, json || profile == "json", &text); !status.ok())
        return fail(kUsage, status.message());
      std::fputs(text.c_str(), stdout);
    }
  } catch (const std::exception &error) {
    return fail(kUsage, error.what());
  }
  return kSuccess;
}
