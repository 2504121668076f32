// Benchmarks of the compiler and of kernels on a device: one line a measurement, `name value unit spread`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Variants are interleaved: repetition 1 of all, then repetition 2 of all, so that a change of the machine's clock or
// load meets all of them. The value is the median; the spread is that of the middle half of the repetitions.

#include "bench/DeviceBench.h"
#include "bench/EmulatorBench.h"
#include "bench/LinearStep.h"
#include "dialect/Numerics.h"
#include "fourfold/Fourfold.h"
#include "runtime/jit/Cubin.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>

using namespace fourfold;

namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// The value at a fraction of the sorted samples, between two of them where it falls there.
double quantile(std::vector<double> samples, double fraction) {
  std::sort(samples.begin(), samples.end());
  double place = fraction * static_cast<double>(samples.size() - 1);
  auto low = static_cast<size_t>(place);
  size_t high = std::min(low + 1, samples.size() - 1);
  return samples[low] + (place - static_cast<double>(low)) * (samples[high] - samples[low]);
}

/// One line of the report. A rate is work / time / scale; without work the value is the time itself.
struct Line {
  std::string name;
  double work = 0, scale = 1;
  std::string unit = "ms";
  std::vector<double> samples = {};

  double value(double milliseconds) const { return work == 0 ? milliseconds : work / milliseconds * 1e3 / scale; }
  void print() const {
    std::vector<double> values;
    for (double sample : samples)
      values.push_back(value(sample));
    std::printf("%-44s %12.3f %-10s %.3f..%.3f\n", name.c_str(), quantile(values, 0.5), unit.c_str(),
                quantile(values, 0.25), quantile(values, 0.75));
  }
};

/// What is done once a repetition; `run` gives milliseconds for each line.
struct Measurement {
  std::vector<Line> lines;
  std::function<Status(std::vector<double> *milliseconds)> run;
};

/// A recipe's forward from x and w alone, without the arguments that may be left out.
Status readSpec(const Compiler &compiler, const std::string &recipe, Spec *spec) {
  spec->fileName = std::string(FOURFOLD_SOURCE_DIR) + "/kernels_spec/" + recipe + "/linear_forward.mlir";
  std::ifstream file(spec->fileName);
  std::stringstream text;
  text << file.rdbuf();
  spec->text = text.str();
  if (!file)
    return {StatusCode::NotFound, "cannot read '" + spec->fileName + "'"};
  return compiler.leaveOut(spec, {"x", "w"});
}

/// A bf16 matrix of small random numbers with a mean.
Tensor randomMatrix(const std::string &name, int64_t rows, int64_t columns, float mean) {
  Tensor tensor;
  tensor.name = name;
  tensor.type = ElementType::BF16;
  tensor.shape = {rows, columns};
  tensor.bytes.resize(static_cast<size_t>(rows * columns) * 2);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      float value = static_cast<float>(
          numerics::elementRandom16(1, 0, static_cast<uint32_t>(row), static_cast<uint32_t>(column)));
      uint16_t bits = numerics::encodeBF16(value / 32768.0f - 1.0f + mean);
      std::memcpy(&tensor.bytes[static_cast<size_t>(row * columns + column) * 2], &bits, 2);
    }
  return tensor;
}

/// A recipe at one size on the device.
struct Job {
  Executable executable;
  std::vector<Tensor> inputs;

  /// Milliseconds of all launches whose label begins with each prefix; "" is all of them.
  Status run(const std::vector<std::string> &prefixes, std::vector<double> *milliseconds) const {
    std::vector<LaunchRecord> records;
    RunOptions options;
    options.records = &records;
    std::vector<Tensor> outputs;
    if (Status status = executable.run(inputs, &outputs, options); !status.ok())
      return status;
    for (const std::string &prefix : prefixes) {
      double sum = 0;
      bool any = false;
      for (const LaunchRecord &record : records)
        if (record.label.compare(0, prefix.size(), prefix) == 0) {
          sum += record.milliseconds;
          any = true;
        }
      if (!any)
        return {StatusCode::NotFound, "no launch is called '" + prefix + "...'; the plan has other labels"};
      milliseconds->push_back(sum);
    }
    return {};
  }
};

