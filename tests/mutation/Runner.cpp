// Runs a changed kernel on the launches that were kept and says whether that was noticed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Runner.h"

#include "runtime/emulator/Emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

namespace fourfold {
namespace mutation {

static constexpr std::array<const char *, 6> kNames = {"survived", "finding", "result", "not loaded", "budget", "crashed"};

const char *verdictName(Verdict verdict) { return kNames[static_cast<size_t>(verdict)]; }

bool verdictFromName(const std::string &name, Verdict *verdict) {
  auto found = std::find(kNames.begin(), kNames.end(), name);
  *verdict = static_cast<Verdict>(found - kNames.begin());
  return found != kNames.end();
}

void useOneThread(unsigned long long budget, emulator::CheckLevel checks, emulator::BlockOrder order) {
  emulator::Options options;
  options.threads = 1;
  options.maxInstructions = budget;
  options.checks = checks;
  options.order = order;
  emulator::setOptions(options);
}

/// The first byte that the original leaves and this kernel does not, or "". Bytes that the original never writes may be anything.
static std::string compare(emulator::Memory &memory, const Case &entry) {
  for (const Area &area : entry.areas) {
    const emulator::Allocation *allocation = memory.find(area.address, 1);
    size_t count = area.data.size();
    bool same = std::memcmp(allocation->data.get(), area.data.data(), count) == 0 &&
                std::memcmp(allocation->shadow.get(), area.written.data(), count) == 0;
    for (size_t i = 0; !same && i < count; ++i)
      if (area.written[i] && (!allocation->shadow.get()[i] || allocation->data.get()[i] != area.data[i]))
        return fmt::format("byte {} of {} of the {}: {}", i, count, allocation->label,
                           allocation->shadow.get()[i] ? fmt::format("{:#04x}, not {:#04x}", allocation->data.get()[i], area.data[i])
                                                       : "not written");
  }
  return "";
}

/// What the buffers of a launch hold, to launch again.
class Saved {
public:
  Saved(emulator::Memory &memory, const Case &entry) : memory(memory) {
    for (const Area &area : entry.areas) {
      const emulator::Allocation *allocation = memory.find(area.address, 1);
      areas.push_back({area.address, {allocation->data.get(), allocation->data.get() + allocation->bytes},
                       {allocation->shadow.get(), allocation->shadow.get() + allocation->bytes}});
    }
  }
  void restore() const {
    for (const Area &area : areas) {
      emulator::Allocation *allocation = memory.find(area.address, 1);
      std::copy(area.data.begin(), area.data.end(), allocation->data.get());
      std::copy(area.written.begin(), area.written.end(), allocation->shadow.get());
    }
  }

private:
  emulator::Memory &memory;
  std::vector<Area> areas;
};

Verdict test(const Recorder &recorder, const std::string &kernel, const std::string &ptx, Effort effort, std::string *what) {
  emulator::Context &context = recorder.context();
  std::unique_ptr<emulator::Module> module;
  if (emulator::loadModule(ptx.c_str(), emulator::kDevices[context.ordinal], context.memory, module, *what))
    return Verdict::NotLoaded;
  auto found = module->functions.find(kernel);
  if (found == module->functions.end() || !found->second->kernel.missing.empty()) {
    *what = "the kernel has instructions that the device does not know";
    return Verdict::NotLoaded;
  }
  emulator::LoadedFunction &function = *found->second;
  function.maxDynamicShared = emulator::kDevices[context.ordinal].sharedOptin;
  constexpr unsigned long long kShort = 1'000'000;
  unsigned long long instructions = 0;
  for (const Case &entry : recorder.cases(kernel)) {
    instructions += entry.instructions;
    if (effort == Effort::Short && instructions > kShort && &entry != recorder.cases(kernel).data())
      break;
    std::vector<void *> params;
    for (const auto &param : entry.params)
      params.push_back(const_cast<uint8_t *>(param.data()));
    // A block that writes what is a later one's is not seen where that one comes later.
    bool inBothOrders = effort == Effort::Full && entry.shape.grid[0] * entry.shape.grid[1] * entry.shape.grid[2] > 1;
    std::optional<Saved> saved;
    if (inBothOrders)
      saved.emplace(context.memory, entry);
    for (auto order : {emulator::BlockOrder::Ascending, emulator::BlockOrder::Descending}) {
      bool isSecond = order == emulator::BlockOrder::Descending;
      if (isSecond && !inBothOrders)
        break;
      if (isSecond)
        saved->restore();
      std::string where = fmt::format(" ({}{})", entry.text, isSecond ? ", blocks from the last" : "");
      // No block needs more than all blocks of the original did.
      useOneThread(entry.instructions * 2 + 20000, emulator::CheckLevel::Full, order);
      if (int error = emulator::launch(context, function, entry.shape, params.data(), *what)) {
        *what += where;
        return error == device::kErrorLaunchTimeout || what->find("budget") != std::string::npos ? Verdict::Budget : Verdict::Finding;
      }
      if (std::string difference = compare(context.memory, entry); !difference.empty()) {
        *what = difference + where;
        return Verdict::Result;
      }
    }
  }
  return Verdict::Survived;
}

void Child::start(const Recorder &recorder, const std::string &kernel, const std::string &ptx, Effort effort, unsigned seconds) {
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
      verdict = test(recorder, kernel, ptx, effort, &what);
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
