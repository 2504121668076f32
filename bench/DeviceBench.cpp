// One table a device: layer passes by recipe, quantization against the device's copy, products against cuBLAS and the tensor cores' peak.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All variants run interleaved, once a repetition, after one warm-up; values are medians. A fraction is that of a ceiling measured in the
// same run, or computed from the device's clock.

#include "bench/DeviceBench.h"

#include "bench/Cublas.h"
#include "bench/LinearStep.h"
#include "runtime/device/DeviceImpl.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>

namespace fourfold {
namespace bench {

using namespace device;

namespace {

struct Options {
  std::string device = "auto", json, root = FOURFOLD_SOURCE_DIR;
  int64_t tokens = 4096, features = 4096;
  int repetitions = 7;
};

/// A value a repetition; what it is measured against: the name of another measurement, or a number with its words.
struct Measurement {
  std::string name, unit;
  std::function<Status(double *value)> run;
  std::string ceilingOf = {};
  double ceiling = 0;
  std::string ceilingWords = {};
  std::vector<double> values = {};

  double quantile(double fraction) const {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<size_t>(fraction * static_cast<double>(sorted.size() - 1) + 0.5)];
  }
};

class DeviceBench {
public:
  explicit DeviceBench(const Options &options) : options(options) {}
  DeviceBench(const DeviceBench &) = delete;
  DeviceBench &operator=(const DeviceBench &) = delete;
  ~DeviceBench() {
    for (uint64_t address : memory)
      (void)freeMemory(device, address);
  }

  Status run() {
    for (auto step : {&DeviceBench::openAll, &DeviceBench::addCopy, &DeviceBench::addCublas, &DeviceBench::addKernels,
                      &DeviceBench::addLayers, &DeviceBench::measure})
      if (Status status = (this->*step)(); !status.ok())
        return status;
    return report();
  }

private:
  Status openAll() {
    if (Status status = Device::open(options.device, &device); !status.ok())
      return status;
    iterations = device.isEmulated() ? 1 : 10;
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    std::vector<TargetInfo> targets;
    if (Status status = compiler.targets(&targets); !status.ok())
      return status;
    for (const TargetInfo &target : targets)
      if (target.name == device.target() && target.supported)
        return {};
    return {StatusCode::Unsupported, "the compiler has no kernels for " + device.target()};
  }

  int attribute(int which) const {
    const Device::Impl &impl = *DeviceAccess::of(device);
    int value = 0;
    return impl.driver->deviceGetAttribute(&value, which, impl.device) == kSuccess ? value : 0;
  }

  Status allocate(uint64_t bytes, uint64_t *address) {
    if (Status status = allocateMemory(device, bytes, address); !status.ok())
      return status;
    memory.push_back(*address);
    return clearMemory(device, *address, bytes);
  }

  /// Milliseconds of `iterations` asynchronous pieces of work, each.
  Status time(const std::function<Status()> &work, double *milliseconds) const {
    if (Status status = synchronize(device); !status.ok())
      return status;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < iterations; ++i)
      if (Status status = work(); !status.ok())
        return status;
    if (Status status = synchronize(device); !status.ok())
      return status;
    *milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / iterations;
    return {};
  }

  Status addCopy() {
    uint64_t bytes = device.isEmulated() ? uint64_t{1} << 20 : uint64_t{1} << 28, from = 0, to = 0;
    for (uint64_t *address : {&from, &to})
      if (Status status = allocate(bytes, address); !status.ok())
        return status;
    measurements.push_back({"copy on the device", "GB/s", [this, bytes, from, to](double *value) {
                              const Device::Impl &impl = *DeviceAccess::of(device);
                              double milliseconds = 0;
                              Status status = time(
                                  [&] {
                                    CurrentContext current(impl);
                                    return impl.check(impl.driver->memcpyDtoDAsync(to, from, bytes, nullptr), "copy");
                                  },
                                  &milliseconds);
                              *value = 2.0 * static_cast<double>(bytes) / milliseconds / 1e6;
                              return status;
                            }});
    return {};
  }

  double flops() const {
    return 2.0 * static_cast<double>(options.tokens) * static_cast<double>(options.features) * static_cast<double>(options.features);
  }

  Status addCublas() {
    if (device.isEmulated()) {
      notes.push_back("cuBLAS skipped: the device is emulated");
      return {};
    }
    if (Status status = cublas.open(device); !status.ok()) {
      notes.push_back("cuBLAS skipped: " + status.message());
      return {}; // a ceiling less, not a failure of what is measured
    }
    uint64_t x = 0, w = 0, y = 0;
    auto bytes = static_cast<uint64_t>(options.features * std::max(options.features, options.tokens)) * 2;
    for (uint64_t *address : {&x, &w, &y})
      if (Status status = allocate(bytes, address); !status.ok())
        return status;
    measurements.push_back({kCublas, "TFLOP/s", [this, x, w, y](double *value) {
                              double milliseconds = 0;
                              Status status = time(
                                  [&] { return cublas.multiply(x, w, y, options.tokens, options.features, options.features); },
                                  &milliseconds);
                              *value = flops() / milliseconds / 1e9;
                              return status;
                            }});
    return {};
  }

