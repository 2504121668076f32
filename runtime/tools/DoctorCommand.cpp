// fourfold doctor: what is installed, and what each missing piece would enable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/device/CudaDriver.h"
#include "runtime/device/DeviceImpl.h"
#include "runtime/device/PtxVersion.h"
#include "runtime/jit/Cubin.h"
#include "runtime/tools/Commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace fourfold {
namespace tools {

static void line(const char *what, bool found, const std::string &text) {
  std::fputs(fmt::format("{:<10} {:<8} {}\n", what, found ? "found" : "missing", text).c_str(), stdout);
}

/// The driver, the newest PTX it takes, and each GPU with its memory.
static void describeDriver() {
  std::string whyNot;
  const device::DriverTable *driver = device::cudaDriver(&whyNot);
  int version = 0;
  if (driver)
    driver->driverGetVersion(&version);
  line("driver", driver != nullptr,
       driver ? fmt::format("for CUDA {}, takes PTX up to {}", device::versionText(version), device::ptxForCuda(version))
              : fmt::format("runs kernels on a GPU ({}); the emulated device runs them without one", whyNot));
}

static void describeDevices(const std::vector<std::string> &supported) {
  for (const std::string &name : Device::list()) {
    Device device;
    Status status = Device::open(name, &device);
    std::string text = status.message();
    if (status.ok())
      text = fmt::format("{:<18} {} ({})", name, device.description(), device.target());
    if (status.ok() && !device.isEmulated()) {
      const Device::Impl &impl = *DeviceAccess::of(device);
      CurrentContext current(impl);
      size_t free = 0, total = 0;
      if (impl.driver->memGetInfo(&free, &total) == device::kSuccess)
        text += fmt::format(", {} of {} MiB free", free >> 20, total >> 20);
    }
    if (status.ok() && std::find(supported.begin(), supported.end(), device.target()) == supported.end())
      text += ": the compiler has no kernels for it";
    line("device", status.ok(), text);
  }
  Device device;
  if (Status status = Device::openAuto(supported, &device); !status.ok())
    line("auto", false, status.message());
  else
    line("auto", true, device.choice());
}

static void describeCache() {
  CacheSettings settings = CacheSettings::fromEnvironment();
  std::vector<CacheFile> files = DiskCache(settings).list();
  uint64_t bytes = 0;
  for (const CacheFile &file : files)
    bytes += file.bytes;
  std::string state = !settings.memory ? "off (FOURFOLD_CACHE)"
                      : !settings.disk ? "in memory only"
                                       : fmt::format("{} entries, {} bytes of at most {} in {}", files.size(), bytes,
                                                     settings.maxBytes, settings.folder);
  std::string problem = settings.problem.empty() && settings.disk ? DiskCache(settings).probe() : settings.problem;
  line("cache", settings.disk && problem.empty(), problem.empty() ? state : state + ": " + problem);
}

static int doctor() {
  Compiler compiler;
  Status opened = Compiler::open(&compiler);
  // Opening alone does not load it.
  if (opened.ok())
    opened = compiler.load();
  line("compiler", opened.ok(),
       opened.ok() ? fmt::format("{} ({})", compiler.version(), compiler.path())
                   : "compiles specs and evaluates them for --check: " + opened.message());
  std::vector<TargetInfo> targets;
  std::vector<std::string> supported;
  if (opened.ok())
    if (Status status = compiler.targets(&targets); !status.ok())
      return fail(status);
  for (const TargetInfo &target : targets) {
    std::fputs(fmt::format("  target {:<10} {}{}\n", target.name, target.supported ? "yes" : "no",
                           target.reason.empty() ? "" : ": " + target.reason)
                   .c_str(),
               stdout);
    if (target.supported)
      supported.push_back(target.name);
  }

  CudaTools tools = findCudaTools();
  line("nvJitLink", !tools.nvJitLink.empty(),
       tools.nvJitLink.empty()
           ? "assembles machine code in process, for --emit cubin and for GPUs: install CUDA's libnvjitlink, or set CUDA_HOME"
           : fmt::format("{} ({})", tools.nvJitLinkVersion, tools.nvJitLink));
  line("ptxas", !tools.ptxas.empty(),
       tools.ptxas.empty()
           ? "assembles machine code where nvJitLink is missing: install CUDA's nvcc package, or set CUDA_HOME"
           : fmt::format("{} ({})", tools.ptxasVersion, tools.ptxas));
  describeDriver();
  describeDevices(supported);
  describeCache();
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