struct BenchOptions {
  std::string device = "auto", filter;
  int repetitions = 5;
  bool quick = false;
};

class Bench {
public:
  explicit Bench(const BenchOptions &options) : options(options) {}

  Status run() {
    Clock::time_point start = Clock::now();
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    double opening = millisecondsSince(start);
    if (Status status = Device::open(options.device, &device); !status.ok())
      return status;
    std::printf("# %s; %s (%s); median of %d interleaved repetitions, spread of the middle half\n",
                compiler.version().c_str(), device.name().c_str(), device.description().c_str(), options.repetitions);
    if (device.isEmulated())
      std::printf("# times on the emulated device are of this machine's CPU, not of a GPU\n");
    if (wanted("compile.open_plugin"))
      std::printf("%-44s %12.3f %-10s once\n", "compile.open_plugin", opening, "ms");

    for (const char *recipe : {"nvfp4", "averis"})
      if (Status status = addCompilation(recipe); !status.ok())
        return status;
    if (Status status = addProducts(); !status.ok())
      return status;
    if (Status status = addSteps(); !status.ok())
      return status;
    if (measurements.empty() && !wanted("compile.open_plugin"))
      return {StatusCode::InvalidArgument,
              "no measurement has '" + options.filter + "' in its name; without --filter all are listed"};
    return measure();
  }

private:
  bool wanted(const std::string &name) const { return name.find(options.filter) != std::string::npos; }

  void add(std::vector<Line> lines, std::function<Status(std::vector<double> *)> run) {
    if (std::any_of(lines.begin(), lines.end(), [this](const Line &line) { return wanted(line.name); }))
      measurements.push_back({std::move(lines), std::move(run)});
  }

  Status addCompilation(const std::string &recipe) {
    Spec spec;
    CompiledSpec compiled;
    if (Status status = readSpec(compiler, recipe, &spec); !status.ok())
      return status;
    if (Status status = compiler.compile(spec, device.target(), &compiled); !status.ok())
      return status;
    add({{"compile." + recipe + ".spec_to_ptx"}}, [this, spec](std::vector<double> *milliseconds) {
      CompiledSpec result;
      Clock::time_point start = Clock::now();
      Status status = compiler.compile(spec, device.target(), &result);
      milliseconds->push_back(millisecondsSince(start));
      return status;
    });
    CudaTools tools = findCudaTools();
    if (tools.nvJitLink.empty() && tools.ptxas.empty()) {
      std::printf("# compile.%s.ptx_to_cubin skipped: no CUDA toolkit; set CUDA_HOME\n", recipe.c_str());
      return {};
    }
    add({{"compile." + recipe + ".ptx_to_cubin"}}, [this, compiled](std::vector<double> *milliseconds) {
      std::vector<uint8_t> cubin;
      Clock::time_point start = Clock::now();
      Status status = assembleCubin(compiled.ptx, device.target(), &cubin);
      milliseconds->push_back(millisecondsSince(start));
      return status;
    });
    return {};
  }

  Status makeJob(const std::string &recipe, int64_t tokens, int64_t in, int64_t out, std::shared_ptr<Job> *job) {
    Spec spec;
    CompiledSpec compiled;
    *job = std::make_shared<Job>();
    if (Status status = readSpec(compiler, recipe, &spec); !status.ok())
      return status;
    if (Status status = compiler.compile(spec, device.target(), &compiled); !status.ok())
      return status;
    (*job)->inputs = {randomMatrix("x", tokens, in, 1.0f), randomMatrix("w", out, in, 0.0f)};
    return Executable::load(device, compiled.manifest, compiled.ptx, &(*job)->executable);
  }

