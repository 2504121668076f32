// What a kernel costs that is not there yet: compiled anew, found on disk by a new process, found loaded in this one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"
#include "runtime/jit/Cubin.h"
#include "runtime/jit/SplitPtx.h"
#include "runtime/npy/Npy.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <cstdio>
#include <filesystem>
#include <functional>

using namespace fourfold;
namespace fs = std::filesystem;

namespace {

/// The benchmark's own, removed at exit.
std::string cacheFolder;

double milliseconds(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void check(const Status &status) {
  if (status.ok())
    return;
  std::fprintf(stderr, "fourfold-jit-bench: error: %s\n", status.message().c_str());
  std::exit(1);
}

/// Milliseconds of processor that this process and its threads used: on a busy machine the better measure.
double processorMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

/// "averis/linear_forward.mlir" of any path.
std::string shortName(const std::string &path) {
  fs::path full = fs::absolute(path);
  return (full.parent_path().filename() / full.filename()).string();
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Spec readSpec(const std::string &path) {
  Spec spec;
  spec.fileName = path;
  check(readFile(path, &spec.text));
  spec.absent.clear();
  return spec;
}

/// The slowest of what was measured.
struct Worst {
  double spec = 0, kernel = 0, kernelLeast = 0;
  std::string specName, kernelName;
};

/// Milliseconds from PTX to machine code; about none where there is no CUDA toolkit to do it.
double assemble(const std::string &ptx, const std::string &target) {
  Status assembled;
  std::vector<uint8_t> cubin;
  double time = milliseconds([&] { assembled = assembleCubin(ptx, target, &cubin); });
  if (assembled.code() != StatusCode::NotFound)
    check(assembled);
  return time;
}

/// One kernel from the spec's text to machine code, by name: medians, and the least of the whole, which others on the machine disturbed least.
struct KernelTime {
  std::string name;
  double toPtx = 0, toCubin = 0, all = 0, least = 0;
};

KernelTime kernelAlone(const Compiler &compiler, const Spec &spec, const std::string &target, const std::string &name, int repeat) {
  std::vector<double> compile, assembled, all;
  for (int i = 0; i < repeat; ++i) {
    std::string ptx;
    compile.push_back(milliseconds([&] { check(compiler.emit(spec, target, "ptx", &ptx, nullptr, name)); }));
    assembled.push_back(assemble(ptx, target));
    all.push_back(compile.back() + assembled.back());
  }
  return {name, median(compile), median(assembled), median(all), *std::min_element(all.begin(), all.end())};
}

/// A spec whole, its kernels on all cores, then each of them alone: from the text, on one core, with nothing left of a call before.
void cold(const std::string &path, const std::string &target, int repeat, Worst *worst) {
  setenv("FOURFOLD_CACHE", "off", 1);
  Compiler compiler;
  check(Compiler::open(&compiler));
  check(compiler.load());
  Spec spec = readSpec(path);
  check(compiler.leaveOut(&spec, {}));
  std::vector<double> compile, assembled, all, processor;
  CompiledSpec compiled;
  CachedTexts cubins;
  for (int i = 0; i < repeat; ++i) {
    double start = processorMilliseconds();
    compile.push_back(milliseconds([&] { check(compiler.compile(spec, target, &compiled)); }));
    Status linked;
    assembled.push_back(milliseconds([&] { linked = linkCubins(compiled.ptx, target, &cubins); }));
    if (linked.code() != StatusCode::NotFound)
      check(linked);
    all.push_back(compile.back() + assembled.back());
    processor.push_back(processorMilliseconds() - start);
  }
  KernelTime largest;
  std::vector<KernelPtx> kernels = splitKernels(compiled.ptx);
  for (const KernelPtx &kernel : kernels)
    if (KernelTime time = kernelAlone(compiler, spec, target, kernel.name, 1); time.all > largest.all)
      largest = time;
  largest = kernelAlone(compiler, spec, target, largest.name, repeat);
  if (median(all) > worst->spec)
    worst->spec = median(all), worst->specName = shortName(path);
  if (largest.all > worst->kernel)
    worst->kernel = largest.all, worst->kernelLeast = largest.least, worst->kernelName = largest.name;
  std::printf("cold  %-48s spec to PTX %7.1f ms, PTX to cubin %7.1f ms, together %7.1f ms; processor %7.1f ms, %zu kernels\n", shortName(path).c_str(),
              median(compile), median(assembled), median(all), median(processor), kernels.size());
  std::printf("cold  %-48s   largest kernel alone: spec to PTX %7.1f ms, PTX to cubin %7.1f ms, together %7.1f ms (least %.1f); %s\n", "",
              largest.toPtx, largest.toCubin, largest.all, largest.least, largest.name.c_str());
  unsetenv("FOURFOLD_CACHE");
}

struct Times {
  double open, lookup, load, launch;
};

/// What a new process does from spec text to a launch, in steps.
Times firstUse(const std::string &path, const std::string &deviceName) {
  Times times;
  Device device;
  Compiler compiler;
  Executable executable;
  check(Device::open(deviceName, &device));
  Spec spec = readSpec(path);
  CompiledSpec compiled;
  times.open = milliseconds([&] { check(Compiler::open(&compiler)); });
  times.lookup = milliseconds([&] {
    check(compiler.leaveOut(&spec, {}));
    check(compiler.compile(spec, device.target(), &compiled));
  });
  times.load = milliseconds([&] { check(Executable::load(device, compiled.manifest, compiled.ptx, &executable)); });
  // The smallest shapes: what the launches compute is not the question.
  std::vector<std::vector<int64_t>> shapes;
  std::vector<uint64_t> inputs, outputs;
  for (const Parameter &input : executable.inputs()) {
    std::vector<int64_t> shape;
    for (const std::string &extent : input.shape)
      shape.push_back(extent[0] == 'd' ? 32 : std::stoll(extent));
    shapes.push_back(shape);
  }
  Binding binding;
  LaunchBuffers buffers;
  auto allocate = [&](uint64_t bytes) {
    uint64_t address;
    check(allocateMemory(device, bytes, &address));
    check(clearMemory(device, address, bytes));
    return address;
  };
  check(executable.bind(shapes, &binding));
  for (size_t i = 0; i < executable.inputs().size(); ++i)
    inputs.push_back(allocate(binding.inputBytes(i)));
  for (size_t i = 0; i < executable.outputs().size(); ++i)
    outputs.push_back(allocate(binding.outputBytes(i)));
  buffers.inputs = inputs.data();
  buffers.outputs = outputs.data();
  buffers.workspace = allocate(binding.workspaceBytes());
  times.launch = milliseconds([&] { check(executable.launch(binding, buffers)); });
  check(synchronize(device));
  return times;
}

/// The same in a process of its own, so that nothing is in memory.
Times inNewProcess(const std::string &path, const std::string &device) {
  int ends[2];
  Times times = {};
  if (pipe(ends) != 0)
    std::exit(1);
  pid_t child = fork();
  if (child == 0) {
    Times measured = firstUse(path, device);
    _exit(write(ends[1], &measured, sizeof(measured)) == sizeof(measured) ? 0 : 1);
  }
  int status = 1;
  close(ends[1]); // or the end of a child that failed would not be seen
  bool received = read(ends[0], &times, sizeof(times)) == sizeof(times);
  waitpid(child, &status, 0);
  close(ends[0]);
  if (!received || status != 0)
    std::exit(1);
  return times;
}

void warm(const std::string &path, const std::string &device, int repeat) {
  std::vector<double> open, lookup, load, launch, all;
  inNewProcess(path, device); // compiles
  for (int i = 0; i < repeat; ++i) {
    Times times = inNewProcess(path, device);
    open.push_back(times.open);
    lookup.push_back(times.lookup);
    load.push_back(times.load);
    launch.push_back(times.launch);
    all.push_back(times.open + times.lookup + times.load + times.launch);
  }
  std::printf("warm  %-48s open %5.2f ms, from disk %5.2f ms, load on %s %6.2f ms, launches %6.2f ms, together %6.2f ms\n",
              shortName(path).c_str(), median(open),
              median(lookup), device.c_str(), median(load), median(launch), median(all));
}

void lookups(const std::string &path, const std::string &deviceName) {
  constexpr int kTimes = 20000;
  Device device;
  Compiler compiler;
  Executable executable, again;
  check(Device::open(deviceName, &device));
  check(Compiler::open(&compiler));
  Spec spec = readSpec(path);
  check(compiler.leaveOut(&spec, {}));
  check(Executable::compile(device, compiler, spec, &executable));
  double time = milliseconds([&] {
    for (int i = 0; i < kTimes; ++i)
      check(Executable::compile(device, compiler, spec, &again));
  });
  std::printf("lookup %-47s %.3f us in process (spec of %zu bytes)\n",
              shortName(path).c_str(), time * 1000 / kTimes,
              spec.text.size());
}

} // namespace

int main(int argc, char **argv) {
  std::string device = "emulated:sm_120a", target = "sm_120a";
  std::vector<std::string> specs;
  int repeat = 5;
  CLI::App app("Times of the compiler and its cache; one line a measurement. Uses a cache of its own.");
  app.add_option("--device", device, "Where kernels are loaded and launched")->capture_default_str();
  app.add_option("--target", target, "What is compiled for in the cold measurement")->capture_default_str();
  app.add_option("--repeat", repeat, "Measurements, of which the median is printed")->capture_default_str();
  app.add_option("specs", specs, "Specs to measure; all recipes' unless given")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  if (specs.empty())
    for (const auto &entry : fs::recursive_directory_iterator(FOURFOLD_SOURCE_DIR "/kernels_spec"))
      if (entry.path().extension() == ".mlir" && entry.path().parent_path().filename() != "bf16")
        specs.push_back(entry.path().string());
  std::sort(specs.begin(), specs.end());
  cacheFolder = (fs::temp_directory_path() / "fourfold-jit-bench-XXXXXX").string();
  if (!mkdtemp(cacheFolder.data())) {
    std::perror("fourfold-jit-bench: error: cannot make a folder for its cache");
    return 1;
  }
  std::atexit([] { fs::remove_all(cacheFolder); });
  setenv("FOURFOLD_CACHE_DIR", cacheFolder.c_str(), 1);
  unsetenv("FOURFOLD_CACHE"); // it is the cache that is measured
  Worst worst;
  // Before anything loads the plug-in into this process, which new ones would inherit.
  for (const std::string &spec : specs)
    warm(spec, device, repeat);
  for (const std::string &spec : specs)
    lookups(spec, device);
  for (const std::string &spec : specs)
    cold(spec, target, repeat, &worst);
  std::printf("worst cold time from spec to cubin: %.1f ms for all kernels of %s; %.1f ms (least %.1f) for the largest kernel, %s\n", worst.spec,
              worst.specName.c_str(), worst.kernel, worst.kernelLeast, worst.kernelName.c_str());
  return 0;
}
