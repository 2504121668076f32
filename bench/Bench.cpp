// Benchmarks of the compiler and the emulated device, one line a measurement: name, median, spread, unit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Repetitions of all measurements are interleaved, so that a change of the machine's speed meets all of them.

#include "fourfold/Fourfold.h"
#include "runtime/jit/Cubin.h"
#include "runtime/npy/Npy.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

using namespace fourfold;

namespace {

double seconds(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void require(const Status &status) {
  if (status.ok())
    return;
  std::fprintf(stderr, "fourfold-bench: %s\n", status.message().c_str());
  std::exit(1);
}

struct Measurement {
  std::string name, unit;
  double factor; // from seconds to the unit; negative: a rate, units per second
  std::function<double()> sample;
  std::vector<double> samples = {};
};

Tensor matrix(const char *name, int64_t rows, int64_t columns, uint32_t seed) {
  Tensor tensor;
  tensor.name = name;
  tensor.type = ElementType::BF16;
  tensor.shape = {rows, columns};
  tensor.bytes.resize(static_cast<size_t>(rows * columns) * 2);
  for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
    seed = seed * 1664525u + 1013904223u;
    // bf16 of magnitude around one, either sign.
    uint16_t bits = static_cast<uint16_t>(0x3f00 | (seed >> 24 & 0xff) | (seed >> 8 & 0x8000));
    std::memcpy(&tensor.bytes[i], &bits, 2);
  }
  return tensor;
}

/// Milliseconds of the matmul launch alone.
double matmulSeconds(const Executable &executable, const std::vector<Tensor> &inputs) {
  std::vector<LaunchRecord> records;
  RunOptions options;
  options.records = &records;
  std::vector<Tensor> outputs;
  require(executable.run(inputs, &outputs, options));
  return records.back().milliseconds / 1e3;
}

} // namespace

int main(int argc, char **argv) {
  int repetitions = argc > 1 ? std::atoi(argv[1]) : 5;
  if (repetitions < 1) {
    std::fprintf(stderr, "usage: fourfold-bench [REPETITIONS]   (run in the root of the source tree; default 5)\n");
    return 1;
  }
  Compiler compiler;
  Device device;
  require(Compiler::open(&compiler));
  require(Device::open("emulated:sm_120a", &device));
  auto read = [](const std::string &recipe) {
    Spec spec;
    spec.fileName = "kernels_spec/" + recipe + "/linear_forward.mlir";
    require(readFile(spec.fileName, &spec.text));
    return spec;
  };
  Spec plain = read("nvfp4"), averis = read("averis");
  CompiledSpec compiled;
  require(compiler.compile(plain, "sm_120a", &compiled));
  Executable executable;
  require(Executable::load(device, compiled.manifest, compiled.ptx, &executable));
  std::vector<Tensor> square = {matrix("x", 1024, 1024, 1), matrix("w", 1024, 1024, 2)};
  std::vector<Tensor> tall = {matrix("x", 4096, 1024, 3), matrix("w", 1024, 1024, 4)};
  constexpr double kStepsSquare = 1024.0 / 16 * 1024 / 8 * 1024 / 64;

  std::vector<Measurement> all = {
      {"compile.nvfp4_forward.spec_to_ptx", "ms", 1e3,
       [&] { return seconds([&] { require(compiler.compile(plain, "sm_120a", &compiled)); }); }},
      {"compile.averis_forward.spec_to_ptx", "ms", 1e3,
       [&] { return seconds([&] { require(compiler.compile(averis, "sm_120a", &compiled)); }); }},
      {"emulated.matmul_1024x1024x1024", "s", 1, [&] { return matmulSeconds(executable, square); }},
      {"emulated.matmul_4096x1024x1024", "s", 1, [&] { return matmulSeconds(executable, tall); }},
      {"emulated.fp4_mma_rate", "M/s", -kStepsSquare / 1e6, [&] { return matmulSeconds(executable, square); }},
  };
  std::vector<uint8_t> cubin;
  if (assembleCubin(compiled.ptx, "sm_120a", &cubin).ok())
    all.push_back({"compile.averis_forward.spec_to_cubin", "ms", 1e3, [&] {
                     return seconds([&] {
                       require(compiler.compile(averis, "sm_120a", &compiled));
                       require(assembleCubin(compiled.ptx, "sm_120a", &cubin));
                     });
                   }});
  else
    std::fprintf(stderr, "fourfold-bench: no nvJitLink and no ptxas: spec_to_cubin is skipped\n");

  for (int i = 0; i < repetitions; ++i)
    for (Measurement &measurement : all) {
      double time = measurement.sample();
      measurement.samples.push_back(measurement.factor < 0 ? -measurement.factor / time : measurement.factor * time);
    }
  for (Measurement &measurement : all) {
    std::sort(measurement.samples.begin(), measurement.samples.end());
    std::printf("%-40s %10.3f %-4s  (%.3f to %.3f, %d runs)\n", measurement.name.c_str(),
                measurement.samples[measurement.samples.size() / 2], measurement.unit.c_str(), measurement.samples.front(),
                measurement.samples.back(), repetitions);
  }
  return 0;
}
