// Warp instructions, matrix steps and whole kernels a second on the emulated device, by check level, interleaved.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "bench/EmulatorBench.h"

#include "fourfold/Fourfold.h"
#include "runtime/emulator/Emulator.h"
#include "runtime/npy/Npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>

namespace fourfold {
namespace bench {

namespace {

using emulator::CheckLevel;
using namespace device;

struct Options {
  int repetitions = 5;
  bool quick = false;
  std::string root = FOURFOLD_SOURCE_DIR;
};

constexpr std::array<CheckLevel, 3> kLevels = {CheckLevel::None, CheckLevel::Fast, CheckLevel::Full};

/// A loop around `body`, in blocks of 256 threads; %rd1 is the thread's own 16 bytes of global memory, %r1 its own of shared memory.
struct Loop {
  std::string name, unit;
  std::string body;
  double perIteration; // what is counted, in each warp
  unsigned times;      // iterations that take about a tenth of a second
};

std::string repeat(int times, const std::string &text) {
  std::string all;
  for (int i = 0; i < times; ++i)
    all += text;
  return all;
}

/// Instructions that need no order among each other, as compilers write them: eight chains.
std::string chains(const std::string &format) {
  std::string text;
  for (int i = 0; i < 8; ++i)
    text += fmt::format(fmt::runtime(format), 10 + i) + "\n";
  return text;
}

std::string fragments(char letter, int first, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}%{}{}", i ? ", " : "", letter, first + i);
  return text + "}";
}

std::string matrixStep(const std::string &instruction, bool integer, const std::string &scales = "") {
  char letter = integer ? 'r' : 'f';
  std::string step;
  for (int accumulator : {10, 20, 30, 40})
    step += instruction + " " + fragments(letter, accumulator, 4) + ", " + fragments('r', 50, 4) + ", " + fragments('r', 54, 2) + ", " +
            fragments(letter, accumulator, 4) + scales + ";\n";
  return step;
}

std::vector<Loop> loops() {
  return {
      {"integer arithmetic", "M warp instructions/s",
       repeat(2, chains("mad.lo.s32 %r{0}, %r{0}, 3, %r2;") + chains("xor.b32 %r{0}, %r{0}, %r3;")), 32, 2000},
      {"fp32 arithmetic", "M warp instructions/s", repeat(4, chains("fma.rn.f32 %f{0}, %f{0}, %f2, %f3;")), 32, 2000},
      {"shared memory", "M warp instructions/s", repeat(8, "st.shared.v4.b32 [%r1], {%r10, %r11, %r12, %r13};\nbar.warp.sync -1;\n"
                                                          "ld.shared.v4.b32 {%r10, %r11, %r12, %r13}, [%r1];\nadd.s32 %r10, %r10, 1;\n"), 32, 100},
      {"global memory", "M warp instructions/s", repeat(8, "ld.global.v4.b32 {%r10, %r11, %r12, %r13}, [%rd1];\nadd.s32 %r10, %r10, 1;\n"
                                                          "xor.b32 %r11, %r11, %r10;\nst.global.v4.b32 [%rd1], {%r10, %r11, %r12, %r13};\n"), 32, 100},
      {"FP4 m16n8k64, nvfp4 scales", "K MMAs/s",
       matrixStep("mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3", false,
                  ", {%r56}, {0, 0}, {%r57}, {0, 0}"), 4, 200},
      {"bf16 m16n8k16", "K MMAs/s", matrixStep("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", false), 4, 100},
      {"s8 m16n8k32", "K MMAs/s", matrixStep("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", true), 4, 200},
  };
}

std::string kernelText(const Loop &loop) {
  return ".version 8.7\n.target sm_120a\n.address_size 64\n.visible .entry k(.param .u64 memory, .param .u32 times)\n.maxntid 256\n{\n"
         ".reg .b32 %r<64>;\n.reg .f32 %f<64>;\n.reg .b64 %rd<8>;\n.reg .pred %p<2>;\n.shared .align 16 .b8 own[4096];\n"
         "ld.param.u64 %rd1, [memory];\nld.param.u32 %r4, [times];\nmov.u32 %r5, %tid.x;\nmov.u32 %r6, %ctaid.x;\n"
         "mad.lo.u32 %r7, %r6, 256, %r5;\nmul.wide.u32 %rd2, %r7, 16;\nadd.u64 %rd1, %rd1, %rd2;\nmov.u32 %r1, own;\n"
         "mad.lo.u32 %r1, %r5, 16, %r1;\nmov.u32 %r2, 7;\nmov.u32 %r3, 5;\nmov.f32 %f2, 0f3F800001;\nmov.f32 %f3, 0f3F000000;\n" +
         [] {
           std::string text;
           for (int i = 10; i < 56; ++i)
             text += fmt::format("mov.u32 %r{0}, {1};\nmov.f32 %f{0}, 0f3F000000;\n", i, 0x3f803f80u + 0x00030001u * static_cast<unsigned>(i)); // bf16 a little above 1
           return text;
         }() +
         "mov.u32 %r56, 0x38383838;\nmov.u32 %r57, 0x38383838;\n$loop:\n" + loop.body +
         "sub.u32 %r4, %r4, 1;\nsetp.ne.u32 %p1, %r4, 0;\n@%p1 bra $loop;\nst.global.b32 [%rd1], %r10;\nret;\n}\n";
}

void setLevel(CheckLevel level) {
  emulator::Options settings = emulator::optionsFromEnvironment();
  settings.checks = level;
  emulator::setOptions(settings);
}

double milliseconds(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One row: a value for each level, higher is better unless it is a time.
class Row {
public:
  Row(std::string name, std::string unit, bool isTime) : name(std::move(name)), unit(std::move(unit)), isTime(isTime) {}
  void add(size_t level, double value) { samples[level].push_back(value); }
  void print() const {
    double none = median(samples[0]);
    std::printf("| %s | %s |", name.c_str(), unit.c_str());
    for (const std::vector<double> &values : samples)
      std::printf(isTime ? " %.2f |" : " %.0f |", median(values));
    for (size_t level : {1, 2}) {
      double ratio = isTime ? median(samples[level]) / none : none / median(samples[level]);
      std::printf(" %.2f |", ratio);
    }
    std::printf("\n");
    std::fflush(stdout); // the next takes seconds
  }

private:
  std::string name, unit;
  bool isTime;
  std::array<std::vector<double>, 3> samples;
};

/// A module of one loop, with memory for its blocks.
class LoopRun {
public:
  Status prepare(const Loop &loop, bool quick) {
    text = kernelText(loop);
    times = quick ? 4 : loop.times;
    const DriverTable &driver = emulator::driver();
    CUcontext context = nullptr;
    CUmodule module = nullptr;
    CUresult result = driver.init(0);
    if (result == kSuccess)
      result = driver.primaryCtxRetain(&context, emulator::deviceOrdinal("sm_120a"));
    if (result == kSuccess)
      result = driver.ctxSetCurrent(context);
    if (result == kSuccess)
      result = driver.moduleLoadDataEx(&module, text.c_str(), 0, nullptr, nullptr);
    if (result == kSuccess)
      result = driver.moduleGetFunction(&function, module, "k");
    if (result == kSuccess)
      result = driver.memAlloc(&memory, kBlocks * 256 * 16);
    if (result == kSuccess)
      result = driver.memsetD8Async(memory, 1, kBlocks * 256 * 16, nullptr);
    return result == kSuccess ? Status() : Status(StatusCode::DeviceError, loop.name + ": " + emulator::lastFinding());
  }
  /// What is counted, a second.
  Status run(const Loop &loop, double *rate) {
    void *params[] = {&memory, &times};
    CUresult result = kSuccess;
    double time = milliseconds(
        [&] { result = emulator::driver().launchKernel(function, kBlocks, 1, 1, 256, 1, 1, 0, nullptr, params, nullptr); });
    *rate = loop.perIteration * times * kBlocks * 8 / time * 1e3;
    return result == kSuccess ? Status() : Status(StatusCode::DeviceError, loop.name + ": " + emulator::lastFinding());
  }

private:
  static constexpr unsigned kBlocks = 16;
  std::string text;
  unsigned times = 0;
  CUfunction function = nullptr;
  CUdeviceptr memory = 0;
};

Status measureLoops(const Options &options) {
  for (const Loop &loop : loops()) {
    LoopRun run;
    if (Status status = run.prepare(loop, options.quick); !status.ok())
      return status;
    double scale = loop.unit[0] == 'M' ? 1e6 : 1e3;
    Row row(loop.name, loop.unit, false);
    for (int repetition = -1; repetition < options.repetitions; ++repetition)
      for (size_t level = 0; level < kLevels.size(); ++level) {
        double rate = 0;
        setLevel(kLevels[level]);
        if (Status status = run.run(loop, &rate); !status.ok())
          return status;
        if (repetition >= 0)
          row.add(level, rate / scale);
      }
    row.print();
  }
  return {};
}

Tensor matrix(const std::string &name, int64_t rows, int64_t columns) {
  Tensor tensor{name, ElementType::BF16, {rows, columns}, {}};
  tensor.bytes.resize(static_cast<size_t>(rows * columns) * 2);
  for (size_t i = 0; i < tensor.bytes.size(); i += 2) { // 1 to 2, in steps of 1/128
    tensor.bytes[i] = static_cast<uint8_t>(0x80 | (i * 2654435761u >> 16 & 0x7f));
    tensor.bytes[i + 1] = 0x3f;
  }
  return tensor;
}

/// The forward pass of a recipe, whole kernels as they are generated: its product and its other launches.
Status measureLayer(const Options &options) {
  int64_t size = options.quick ? 128 : 2048;
  Device device;
  std::string stem = options.root + "/generated/sm_120a/nvfp4/linear_forward", ptx, manifest;
  Executable executable;
  if (Status status = Device::open("emulated:sm_120a", &device); !status.ok())
    return status;
  if (Status status = readFile(stem + ".ptx", &ptx); !status.ok())
    return status;
  if (Status status = readFile(stem + ".manifest.json", &manifest); !status.ok())
    return status;
  if (Status status = Executable::load(device, manifest, ptx, &executable); !status.ok())
    return status;
  std::vector<Tensor> inputs;
  for (const Parameter &input : executable.inputs()) {
    if (input.shape.size() == 2)
      inputs.push_back(matrix(input.name, size, size));
    else
      inputs.push_back({input.name, input.type, {size}, std::vector<uint8_t>(static_cast<size_t>(size * elementTypeBytes(input.type)), 0)});
  }
  Row product(fmt::format("FP4 matmul {0} x {0} x {0}", size), "s", true), rest(fmt::format("amax and quantize of {0} x {0}, twice", size), "s", true);
  for (int repetition = -1; repetition < options.repetitions; ++repetition)
    for (size_t level = 0; level < kLevels.size(); ++level) {
      setLevel(kLevels[level]);
      std::vector<LaunchRecord> records;
      std::vector<Tensor> outputs;
      RunOptions run;
      run.records = &records;
      if (Status status = executable.run(inputs, &outputs, run); !status.ok())
        return status;
      double matmul = 0, others = 0;
      for (const LaunchRecord &record : records)
        (record.label.rfind("matmul", 0) == 0 ? matmul : others) += record.milliseconds / 1e3;
      if (repetition >= 0) {
        product.add(level, matmul);
        rest.add(level, others);
      }
    }
  product.print();
  rest.print();
  return {};
}

} // namespace

void addEmulatorBench(CLI::App &app, int *result) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("emulator", "What the emulated device does in a second, by check level: a table in Markdown");
  command->footer("Exit status: 0 measured; 1 failed; 2 wrong usage.\nExample: fourfold-bench emulator --quick --repetitions 1");
  command->add_option("--repetitions", options->repetitions, "After one warm-up; levels interleaved, medians printed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--root", options->root, "The source tree, with generated/");
  command->add_flag("--quick", options->quick, "Short loops and a small matmul: that everything runs, not for the figures");
  command->callback([options, result] {
    std::printf("| what | | `none` | `fast` | `full` | cost of `fast` | cost of `full` |\n|---|---|---|---|---|---|---|\n");
    Status status = measureLoops(*options);
    if (status.ok())
      status = measureLayer(*options);
    emulator::setOptions(emulator::optionsFromEnvironment());
    if (!status.ok())
      std::fprintf(stderr, "fourfold-bench: error: %s\n", status.message().c_str());
    *result = status.ok() ? 0 : 1;
  });
}

} // namespace bench
} // namespace fourfold
