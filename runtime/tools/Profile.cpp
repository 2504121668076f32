// Tables of launches and counters.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/Profile.h"

#include "runtime/emulator/Emulator.h"
#include "runtime/tools/Counters.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace fourfold {
namespace tools {

using Json = nlohmann::ordered_json;

void resetProfile(const Device &device) {
  if (device.isEmulated())
    emulator::resetCounters();
}

Json profileJson(const Device &device, const std::vector<LaunchRecord> &records) {
  Json launches = Json::array();
  std::vector<emulator::KernelRecord> kernels;
  if (device.isEmulated())
    kernels = emulator::kernelRecords();
  size_t next = 0;
  for (const LaunchRecord &record : records) {
    Json launch = {{"label", record.label}, {"kernel", record.kernel.empty() ? "memset" : record.kernel}};
    if (!record.kernel.empty()) {
      launch["grid"] = record.grid;
      launch["block"] = record.block;
      launch["sharedBytes"] = record.sharedBytes;
    }
    launch["milliseconds"] = record.milliseconds;
    launch["bufferBytes"] = record.bufferBytes;
    if (!record.kernel.empty() && next < kernels.size())
      launch["counters"] = countersJson(kernels[next++].counters);
    launches.push_back(std::move(launch));
  }
  Json profile = {{"device", device.name()}, {"launches", std::move(launches)}};
  if (device.isEmulated())
    profile["total"] = countersJson(emulator::counters());
  return profile;
}

Status labelled(const std::vector<LaunchRecord> &records, std::vector<model::LabelledRecord> *launches) {
  std::vector<emulator::KernelRecord> kernels = emulator::kernelRecords();
  size_t next = 0;
  for (const LaunchRecord &record : records) {
    if (record.kernel.empty())
      continue;
    if (next == kernels.size() || kernels[next].name != record.kernel)
      return {StatusCode::DeviceError, fmt::format("the emulated device kept no counters of launch '{}': it keeps those of the last 4096", record.label)};
    launches->push_back({record.label, std::move(kernels[next++])});
  }
  return {};
}

//===----------------------------------------------------------------------===//
// For people
//===----------------------------------------------------------------------===//

/// The sum of the numbers of an object, at any depth under `key`.
static uint64_t sumOf(const Json &object, const char *key = nullptr) {
  uint64_t sum = 0;
  for (const auto &[name, value] : object.items()) {
    if (value.is_object())
      sum += sumOf(value, key);
    else if (value.is_number_unsigned() && (!key || name == key))
      sum += value.get<uint64_t>();
  }
  return sum;
}

static std::string counterColumns(const Json &counters) {
  return fmt::format("{:>12} {:>9} {:>12} {:>12} {:>11} {:>9}", counters["warpInstructions"].get<uint64_t>(),
                     sumOf(counters["mmas"]), counters["globalBytesRead"].get<uint64_t>(),
                     counters["globalBytesWritten"].get<uint64_t>(), sumOf(counters["shared"], "wavefronts"),
                     sumOf(counters["shared"], "conflicts"));
}

std::string profileTable(const Json &profile) {
  size_t width = 6;
  for (const Json &launch : profile["launches"])
    width = std::max(width, launch["label"].get<std::string>().size());
  bool counted = profile.contains("total");
  std::string text = fmt::format("{:<{}}  {:>10}  {:>9}", "launch", width, "blocks", "ms");
  if (counted)
    text += fmt::format(" {:>12} {:>9} {:>12} {:>12} {:>11} {:>9}", "warp instr.", "MMAs", "bytes read", "written",
                        "wavefronts", "conflicts");
  else
    text += fmt::format(" {:>14} {:>8}", "buffers, bytes", "GB/s");
  text += "\n";
  double milliseconds = 0;
  for (const Json &launch : profile["launches"]) {
    uint64_t blocks = 0;
    if (launch.contains("grid"))
      blocks =
          launch["grid"][0].get<uint64_t>() * launch["grid"][1].get<uint64_t>() * launch["grid"][2].get<uint64_t>();
    milliseconds += launch["milliseconds"].get<double>();
    text += fmt::format("{:<{}}  {:>10}  {:>9.3f}", launch["label"].get<std::string>(), width, blocks,
                        launch["milliseconds"].get<double>());
    if (launch.contains("counters"))
      text += " " + counterColumns(launch["counters"]);
    if (double time = launch["milliseconds"].get<double>(); !counted)
      text += fmt::format(" {:>14} {:>8.0f}", launch["bufferBytes"].get<uint64_t>(),
                          time > 0 ? launch["bufferBytes"].get<double>() / time / 1e6 : 0.0);
    text += "\n";
  }
  text += fmt::format("{:<{}}  {:>10}  {:>9.3f}", "total", width, "", milliseconds);
  if (!counted)
    return text + "\n(times are the GPU's own; GB/s are of a launch that reads and writes each of its buffers once)\n";
  text += " " + counterColumns(profile["total"]) + "\n";
  text += "warp instructions by class:";
  for (const auto &[name, count] : profile["total"]["instructions"].items())
    text += fmt::format("  {} {}", name, count.get<uint64_t>());
  for (const auto &[name, count] : profile["total"]["mmas"].items())
    text += fmt::format("\nMMAs {}: {}", name, count.get<uint64_t>());
  text += "\n(times are of the emulation, not of a GPU)\n";
  return profile.contains("model") ? text + "\n" + model::modelTable(profile["model"]) : text;
}

} // namespace tools
} // namespace fourfold
