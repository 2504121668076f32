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
  Json instructions = Json::object(), mmas = Json::object();
  for (size_t i = 0; i < counters.warpInstructions.size(); ++i)
    if (counters.warpInstructions[i])
      instructions[std::string(emulator::className(static_cast<emulator::InstrClass>(i)))] =
          counters.warpInstructions[i];
  for (const auto &[kind, count] : counters.mmas)
    mmas[kind] = count;
  return {{"warpInstructions", counters.totalWarpInstructions()},
          {"instructions", instructions},
          {"mmas", mmas},
          {"globalBytesRead", counters.globalBytesRead},
          {"globalBytesWritten", counters.globalBytesWritten},
          {"globalSectorsRead", counters.globalSectorsRead},
          {"globalSectorsWritten", counters.globalSectorsWritten},
          {"shared",
           {{"loads", sharedJson(counters.sharedLoads)},
            {"stores", sharedJson(counters.sharedStores)},
            {"ldmatrix", sharedJson(counters.ldmatrix)},
            {"asyncCopies", sharedJson(counters.asyncCopies)}}},
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
  for (const auto &[kind, count] : counters.mmas)
    line("MMAs " + kind, count);
  auto global = [&](const char *name, uint64_t bytes, uint64_t sectors) {
    if (bytes)
      line(name, bytes, fmt::format("{} sectors of 32 bytes, {:.0f} % of them asked for", sectors,
                                    100.0 * static_cast<double>(bytes) / (32.0 * static_cast<double>(sectors))));
  };
  global("global bytes read", counters.globalBytesRead, counters.globalSectorsRead);
  global("global bytes written", counters.globalBytesWritten, counters.globalSectorsWritten);
  auto shared = [&](const char *name, const emulator::SharedTraffic &traffic) {
    if (traffic.wavefronts)
      line(name, traffic.wavefronts, fmt::format("wavefronts, {} of them bank conflicts", traffic.conflicts()));
  };
  shared("shared loads", counters.sharedLoads);
  shared("shared stores", counters.sharedStores);
  shared("ldmatrix", counters.ldmatrix);
  shared("asynchronous copies", counters.asyncCopies);
  return text + fmt::format("{:<28} {:>16.3f}  (of the emulation, not of a GPU)\n", "milliseconds",
                            static_cast<double>(counters.kernelNanoseconds) / 1e6);
}

} // namespace tools
} // namespace fourfold
