// Runs a plan with changed PTX and says whether that was noticed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Runner.h"

#include "dialect/Numerics.h"
#include "runtime/emulator/Emulator.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <limits>
#include <sys/wait.h>
#include <unistd.h>

namespace fourfold {
namespace mutation {

namespace {

/// Where an input has values that decide something.
struct Special {
  enum Kind {
    Anywhere, // the largest value, which decides the scale of a tensor: a kernel that leaves out its place is found out
    Last,       // the largest value in the last place
    Place,      // the largest value in a row and column that the number says
    Column,     // a column of large values, which decides about the mean
    Infinities, // one in each column and row up to 32, of one input only
    Far         // a NaN in a row of the second tile of scales, which the first must not see
  };
  Kind kind = Anywhere;
  int64_t number = 0;
};

float valueAt(int64_t i, int64_t count, int64_t width, const Special &special, size_t input, float value) {
  int64_t n = special.number;
  if (special.kind == Special::Infinities)
    return input == static_cast<size_t>(n) && i / width == i % width && i % width < 32 ? std::numeric_limits<float>::infinity() : value;
  if (special.kind == Special::Column)
    return i % width == n % width ? 4.5f + value : value;
  if (special.kind == Special::Place)
    return i == n % (count / width) * width + n % width ? 9.5f : value;
  if (special.kind == Special::Far)
    return i == 130 * width + 3 ? std::numeric_limits<float>::quiet_NaN() : value;
  if (i != (special.kind == Special::Last ? count - 1 : n * 7919 % count))
    return value;
  return n == 9 ? std::numeric_limits<float>::infinity() : n == 10 ? std::numeric_limits<float>::quiet_NaN() : n % 2 ? 7.5f : -9.25f;
}

/// Values with a mean, so that centring, amaxes and scales all matter.
Tensor makeInput(const Parameter &parameter, const std::vector<int64_t> &dims, size_t input, const Special &special) {
  Tensor tensor;
  tensor.name = parameter.name;
  tensor.type = parameter.type;
  for (const std::string &extent : parameter.shape)
    tensor.shape.push_back(extent[0] == 'd' ? dims[static_cast<size_t>(std::stoi(extent.substr(1)))] : std::stoll(extent));
  int64_t count = countElements(tensor.shape), width = tensor.shape.empty() ? 1 : tensor.shape.back();
  tensor.bytes.resize(static_cast<size_t>(count * elementTypeBytes(tensor.type)), 0);
  for (int64_t i = 0; i < count; ++i) {
    auto random = numerics::elementRandom16(static_cast<uint32_t>(input + 1), 0, static_cast<uint32_t>(i), 7);
    float value = valueAt(i, count, width, special, input, static_cast<float>(random) / 16384.0f - 1.5f);
    auto *place = &tensor.bytes[static_cast<size_t>(i * elementTypeBytes(tensor.type))];
    if (tensor.type == ElementType::BF16) {
      uint16_t bits = numerics::encodeBF16(value);
      std::memcpy(place, &bits, 2);
    } else if (tensor.type == ElementType::F32) {
      std::memcpy(place, &value, 4);
    } else {
      *place = static_cast<uint8_t>(random & 63);
    }
  }
  return tensor;
}

void useOneThread(unsigned long long budget) {
  // A child of a process that has started threads could not rely on their locks.
  emulator::Options options;
  options.threads = 1;
  options.maxInstructions = budget;
  emulator::setOptions(options);
}

} // namespace

Status Job::load(const std::string &ptx, Executable *executable) const {
  Device device;
  if (Status status = Device::open("emulated:" + target, &device); !status.ok())
    return status;
  return Executable::load(device, manifest, ptx, executable);
}

Status Job::prepare(const std::string &targetName, const std::string &manifestText, const std::string &ptx, const std::string &when) {
  target = targetName;
  manifest = manifestText;
  useOneThread(0);
  Executable executable;
  if (Status status = load(ptx, &executable); !status.ok())
    return status;
  struct Trial {
    std::vector<int64_t> dims;
    Special special;
  };
  std::vector<Trial> trials;
  auto add = [&](std::vector<int64_t> dims, Special::Kind kind = Special::Anywhere) {
    trials.push_back({std::move(dims), {kind, static_cast<int64_t>(trials.size()) + 1}});
  };
  // Ragged in every dimension, with more steps along either reduction than the pipeline has stages; whole tiles; less than a tile; more rows of
  // tiles than are taken together for the cache; two columns left over.
  for (const auto &dims : {std::array{137, 333, 139}, {333, 137, 139}, {128, 384, 192}, {24, 24, 40}, {1100, 20, 150}, {20, 1100, 150}, {66, 70, 74}, {130, 34, 262}})
    add({dims[0], dims[1], dims[2]});
  // Small problems with their largest value in other places: every remainder of a block of 16, then whole blocks.
  for (int64_t i = 0; i < 17; ++i)
    add({40 + i, 70 + i, 56 + i});
  for (int i = 0; i < 16; ++i)
    add({32, 64, 48});
  // Every remainder with the largest value last; twice the pipeline's stages along each dimension; whole tiles beside each other.
  for (int64_t i = 0; i < 17; ++i)
    add({61 + 4 * i, 32 + i, 72 + i}, Special::Last);
  for (const auto &dims : {std::array{140, 1000, 140}, {140, 140, 1000}, {1000, 140, 140}, {128, 64, 384}, {384, 128, 64}, {64, 384, 128},
                           {1100, 16, 128}, {1100, 128, 16}, {16, 1100, 128}, {128, 1100, 16}, {16, 128, 1100}, {128, 16, 1100}})
    add({dims[0], dims[1], dims[2]});
  // Steps along each dimension that are not whole, in each stage of the pipeline.
  for (int64_t extent : {40, 150, 300, 400})
    for (size_t along = 0; along < 3; ++along) {
      std::vector<int64_t> dims = {200, 200, 200};
      dims[along] = extent;
      add(dims, Special::Far);
    }
  // Every remainder of the widest block, at each step of the pipeline; then with whole rows of 16 bytes, as the wide paths want them.
  for (size_t along = 0; along < 3; ++along) {
    for (int64_t i = 0; i < 32; ++i) {
      std::vector<int64_t> dims = {43, 27, 50};
      dims[along] = 33 + 23 * i;
      add(dims, i % 2 ? Special::Place : Special::Column);
    }
    for (int64_t extent : {5, 20, 37, 52, 77, 100, 117}) {
      std::vector<int64_t> dims = {64, 72, 40};
      dims[along] = extent;
      add(dims, Special::Place);
    }
    // More than two blocks' threads along one dimension.
    std::vector<int64_t> dims = {16, 24, 8};
    dims[along] = 8201;
    add(dims, Special::Last);
    trials.push_back({dims, {Special::Column, 8200}});
  }
  for (size_t i = 0; i < executable.inputs().size(); ++i)
    for (const auto &dims : {std::array{48, 64, 80}, {33, 17, 49}})
      trials.push_back({{dims[0], dims[1], dims[2]}, {Special::Infinities, static_cast<int64_t>(i)}});
  emulator::resetCounters();
  int64_t entryNumber = 15;
  for (Trial &trial : trials) {
    if (when.compare(0, 4, "le(d") == 0) {
      int64_t &small = trial.dims[static_cast<size_t>(when[4] - '0')];
      small = 1 + entryNumber++ % 16;
    }
    Case entry;
    for (size_t i = 0; i < executable.inputs().size(); ++i)
      entry.inputs.push_back(makeInput(executable.inputs()[i], trial.dims, i, trial.special));
    if (Status status = executable.run(entry.inputs, &entry.outputs); !status.ok())
      return status;
    cases.push_back(std::move(entry));
  }
  for (const emulator::KernelRecord &record : emulator::kernelRecords()) {
    launched.insert(record.name);
    budget = std::max<unsigned long long>(budget, record.counters.totalWarpInstructions());
  }
  // No block needs more than all blocks of the largest launch did.
  budget = std::max<unsigned long long>(budget, 100000);
  return {};
}

Verdict Job::test(const std::string &ptx, std::string *what) const {
  useOneThread(budget);
  Executable executable;
  if (Status status = load(ptx, &executable); !status.ok()) {
    *what = status.message();
    return Verdict::NotLoaded;
  }
  for (const Case &entry : cases) {
    std::vector<Tensor> outputs;
    if (Status status = executable.run(entry.inputs, &outputs); !status.ok()) {
      *what = status.message();
      return what->find("budget") != std::string::npos || what->find("TIMEOUT") != std::string::npos ? Verdict::Budget : Verdict::Finding;
    }
    for (size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i].bytes != entry.outputs[i].bytes) {
        *what = "another result: " + outputs[i].name + " of " + shapeText(outputs[i].shape);
        return Verdict::Result;
      }
  }
  return Verdict::Survived;
}

void Child::start(const Job &job, const std::string &ptx, unsigned seconds) {
  int ends[2];
  if (::pipe(ends) != 0)
    return;
  process = fork();
  if (process == 0) {
    close(ends[0]);
    alarm(seconds);
    std::string what;
    Verdict verdict = Verdict::Crashed;
    try {
      verdict = job.test(ptx, &what);
    } catch (const std::exception &error) {
      what = error.what();
    }
    what.resize(std::min<size_t>(what.size(), 2000)); // fits a pipe's buffer: nobody reads before the end
    if (write(ends[1], what.data(), what.size()) < 0)
      verdict = Verdict::Crashed;
    _exit(static_cast<int>(verdict));
  }
  close(ends[1]);
  pipe = ends[0];
}

Verdict Child::finish(int status, std::string *what) {
  char text[2048];
  ssize_t count = read(pipe, text, sizeof(text));
  what->assign(text, static_cast<size_t>(std::max<ssize_t>(count, 0)));
  close(pipe);
  pipe = process = -1;
  if (WIFSIGNALED(status)) {
    *what = "ended by signal " + std::to_string(WTERMSIG(status));
    return WTERMSIG(status) == SIGALRM ? Verdict::Budget : Verdict::Crashed;
  }
  return static_cast<Verdict>(WEXITSTATUS(status));
}

} // namespace mutation
} // namespace fourfold
