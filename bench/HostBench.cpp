// Speed of specs on the host: one line a measurement, `name value unit`; the best of several repetitions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Numerics.h"
#include "fourfold/HostProgram.h"
#include "fourfold/Recipe.h"

#include <CLI/CLI.hpp>
#include <tbb/global_control.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

using namespace fourfold;

namespace {

struct Options {
  int64_t tokens = 4096, in = 1024, out = 1024;
  int repetitions = 5, threads = 0;
  std::string filter;
};

std::vector<uint16_t> randomMatrix(int64_t count, uint32_t state) {
  std::vector<uint16_t> values;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back(numerics::encodeBF16(static_cast<float>(state >> 8) * 0x1p-23f - 0.75f));
  }
  return values;
}

class Bench {
public:
  explicit Bench(const Options &options)
      : options(options), x(randomMatrix(options.tokens * options.in, 1)),
        w(randomMatrix(options.out * options.in, 2)), d(randomMatrix(options.tokens * options.out, 3)) {}

  Status run() {
    if (Status status = Compiler::open(&compiler); !status.ok())
      return status;
    for (const char *shape : {"1x16 axis = 1", "1x16 axis = 0", "16x16 axis = 1"})
      for (bool stochastic : {false, true})
        if (Status status = quantize(shape, stochastic); !status.ok())
          return status;
    for (const RecipeInfo &recipe : listRecipes())
      if (Status status = step(recipe); !status.ok())
        return status;
    return {};
  }

private:
  /// Block scales and codes of one matrix; the result is the amax, so that nothing is copied out.
  Status quantize(const std::string &block, bool stochastic) {
    std::string name = "quantize " + block + (stochastic ? " stochastic" : " nearest");
    std::string type = "!fp4.quantized<?x?, nvfp4, block = " + block.substr(0, block.find(' ')) + ", axis = " +
                       block.back() + ">";
    Spec spec;
    spec.text = "func.func @f(%x: tensor<?x?xbf16>, %seed: tensor<i64>, %offset: tensor<i64>) -> " + type + " {\n"
                "%s, %a = fp4.block_scale %x nvfp4 block = " + block +
                " : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>\n"
                "%q = fp4.quantize %x scales(%s : tensor<?x?xf8E4M3FN>) amax(%a)" +
                (stochastic ? " stochastic seed(%seed) offset(%offset)" : "") + " : tensor<?x?xbf16> -> " + type +
                "\nreturn %q : " + type + "\n}\n";
    HostProgram program;
    HostEnvironment environment;
    if (Status status = HostProgram::prepare(compiler, spec, &program); !status.ok())
      return status;
    if (Status status = HostEnvironment::create(program, &environment); !status.ok())
      return status;
    return measure(name, static_cast<double>(options.tokens * options.in) * 1e-6, "M elements/s",
                   [&] { return environment.run(kHostAllPhases, {input("x"), input("seed"), input("offset")}, {}); });
  }

  Status step(const RecipeInfo &info) {
    Recipe recipe;
    Spec spec;
    HostProgram program;
    HostEnvironment environment;
    if (Status status = readRecipe(info.folder, {}, &recipe); !status.ok())
      return status;
    recipe.absent = {"bias", "mask", "dw_in"};
    if (Status status = compiler.link(recipe, &spec); !status.ok())
      return status;
    if (Status status = HostProgram::prepare(compiler, spec, &program); !status.ok())
      return status;
    if (Status status = HostEnvironment::create(program, &environment); !status.ok())
      return status;
    double products = 2.0 * static_cast<double>(options.tokens * options.in * options.out) * 1e-9;
    for (unsigned phase = 0; phase < program.phases().size(); ++phase) {
      bool isProduct = phase == 1 || phase >= 3;
      std::string name = info.name + " " + program.phases()[phase];
      // What a phase uses up is made again, outside of the time.
      auto prepare = [&]() -> Status {
        uint32_t before = phase >= 3 ? hostPhase(1) | hostPhase(2) : 0;
        return phase == 0 ? Status() : environment.run(hostPhase(0) | before, inputsOf(program), {});
      };
      Status status = measure(
          name, isProduct ? products : 0, isProduct ? "GFLOP/s" : "ms",
          [&] { return environment.run(hostPhase(phase), inputsOf(program), {}); }, prepare);
      if (!status.ok())
        return status;
      environment.reset();
    }
    return {};
  }

  HostInput input(const std::string &name) const {
    if (name == "x")
      return {"x", ElementType::BF16, {options.tokens, options.in}, x.data()};
    if (name == "w")
      return {"w", ElementType::BF16, {options.out, options.in}, w.data()};
    if (name == "d")
      return {"d", ElementType::BF16, {options.tokens, options.out}, d.data()};
    return {name, ElementType::I64, {}, &number};
  }
  std::vector<HostInput> inputsOf(const HostProgram &program) const {
    std::vector<HostInput> inputs;
    for (const std::string &name : program.inputs())
      inputs.push_back(input(name));
    return inputs;
  }

  Status measure(const std::string &name, double work, const char *unit, const std::function<Status()> &run,
                 const std::function<Status()> &prepare = {}) const {
    if (name.find(options.filter) == std::string::npos)
      return {};
    double best = 0;
    for (int i = 0; i <= options.repetitions; ++i) {
      if (prepare)
        if (Status status = prepare(); !status.ok())
          return status;
      auto start = std::chrono::steady_clock::now();
      if (Status status = run(); !status.ok())
        return status;
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      best = i <= 1 ? seconds : std::min(best, seconds);
    }
    std::printf("%-40s %10.2f %s\n", name.c_str(), work > 0 ? work / best : best * 1e3, unit);
    return {};
  }

  Options options;
  Compiler compiler;
  std::vector<uint16_t> x, w, d;
  int64_t number = 42;
};

} // namespace

int main(int argc, char **argv) {
  Options options;
  CLI::App app("Speed of specs on the host: one line a measurement, `name value unit`");
  app.add_option("--tokens", options.tokens, "Rows of X")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  app.add_option("--in", options.in, "Columns of X")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  app.add_option("--out", options.out, "Rows of W")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  app.add_option("--repetitions", options.repetitions, "Repetitions after one warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads, "Cores to use; 0: all")->capture_default_str()->check(CLI::Range(0, 4096));
  app.add_option("--filter", options.filter, "Only measurements whose name has this in it");
  CLI11_PARSE(app, argc, argv);
  std::unique_ptr<tbb::global_control> limit;
  if (options.threads)
    limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                  static_cast<size_t>(options.threads));
  Status status = Bench(options).run();
  if (!status.ok()) {
    std::fprintf(stderr, "fourfold-host-bench: error: %s\n", status.message().c_str());
    return 1;
  }
  return 0;
}
