// The cost model's tables, as JSON and for people.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/Report.h"

#include "runtime/model/Occupancy.h"
#include "runtime/model/Resources.h"
#include "runtime/model/SpeedOfLight.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace fourfold {
namespace model {

using Json = nlohmann::ordered_json;

namespace {

Json occupancyJson(const Occupancy &occupancy) {
  Json json = {{"blocks", occupancy.blocks}, {"limit", occupancy.limit}, {"byWarps", occupancy.byWarps}, {"byBlocks", occupancy.byBlocks},
               {"byShared", occupancy.byShared}};
  if (occupancy.byRegisters)
    json["byRegisters"] = occupancy.byRegisters;
  json["warps"] = occupancy.fraction;
  json["waves"] = occupancy.waves;
  json["lastWave"] = occupancy.tail;
  json["multiprocessorsUsed"] = occupancy.used;
  return json;
}

Json estimateJson(const Estimate &estimate) {
  Json terms = Json::array();
  for (const Term &term : estimate.terms)
    terms.push_back({{"name", term.name}, {"microseconds", term.seconds * 1e6}, {"fraction", term.seconds / estimate.seconds}, {"detail", term.detail}});
  return {{"microseconds", estimate.seconds * 1e6}, {"binds", estimate.binds()}, {"terms", std::move(terms)},
          {"matrixOperations", estimate.matrixOperations}, {"matrixOperationsPerSecond", estimate.operationsASecond()},
          {"memoryBytes", estimate.memoryBytes}, {"memoryBytesPerSecond", estimate.bytesASecond()}};
}

} // namespace

Status modelJson(const Gpu &gpu, const std::string &ptx, const std::string &target, const std::vector<LabelledRecord> &records, Json *json) {
  if (std::string reason = whyNot(gpu, target); !reason.empty())
    return {StatusCode::InvalidArgument, fmt::format("--gpu {}: {}", gpu.name, reason)};
  Assembled assembled = assembleForModel(ptx, machineTarget(gpu, target));
  Json launches = Json::array();
  for (const LabelledRecord &labelled : records) {
    const emulator::KernelRecord &record = labelled.record;
    LaunchShape shape;
    shape.blocks = uint64_t{record.grid[0]} * record.grid[1] * record.grid[2];
    shape.threads = record.block[0] * record.block[1] * record.block[2];
    shape.sharedBytes = record.sharedBytes;
    Json launch = {{"label", labelled.label}, {"kernel", record.name}, {"blocks", shape.blocks}, {"threads", shape.threads}, {"sharedBytes", shape.sharedBytes},
                   {"instructionsEstimated", record.staticSlots}};
    if (auto found = assembled.kernels.find(record.name); found != assembled.kernels.end()) {
      const KernelResources &resources = found->second;
      shape.registers = resources.registers;
      launch["registers"] = resources.registers;
      launch["machineInstructions"] = resources.machineInstructions;
      if (resources.spillsKnown)
        launch["spillBytes"] = resources.spillStores + resources.spillLoads;
    }
    Occupancy occupancy = occupancyOf(gpu, shape);
    if (!occupancy.blocks)
      return {StatusCode::InvalidArgument, fmt::format("--gpu {}: not one block of kernel '{}' fits into a multiprocessor of {}: {} threads, {} bytes of "
                                                       "shared memory; the limit is {}",
                                                       gpu.name, record.name, gpu.title, shape.threads, shape.sharedBytes, occupancy.limit)};
    launch["occupancy"] = occupancyJson(occupancy);
    Estimate result;
    if (Status status = estimate(gpu, record.counters, occupancy, &result); !status.ok())
      return {status.code(), fmt::format("--gpu {}: kernel '{}': {}", gpu.name, record.name, status.message())};
    launch["speedOfLight"] = estimateJson(result);
    launches.push_back(std::move(launch));
  }
  *json = {{"gpu", gpu.name}, {"title", gpu.title}};
  (*json)[assembled.by.empty() ? "notAssembled" : "assembledBy"] = assembled.by.empty() ? assembled.reason : assembled.by;
  (*json)["launches"] = std::move(launches);
  return {};
}

std::string modelTable(const Json &model) {
  const Json &launches = model["launches"];
  // Columns for the terms that any launch has, in the order of the model.
  std::vector<std::string> columns;
  for (const char *name : {"issue", "fma", "half", "alu", "integer", "multiply", "fp64", "xu", "lsu", "tensor", "shared", "L2", "memory"})
    for (const Json &launch : launches)
      for (const Json &term : launch["speedOfLight"]["terms"])
        if (term["name"] == name && std::find(columns.begin(), columns.end(), name) == columns.end())
          columns.push_back(name);
  size_t width = 6;
  for (const Json &launch : launches)
    width = std::max(width, launch["label"].get<std::string>().size());

  std::string text = fmt::format("least times on {}; columns are parts of the time, in percent of what binds\n{:<{}} {:>10}  {:<8}",
                                 model["title"].get<std::string>(), "launch", width, "us", "binds");
  for (const std::string &column : columns)
    text += fmt::format(" {:>8}", column);
  text += fmt::format(" {:>9} {:>8}\n", "matrix T/s", "GB/s");
  double sum = 0;
  for (const Json &launch : launches) {
    const Json &speed = launch["speedOfLight"];
    sum += speed["microseconds"].get<double>();
    text += fmt::format("{:<{}} {:>10.3f}  {:<8}", launch["label"].get<std::string>(), width, speed["microseconds"].get<double>(),
                        speed["binds"].get<std::string>());
    for (const std::string &column : columns) {
      std::string cell = "-";
      for (const Json &term : speed["terms"])
        if (term["name"] == column)
          cell = fmt::format("{:.0f}", 100 * term["fraction"].get<double>());
      text += fmt::format(" {:>8}", cell);
    }
    text += fmt::format(" {:>10.1f} {:>8.0f}\n", speed["matrixOperationsPerSecond"].get<double>() / 1e12,
                        speed["memoryBytesPerSecond"].get<double>() / 1e9);
  }
  text += fmt::format("{:<{}} {:>10.3f}\n\n", "total", width, sum);

  text += fmt::format("{:<{}} {:>8} {:>9} {:>7} {:>9} {:>7} {:>6} {:>6} {:>9}  {:<13} {:>5} {:>7} {:>6} {:>8}\n", "launch", width, "blocks", "registers",
                      "spilled", "shared", "threads", "SASS", "est.", "blocks/SM", "limit", "warps", "waves", "last", "SMs used");
  for (const Json &launch : launches) {
    const Json &occupancy = launch["occupancy"];
    auto number = [&](const char *key) { return launch.contains(key) ? std::to_string(launch[key].get<unsigned>()) : "-"; };
    text += fmt::format("{:<{}} {:>8} {:>9} {:>7} {:>9} {:>7} {:>6} {:>6} {:>9}  {:<13} {:>4.0f}% {:>7} {:>5.0f}% {:>8.1f}\n", launch["label"].get<std::string>(),
                        width, launch["blocks"].get<uint64_t>(), number("registers"), number("spillBytes"), launch["sharedBytes"].get<unsigned>(),
                        launch["threads"].get<unsigned>(), number("machineInstructions"), number("instructionsEstimated"), occupancy["blocks"].get<unsigned>(),
                        occupancy["limit"].get<std::string>(), 100 * occupancy["warps"].get<double>(), occupancy["waves"].get<uint64_t>(),
                        100 * occupancy["lastWave"].get<double>(), occupancy["multiprocessorsUsed"].get<double>());
  }
  if (model.contains("notAssembled"))
    text += fmt::format("(without registers, which may allow fewer blocks: {})\n", model["notAssembled"].get<std::string>());
  else
    text += fmt::format("(registers, spilled bytes and machine instructions of {}; est.: those of the text as the model counts them)\n", model["assembledBy"].get<std::string>());
  return text + "(bounds from counts: no latency, all parts overlap, memory is read once; see docs/emulator.md)\n";
}

} // namespace model
} // namespace fourfold
