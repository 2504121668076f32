// Counters as JSON and as a table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/Counters.h"

#include <fmt/format.h>

namespace fourfold {
namespace tools {

using Json = nlohmann::ordered_json;

static Json sharedJson(const emulator::SharedTraffic &traffic) {
  return {{"wavefronts", traffic.wavefronts}, {"minimum", traffic.minimum}, {"conflicts", traffic.conflicts()}};
}

Json countersJson(const emulator::Counters &counters) {
  Json instructions = Json::object(), mmas = Json::object(), slots = Json::object();
  for (size_t i = 0; i < counters.issueSlots.size(); ++i)
    if (counters.issueSlots[i])
      slots[std::string(emulator::pipeName(static_cast<emulator::Pipe>(i)))] = counters.issueSlots[i];
  uint64_t operations = 0;
  for (size_t i = 0; i < counters.warpInstructions.size(); ++i)
    if (counters.warpInstructions[i])
      instructions[std::string(emulator::className(static_cast<emulator::InstrClass>(i)))] =
          counters.warpInstructions[i];
  for (const auto &[kind, count] : counters.mmas) {
    mmas[kind] = count;
    operations += count * emulator::mmaOperations(kind);
  }
  return {{"warpInstructions", counters.totalWarpInstructions()},
          {"instructions", instructions},
          {"mmas", mmas},
          {"globalBytesRead", counters.globalBytesRead},
          {"globalBytesWritten", counters.globalBytesWritten},
          {"globalSectorsRead", counters.globalSectorsRead},
          {"globalSectorsWritten", counters.globalSectorsWritten},
          {"globalRequests",
           {{"loads", counters.globalRequests[0]},
            {"stores", counters.globalRequests[1]},
            {"atomics", counters.globalRequests[2]},
            {"copies", counters.globalRequests[3]}}},
          {"globalSectorsReadOnceABlock", counters.sectorsReadOnceABlock},
          {"footprintSectorsRead", counters.footprintRead},
          {"footprintSectorsWritten", counters.footprintWritten},
          {"atomicOperations", counters.atomicOperations},
          {"shared",
           {{"loads", sharedJson(counters.sharedLoads)},
            {"stores", sharedJson(counters.sharedStores)},
            {"ldmatrix", sharedJson(counters.ldmatrix)},
            {"stmatrix", sharedJson(counters.stmatrix)},
            {"asyncCopies", sharedJson(counters.asyncCopies)},
            {"bulkCopies", sharedJson(counters.bulkCopies)},
            {"wgmmaOperands", sharedJson(counters.wgmmaOperands)},
            {"atomics", sharedJson(counters.sharedAtomics)}}},
          {"issueSlots", slots},
          {"matrixOperations", operations},
          {"blocks", counters.blocks}};
}

std::string countersTable(const emulator::Counters &counters) {
  std::string text;
  auto line = [&](const std::string &name, uint64_t value, const std::string &note = "") {
    text += fmt::format("{:<28} {:>16}{}\n", name, value, note.empty() ? "" : "  " + note);
  };
  line("blocks", counters.blocks);
  line("warp instructions", counters.totalWarpInstructions());
  for (size_t i = 0; i < counters.warpInstructions.size(); ++i)
    if (counters.warpInstructions[i])
      line(fmt::format("  {}", emulator::className(static_cast<emulator::InstrClass>(i))), counters.warpInstructions[i]);
  line("issue slots, estimated", counters.totalIssueSlots());
  for (size_t i = 0; i < counters.issueSlots.size(); ++i)
    if (counters.issueSlots[i])
      line(fmt::format("  {}", emulator::pipeName(static_cast<emulator::Pipe>(i))), counters.issueSlots[i]);
  for (const auto &[kind, count] : counters.mmas)
    line("MMAs " + kind, count, fmt::format("{} operations", count * emulator::mmaOperations(kind)));
  auto global = [&](const char *name, uint64_t bytes, uint64_t sectors) {
    if (bytes)
      line(name, bytes, fmt::format("{} sectors of 32 bytes, {:.0f} % of them asked for", sectors,
                                    100.0 * static_cast<double>(bytes) / (32.0 * static_cast<double>(sectors))));
  };
  global("global bytes read", counters.globalBytesRead, counters.globalSectorsRead);
  global("global bytes written", counters.globalBytesWritten, counters.globalSectorsWritten);
  uint64_t requests = 0;
  for (uint64_t count : counters.globalRequests)
    requests += count;
  if (requests)
    line("global requests", requests,
         fmt::format("of warps: {} loads, {} stores, {} atomics, {} cp.async", counters.globalRequests[0], counters.globalRequests[1],
                     counters.globalRequests[2], counters.globalRequests[3]));
  if (counters.atomicOperations)
    line("global atomics", counters.atomicOperations, "of lanes");
  if (counters.footprintRead || counters.footprintWritten)
    line("footprint, bytes", 32 * (counters.footprintRead + counters.footprintWritten),
         fmt::format("{} read, {} written, each sector once; once a block {} are read", 32 * counters.footprintRead, 32 * counters.footprintWritten,
                     32 * counters.sectorsReadOnceABlock));
  auto shared = [&](const char *name, const emulator::SharedTraffic &traffic) {
    if (traffic.wavefronts)
      line(name, traffic.wavefronts, fmt::format("wavefronts, {} of them bank conflicts", traffic.conflicts()));
  };
  shared("shared loads", counters.sharedLoads);
  shared("shared stores", counters.sharedStores);
  shared("ldmatrix", counters.ldmatrix);
  shared("stmatrix", counters.stmatrix);
  shared("asynchronous copies", counters.asyncCopies);
  shared("bulk copies", counters.bulkCopies);
  shared("wgmma operands", counters.wgmmaOperands);
  shared("shared atomics", counters.sharedAtomics);
  return text + fmt::format("{:<28} {:>16.3f}  (of the emulation, not of a GPU)\n", "milliseconds",
                            static_cast<double>(counters.kernelNanoseconds) / 1e6);
}

} // namespace tools
} // namespace fourfold