  /// 2048 multiply-adds a clock and SM on sm_120 (docs/hardware_runs.md); 0 where there are no FP4 tensor cores.
  double fp4Peak() const {
    if (device.target().compare(0, 5, "sm_12") != 0 || device.isEmulated())
      return 0;
    return 2.0 * 2048 * attribute(kAttributeMultiprocessorCount) * attribute(13 /* clock in kHz */) / 1e9;
  }

  Status addKernels() {
    for (const char *recipe : {"bf16", "nvfp4", "averis", "mxfp4"}) {
      Spec spec;
      CompiledSpec compiled;
      auto executable = std::make_shared<Executable>();
      spec.fileName = options.root + "/kernels_spec/" + recipe + "/linear_forward.mlir";
      std::ifstream file(spec.fileName);
      std::stringstream text;
      text << file.rdbuf();
      spec.text = text.str();
      if (!file)
        return {StatusCode::NotFound, "cannot read '" + spec.fileName + "'; --root is the source tree"};
      if (Status status = compiler.leaveOut(&spec, {"x", "w"}); !status.ok())
        return status;
      if (Status status = compiler.compile(spec, device.target(), &compiled); !status.ok())
        return status;
      if (Status status = Executable::load(device, compiled.manifest, compiled.ptx, executable.get()); !status.ok())
        return status;
      auto inputs = std::make_shared<std::vector<Tensor>>();
      for (const char *name : {"x", "w"}) {
        Tensor tensor{name, ElementType::BF16, {*name == 'x' ? options.tokens : options.features, options.features}, {}};
        tensor.bytes.resize(static_cast<size_t>(countElements(tensor.shape)) * 2);
        uint32_t state = 1;
        for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
          state = state * 1664525u + 1013904223u;
          tensor.bytes[i] = static_cast<uint8_t>(state >> 8);
          tensor.bytes[i + 1] = static_cast<uint8_t>(0x3e + (state >> 31) * 0x80 + (state >> 30 & 1)); // about .25, either sign
        }
        inputs->push_back(std::move(tensor));
      }
      auto launch = [this, executable, inputs](const char *prefix, double *milliseconds) {
        std::vector<LaunchRecord> records;
        std::vector<Tensor> outputs;
        RunOptions run;
        run.records = &records;
        Status status = executable->run(*inputs, &outputs, run);
        *milliseconds = 0;
        for (const LaunchRecord &record : records)
          if (record.label.compare(0, std::char_traits<char>::length(prefix), prefix) == 0)
            *milliseconds += record.milliseconds;
        if (status.ok() && *milliseconds == 0)
          return Status(StatusCode::NotFound, std::string("no launch is called '") + prefix + "...'");
        return status;
      };
      Measurement matmul = {std::string("matmul ") + recipe, "TFLOP/s", [this, launch](double *value) {
                              double milliseconds = 0;
                              Status status = launch("matmul", &milliseconds);
                              *value = flops() / milliseconds / 1e9;
                              return status;
                            }};
      matmul.ceilingOf = kCublas;
      if (double peak = fp4Peak(); peak > 0 && std::string(recipe) != "bf16") {
        matmul.ceiling = peak;
        matmul.ceilingWords = "the FP4 tensor cores' peak at the maximal clock";
      }
      measurements.push_back(std::move(matmul));
      if (std::string(recipe) == "bf16")
        continue;
      // What it must move: two bytes in, half a byte and a scale out.
      double bytes = static_cast<double>(options.tokens * options.features) *
                     (2 + 0.5 + (std::string(recipe) == "mxfp4" ? 1.0 / 32 : 1.0 / 16));
      Measurement quantize = {std::string("quantize ") + recipe, "GB/s", [launch, bytes](double *value) {
                                double milliseconds = 0;
                                Status status = launch("quantize qx", &milliseconds);
                                *value = bytes / milliseconds / 1e6;
                                return status;
                              }};
      quantize.ceilingOf = "copy on the device";
      measurements.push_back(std::move(quantize));
    }
    return {};
  }

  Status addLayers() {
    std::vector<RecipeInfo> recipes = listRecipes();
    if (recipes.empty())
      notes.push_back("layers skipped: no recipe was found; set FOURFOLD_RECIPES");
    for (const RecipeInfo &recipe : recipes) {
      auto step = std::make_shared<LinearStep>();
      if (Status status = step->create(device, compiler, recipe.name, options.tokens, options.features, options.features);
          !status.ok())
        return status;
      for (bool backward : {false, true})
        measurements.push_back({std::string(backward ? "forward and backward " : "forward ") + recipe.name, "ms",
                                [this, step, backward](double *value) { return step->time(backward, iterations, value); }});
    }
    return {};
  }

