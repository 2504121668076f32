// The least time that a GPU needs for what a launch was counted to do.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/model/SpeedOfLight.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fourfold {
namespace model {

namespace {

double toDouble(uint64_t value) { return static_cast<double>(value); }

} // namespace

Status estimate(const Gpu &gpu, const emulator::Counters &counters, const Occupancy &occupancy, Estimate *result) {
  *result = Estimate();
  auto add = [&](std::string name, double seconds, std::string detail) {
    if (seconds > 0)
      result->terms.push_back({std::move(name), seconds, std::move(detail)});
  };
  // What a multiprocessor has, those have that get blocks: no term is shorter than that of the one with the most blocks.
  double used = occupancy.used > 0 ? occupancy.used : gpu.multiprocessors;
  // A warp stays in one of the four partitions of a multiprocessor.
  double partitions = occupancy.warps ? std::min(occupancy.warps, kPartitions) : kPartitions;
  double share = partitions / kPartitions;

  double slots = toDouble(counters.totalIssueSlots());
  add("issue", slots / (used * partitions * gpu.clock), fmt::format("{:.0f} warp instructions", slots));
  for (size_t i = 0; i < emulator::kPipes; ++i) {
    auto pipe = static_cast<emulator::Pipe>(i);
    if (gpu.lanes[i] == 0 || !counters.issueSlots[i])
      continue;
    uint64_t executed = counters.issueSlots[i];
    if (pipe == emulator::Pipe::Integer) // beside what only one of its two units does
      executed += counters.issueSlots[static_cast<size_t>(emulator::Pipe::Alu)] + counters.issueSlots[static_cast<size_t>(emulator::Pipe::Multiply)];
    double lanes = 32 * toDouble(executed);
    // Units of loads and stores are the multiprocessor's, the others each partition's.
    double width = gpu.lanes[i] * (pipe == emulator::Pipe::Lsu ? 1 : share);
    add(std::string(emulator::pipeName(pipe)), lanes / (used * width * gpu.clock),
        fmt::format("{} warp instructions, {:.0f} results a cycle", executed, gpu.lanes[i]));
  }

  // Steps of different kinds follow each other on the same cores.
  std::array<double, 2 * kTensorKinds> operations{};
  for (const auto &[name, count] : counters.mmas) {
    TensorKind kind;
    if (!tensorKindOf(name, &kind) || !emulator::mmaOperations(name))
      return {StatusCode::InvalidArgument, fmt::format("the cost model does not know MMAs of kind '{}'", name)};
    if (gpu.tensor[static_cast<size_t>(kind)] == 0)
      return {StatusCode::InvalidArgument,
              fmt::format("the kernel executes '{}', and the tensor cores of {} have no {}: use another --gpu", name, gpu.title, tensorKindName(kind))};
    bool isGroup = name.rfind("wgmma.", 0) == 0 || name.rfind("tcgen05.", 0) == 0;
    operations[2 * static_cast<size_t>(kind) + isGroup] += toDouble(count) * toDouble(emulator::mmaOperations(name));
  }
  double tensorSeconds = 0;
  std::string tensorDetail;
  for (size_t i = 0; i < operations.size(); ++i) {
    if (operations[i] == 0)
      continue;
    auto kind = static_cast<TensorKind>(i / 2);
    double rate = used * share * gpu.clockOf(kind) * gpu.tensor[i / 2] * (i % 2 ? 1 : gpu.warpShare);
    tensorSeconds += operations[i] / rate;
    tensorDetail += fmt::format("{}{}: {:.4g} G operations at {:.4g} T/s", tensorDetail.empty() ? "" : "; ", tensorKindName(kind), operations[i] / 1e9,
                                rate / 1e12);
    result->matrixOperations += operations[i];
  }
  add("tensor", tensorSeconds, tensorDetail);

  emulator::SharedTraffic shared = counters.sharedTotal();
  add("shared", toDouble(shared.wavefronts) / (used * gpu.clock),
      fmt::format("{} wavefronts, {} of them conflicts", shared.wavefronts, shared.conflicts()));
  // Reads miss an L1 cache once in each block; it writes through, and atomics are executed in L2.
  double l2 = kSectorBytes * toDouble(counters.sectorsReadOnceABlock + counters.globalSectorsWritten);
  double l2Rate = std::min(gpu.l2BytesACycle, used * kL2PortBytes) * gpu.clock;
  add("L2", l2 / l2Rate, fmt::format("{:.4g} MB at {:.4g} GB/s", l2 / 1e6, l2Rate / 1e9));
  result->memoryBytes = kSectorBytes * toDouble(counters.footprintRead + counters.footprintWritten);
  add("memory", result->memoryBytes / gpu.memoryBytesASecond,
      fmt::format("{:.4g} MB at {:.4g} GB/s", result->memoryBytes / 1e6, gpu.memoryBytesASecond / 1e9));

  std::stable_sort(result->terms.begin(), result->terms.end(), [](const Term &a, const Term &b) { return a.seconds > b.seconds; });
  result->seconds = result->terms.empty() ? 0 : result->terms[0].seconds;
  return {};
}

} // namespace model
} // namespace fourfold