  Status addProducts() {
    struct Size {
      int64_t tokens, in, out;
    };
    std::vector<Size> sizes = {{1024, 1024, 1024}};
    if (!options.quick)
      sizes.insert(sizes.end(), {{4096, 1024, 1024}, {2048, 2048, 2048}});
    for (const Size &size : sizes)
      for (const char *recipe : {"nvfp4", "averis"}) {
        std::string name = std::string("run.") + recipe + "." + shapeText({size.tokens, size.in, size.out});
        double elements = static_cast<double>(size.tokens * size.in);
        double flops = 2 * elements * static_cast<double>(size.out);
        std::vector<Line> lines = {{name + ".total"},
                                   {name + ".matmul", flops, 1e9, "GFLOPS"},
                                   // One warp-wide m16n8k64 is 16 * 8 * 64 multiply-adds.
                                   {name + ".matmul_mma_rate", flops / (2.0 * 16 * 8 * 64), 1e3, "kMMA/s"},
                                   {name + ".quantize_x", elements, 1e6, "Melem/s"}};
        std::shared_ptr<Job> job;
        if (Status status = makeJob(recipe, size.tokens, size.in, size.out, &job); !status.ok())
          return status;
        add(lines, [job](std::vector<double> *milliseconds) {
          return job->run({"", "matmul", "matmul", "quantize qx"}, milliseconds);
        });
      }
    return {};
  }

  /// Training steps of a linear layer; bytes are those that kernels ask for, against the least that the recipe can do with.
  Status addSteps() {
    int64_t size = options.quick ? 256 : 1024;
    std::vector<RecipeInfo> recipes = listRecipes();
    if (recipes.empty())
      std::printf("# step.* skipped: no recipe was found; set FOURFOLD_RECIPES\n");
    for (const RecipeInfo &recipe : recipes) {
      std::string name = "step." + recipe.name + "." + shapeText({size, size, size});
      std::vector<Line> lines = {{name + ".total"}};
      if (device.isEmulated()) {
        lines.push_back({name + ".moved", 0, 1, "MB"});
        lines.push_back({name + ".minimum", 0, 1, "MB"});
      }
      if (std::none_of(lines.begin(), lines.end(), [this](const Line &line) { return wanted(line.name); }))
        continue;
      auto step = std::make_shared<bench::LinearStep>();
      if (Status status = step->create(device, compiler, recipe.name, size, size, size); !status.ok())
        return status;
      bool emulated = device.isEmulated();
      add(lines, [step, emulated](std::vector<double> *values) {
        double milliseconds = 0, bytes = 0;
        Status status = step->run(&milliseconds, &bytes);
        values->push_back(milliseconds);
        if (emulated) {
          values->push_back(bytes / 1e6);
          values->push_back(step->minimumBytes() / 1e6);
        }
        return status;
      });
    }
    return {};
  }

  Status measure() {
    for (int repetition = -1; repetition < options.repetitions; ++repetition) // the first is a warm-up
      for (Measurement &measurement : measurements) {
        std::vector<double> milliseconds;
        if (Status status = measurement.run(&milliseconds); !status.ok())
          return {status.code(), measurement.lines.front().name + ": " + status.message()};
        if (repetition >= 0)
          for (size_t i = 0; i < milliseconds.size(); ++i)
            measurement.lines[i].samples.push_back(milliseconds[i]);
      }
    for (const Measurement &measurement : measurements)
      for (const Line &line : measurement.lines)
        if (wanted(line.name))
          line.print();
    return {};
  }

  BenchOptions options;
  Compiler compiler;
  Device device;
  std::vector<Measurement> measurements;
};

} // namespace

int main(int argc, char **argv) {
  BenchOptions options;
  CLI::App app("Benchmarks of Fourfold: one line a measurement, `name value unit spread`");
  app.add_option("--device", options.device, "cuda:N, emulated:TARGET or auto")->capture_default_str();
  app.add_option("--filter", options.filter, "Only measurements whose name has this in it");
  app.add_option("--repetitions", options.repetitions, "Repetitions after one warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_flag("--quick", options.quick, "Leave out the largest sizes");
  int deviceResult = -1;
  int emulatorResult = -1;
  bench::addDeviceBench(app, &deviceResult);
  bench::addEmulatorBench(app, &emulatorResult);
  CLI11_PARSE(app, argc, argv);
  if (deviceResult >= 0 || emulatorResult >= 0)
    return std::max(deviceResult, emulatorResult);
  Status status = Bench(options).run();
  if (!status.ok()) {
    std::fprintf(stderr, "fourfold-bench: error: %s\n", status.message().c_str());
    return 1;
  }
  return 0;
}