  Status measure() {
    for (int repetition = -1; repetition < options.repetitions; ++repetition)
      for (Measurement &measurement : measurements) {
        double value = 0;
        if (Status status = measurement.run(&value); !status.ok())
          return {status.code(), measurement.name + ": " + status.message()};
        if (repetition >= 0)
          measurement.values.push_back(value);
      }
    return {};
  }

  Status report() {
    int driverVersion = 0;
    device.driver().driverGetVersion(&driverVersion);
    nlohmann::ordered_json json = {{"device", device.name()},
                                   {"description", device.description()},
                                   {"target", device.target()},
                                   {"emulated", device.isEmulated()},
                                   {"driverVersion", driverVersion},
                                   {"multiprocessors", attribute(kAttributeMultiprocessorCount)},
                                   {"maxClockMHz", attribute(13) / 1000},
                                   {"tokens", options.tokens},
                                   {"features", options.features},
                                   {"repetitions", options.repetitions},
                                   {"compiler", compiler.version()},
                                   {"notes", notes}};
    std::printf("# %s (%s), driver %d, %lld tokens, %lld features; median of %d interleaved repetitions, middle half\n",
                device.name().c_str(), device.description().c_str(), driverVersion, static_cast<long long>(options.tokens),
                static_cast<long long>(options.features), options.repetitions);
    if (device.isEmulated())
      std::printf("# times on the emulated device are of this machine's CPU, not of a GPU\n");
    for (const std::string &note : notes)
      std::printf("# %s\n", note.c_str());
    json["measurements"] = nlohmann::ordered_json::array();
    for (const Measurement &one : measurements) {
      double ceiling = one.ceiling;
      std::string words = one.ceilingWords;
      for (const Measurement &other : measurements)
        if (ceiling == 0 && !one.ceilingOf.empty() && other.name == one.ceilingOf) {
          ceiling = other.quantile(0.5);
          words = other.name;
        }
      double median = one.quantile(0.5);
      nlohmann::ordered_json entry = {{"name", one.name},           {"median", median},
                                      {"low", one.quantile(0.25)},  {"high", one.quantile(0.75)},
                                      {"unit", one.unit},           {"samples", one.values}};
      std::printf("%-32s %12.4g %-8s %.4g..%.4g", one.name.c_str(), median, one.unit.c_str(), one.quantile(0.25),
                  one.quantile(0.75));
      if (ceiling > 0) {
        entry["fraction"] = median / ceiling;
        entry["ceiling"] = words;
        std::printf("  %.0f %% of %s", 100 * median / ceiling, words.c_str());
      }
      std::printf("\n");
      json["measurements"].push_back(std::move(entry));
    }
    if (options.json.empty())
      return {};
    std::ofstream file(options.json);
    file << json.dump(1) << "\n";
    return file ? Status() : Status(StatusCode::InvalidArgument, "cannot write '" + options.json + "'");
  }

  static constexpr const char *kCublas = "matmul cuBLAS bf16";

  const Options &options;
  Device device;
  Compiler compiler;
  Cublas cublas;
  int iterations = 1;
  std::vector<uint64_t> memory;
  std::vector<Measurement> measurements;
  std::vector<std::string> notes;
};

} // namespace

void addDeviceBench(CLI::App &app, int *result) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("device", "Layers and kernels of every recipe on a device, against its ceilings");
  command->footer("Exit status: 0 measured; 1 failed; 77 no kernels for this device; 2 wrong usage.\n"
                  "Example: fourfold-bench device --device emulated:sm_120a --tokens 64 --features 64 --repetitions 1");
  command->add_option("--device", options->device, "cuda:N, emulated:TARGET or auto")->capture_default_str();
  command->add_option("--tokens", options->tokens, "Rows of the activation")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  command->add_option("--features", options->features, "Features in and out")->capture_default_str()->check(CLI::Range(1, 1 << 15));
  command->add_option("--repetitions", options->repetitions, "After one warm-up")->capture_default_str()->check(CLI::Range(1, 1000));
  command->add_option("--root", options->root, "The source tree, with kernels_spec/");
  command->add_option("--json", options->json, "Write everything, samples included, to this file");
  command->callback([options, result] {
    Status status = DeviceBench(*options).run();
    if (!status.ok())
      std::fprintf(stderr, "fourfold-bench: error: %s\n", status.message().c_str());
    *result = status.ok() ? 0 : status.code() == StatusCode::Unsupported ? 77 : 1;
  });
}

} // namespace bench
} // namespace fourfold
