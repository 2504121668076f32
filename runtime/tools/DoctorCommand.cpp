// fourfold doctor: what is installed, and what each missing piece would enable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/device/CudaDriver.h"
#include "runtime/jit/Cubin.h"
#include "runtime/tools/Commands.h"

#include <fmt/format.h>

#include <cstdio>

namespace fourfold {
namespace tools {

static void line(const char *what, bool found, const std::string &text) {
  std::fputs(fmt::format("{:<10} {:<8} {}\n", what, found ? "found" : "missing", text).c_str(), stdout);
}

static int doctor() {
  Compiler compiler;
  Status opened = Compiler::open(&compiler);
  line("compiler", opened.ok(),
       opened.ok() ? fmt::format("{} ({})", compiler.version(), compiler.path())
                   : "compiles specs and evaluates them for --check: " + opened.message());
  std::vector<TargetInfo> targets;
  if (opened.ok())
    if (Status status = compiler.targets(&targets); !status.ok())
      return fail(status);
  for (const TargetInfo &target : targets)
    std::fputs(fmt::format("  target {:<10} {}{}\n", target.name, target.supported ? "yes" : "no",
                           target.reason.empty() ? "" : ": " + target.reason)
                   .c_str(),
               stdout);

  CudaTools tools = findCudaTools();
  line("nvJitLink", !tools.nvJitLink.empty(),
       tools.nvJitLink.empty()
           ? "assembles machine code in process (--emit cubin): install CUDA's libnvjitlink, or set CUDA_HOME"
           : fmt::format("{} ({})", tools.nvJitLinkVersion, tools.nvJitLink));
  line("ptxas", !tools.ptxas.empty(),
       tools.ptxas.empty()
           ? "assembles machine code where nvJitLink is missing: install CUDA's nvcc package, or set CUDA_HOME"
           : fmt::format("{} ({})", tools.ptxasVersion, tools.ptxas));
  std::string whyNot;
  const device::DriverTable *driver = device::cudaDriver(&whyNot);
  int version = 0;
  if (driver)
    driver->driverGetVersion(&version);
  line("driver", driver != nullptr,
       driver ? fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10)
              : fmt::format("runs kernels on a GPU ({}); the emulated device runs them without one", whyNot));
  for (const std::string &name : Device::list()) {
    Device device;
    Status status = Device::open(name, &device);
    line("device", status.ok(),
         status.ok() ? fmt::format("{:<18} {} ({})", name, device.description(), device.target()) : status.message());
  }
  // Without the compiler nothing can be compiled or run; all the rest is optional.
  return opened.ok() ? kSuccess : kFailure;
}

void addDoctorCommand(CLI::App &app, int *result) {
  CLI::App *command = app.add_subcommand("doctor", "Say what is installed and what each missing piece would enable");
  command->footer("Example:\n  fourfold doctor\n\n"
                  "Exit status: 0 if the compiler was found, 1 if not; everything else is optional.");
  command->callback([result] { *result = doctor(); });
}

} // namespace tools
} // namespace fourfold
