// Runs a plan and keeps each launch of the kernels asked for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Recorder.h"

#include "runtime/device/DeviceImpl.h"
#include "runtime/emulator/Emulator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

namespace fourfold {
namespace mutation {

using namespace device;

/// Whose launches are looked at; one at a time.
static Recorder *current = nullptr;

emulator::Context &Recorder::context() const { return *emulator::state().contexts[static_cast<size_t>(ordinal)]; }

Status Recorder::load(const std::string &target, const std::string &manifest, const std::string &ptx) {
  static DriverTable table;
  table = emulator::driver();
  table.launchKernel = onLaunch;
  ordinal = emulator::deviceOrdinal(target);
  if (Status status = openDevice(table, ordinal, "emulated:" + target, target, emulator::lastFinding, &device); !status.ok())
    return status;
  return Executable::load(device, manifest, ptx, &executable);
}

Case Recorder::copy(const emulator::LoadedFunction &function, void **params) {
  Case entry;
  std::map<uint64_t, uint64_t> copies; // from the plan's buffers
  for (size_t i = 0; i < function.kernel.params.size(); ++i) {
    auto bytes = static_cast<size_t>(function.kernel.params[i].bytes);
    std::vector<uint8_t> value(static_cast<uint8_t *>(params[i]), static_cast<uint8_t *>(params[i]) + bytes);
    uint64_t address = 0;
    if (bytes == 8)
      std::memcpy(&address, value.data(), 8);
    if (emulator::Allocation *from = address ? context().memory.find(address, 1) : nullptr) {
      if (!copies.count(from->base)) {
        uint64_t base = from->base, size = from->bytes, made = context().memory.allocate(size, 256, fmt::format("buffer of parameter {}", i));
        from = context().memory.find(base, 1); // the table may have moved
        emulator::Allocation *to = context().memory.find(made, size);
        std::memcpy(to->data.get(), from->data.get(), size);
        std::memcpy(to->shadow.get(), from->shadow.get(), size);
        copies[base] = made;
        entry.areas.push_back({made, {}, {}});
      }
      address += copies[from->base] - from->base;
      std::memcpy(value.data(), &address, 8);
    }
    entry.params.push_back(std::move(value));
  }
  return entry;
}

/// What a launch is given, but for where its buffers lie.
static std::string contentsOf(const std::string &kernel, const Case &entry, emulator::Memory &memory) {
  std::string text = kernel;
  text.append(reinterpret_cast<const char *>(&entry.shape.grid), sizeof(entry.shape.grid));
  for (const auto &param : entry.params)
    if (param.size() != 8)
      text.append(param.begin(), param.end());
  uint64_t hash = 1469598103934665603u;
  for (const Area &area : entry.areas) {
    const emulator::Allocation *allocation = memory.find(area.address, 1);
    for (uint64_t i = 0; i < allocation->bytes; ++i)
      hash = (hash ^ allocation->data.get()[i]) * 1099511628211u;
  }
  return text + fmt::format("{:x}", hash);
}

static bool isMatmul(const std::string &kernel) { return kernel.rfind("matmul", 0) == 0; }

CUresult Recorder::onLaunch(CUfunction handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
                            unsigned sharedBytes, CUstream stream, void **params, void **extra) {
  Recorder &self = *current;
  if (self.launched++ > self.lastWanted)
    return kSuccess;
  const auto &function = *reinterpret_cast<emulator::LoadedFunction *>(handle);
  const std::string &name = function.kernel.name;
  if (self.skipsMatmul && isMatmul(name))
    return kSuccess;
  bool wanted = self.wantedNames.count(name) != 0;
  Case entry;
  if (wanted) {
    entry = self.copy(function, params);
    entry.shape = {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes};
    entry.text = self.trialText;
    emulator::resetCounters();
  }
  CUresult result =
      emulator::driver().launchKernel(handle, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, params, extra);
  if (!wanted || result != kSuccess)
    return result;
  emulator::Memory &memory = self.context().memory;
  if (!self.known.insert(contentsOf(name, entry, memory)).second) {
    for (const Area &area : entry.areas)
      memory.release(area.address);
    return result;
  }
  entry.instructions = emulator::counters().totalWarpInstructions();
  for (Area &area : entry.areas)
    for (size_t i = 0; i < entry.params.size() && area.data.empty(); ++i) {
      uint64_t copied = 0, original = 0;
      if (entry.params[i].size() != 8)
        continue;
      std::memcpy(&copied, entry.params[i].data(), 8);
      std::memcpy(&original, params[i], 8);
      const emulator::Allocation *to = memory.find(copied, 1), *from = memory.find(original, 1);
      if (!to || !from || to->base != area.address)
        continue;
      area.data.assign(from->data.get(), from->data.get() + from->bytes);
      area.written.assign(from->shadow.get(), from->shadow.get() + from->bytes);
    }
  self.kept[name].push_back(std::move(entry));
  return result;
}

Status Recorder::record(const std::vector<std::string> &launchNames, const std::set<std::string> &wanted, const std::string &when, Effort effort) {
  current = this;
  wantedNames = wanted;
  for (const std::string &name : wanted)
    kept[name];
  for (size_t i = 0; i < launchNames.size(); ++i)
    if (wanted.count(launchNames[i]))
      lastWanted = i;
  const std::vector<Parameter> &parameters = executable.inputs();
  bool onlyMatmuls = std::all_of(wanted.begin(), wanted.end(), isMatmul);
  size_t number = 0;
  for (const Trial &trial : makeTrials(parameters.size(), when)) {
    launched = 0;
    // Matrix products take most of the time. Of hundreds of tiles nothing is learned that some do not tell.
    skipsMatmul = *std::max_element(trial.dims.begin(), trial.dims.end()) > 2000 || (effort == Effort::Short && number >= 8 && number % 3 != 0);
    ++number;
    if (skipsMatmul && onlyMatmuls)
      continue;
    trialText = fmt::format("inputs of {}", fmt::join(trial.dims, " x "));
    std::vector<Tensor> inputs, outputs;
    for (size_t i = 0; i < parameters.size(); ++i)
      inputs.push_back(makeInput(parameters[i], trial, i));
    if (Status status = executable.run(inputs, &outputs); !status.ok())
      return status;
  }
  for (auto &[name, cases] : kept)
    std::stable_sort(cases.begin(), cases.end(), [](const Case &a, const Case &b) { return a.instructions < b.instructions; });
  return {};
}

void Recorder::forget(const std::string &kernel) {
  for (const Case &entry : kept[kernel])
    for (const Area &area : entry.areas)
      context().memory.release(area.address);
  kept.erase(kernel);
}

} // namespace mutation
} // namespace fourfold
