// Runs a plan with changed PTX and says whether that was noticed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Runner.h"

#include "dialect/Numerics.h"
#include "runtime/emulator/Emulator.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <limits>
#include <sys/wait.h>
#include <unistd.h>

namespace fourfold {
namespace mutation {

namespace {

/// Values with a mean, so that centring, amaxes and scales all matter.
Tensor makeInput(const Parameter &parameter, const std::vector<int64_t> &dims, uint32_t seed, int64_t peak) {
  Tensor tensor;
  tensor.name = parameter.name;
  tensor.type = parameter.type;
  for (const std::string &extent : parameter.shape)
    tensor.shape.push_back(extent[0] == 'd' ? dims[static_cast<size_t>(std::stoi(extent.substr(1)))] : std::stoll(extent));
  int64_t count = countElements(tensor.shape);
  tensor.bytes.resize(static_cast<size_t>(count * elementTypeBytes(tensor.type)), 0);
  for (int64_t i = 0; i < count; ++i) {
    auto random = numerics::elementRandom16(seed, 0, static_cast<uint32_t>(i), 7);
    float value = static_cast<float>(random) / 16384.0f - 1.5f;
    // The one largest value decides the scale of a tensor: a kernel that leaves out its place is found out.
    if (i == peak * 7919 % count)
      value = peak == 9    ? std::numeric_limits<float>::infinity()
              : peak == 10 ? std::numeric_limits<float>::quiet_NaN()
              : peak % 2   ? 7.5f
                           : -9.25f;
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
  // Ragged in every dimension, with more steps along either reduction than the pipeline has stages; whole tiles; less than a tile.
  std::vector<std::vector<int64_t>> shapes = {{137, 333, 139}, {333, 137, 139}, {128, 384, 192}, {24, 24, 40},
                                              // More rows of tiles than are taken together for the cache; two columns left over.
                                              {1100, 20, 150}, {20, 1100, 150}, {66, 70, 74}, {130, 34, 262}};
  // Small problems with their largest value in other places: every remainder of a block of 16, then whole blocks.
  for (int64_t i = 0; i < 17; ++i)
    shapes.push_back({40 + i, 70 + i, 56 + i});
  shapes.insert(shapes.end(), 16, {32, 64, 48});
  emulator::resetCounters();
  int64_t peak = 0;
  for (std::vector<int64_t> &dims : shapes) {
    if (when.compare(0, 4, "le(d") == 0) {
      int64_t &small = dims[static_cast<size_t>(when[4] - '0')];
      small = small % 2 ? 13 : 16;
    }
    Case entry;
    uint32_t seed = 1;
    ++peak;
    for (const Parameter &parameter : executable.inputs())
      entry.inputs.push_back(makeInput(parameter, dims, seed++, peak));
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
