// fourfold-mutate: changes kernels one line at a time and counts how often the emulated device or the result tells.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/npy/Npy.h"
#include "tests/mutation/Mutate.h"
#include "tests/mutation/Runner.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <regex>
#include <sys/wait.h>

using namespace fourfold;
using namespace fourfold::mutation;
using Json = nlohmann::ordered_json;

namespace {

struct Tally {
  size_t made = 0, finding = 0, result = 0, notLoaded = 0, budget = 0, equivalent = 0, survived = 0, crashed = 0;
  Tally &operator+=(const Tally &o) {
    made += o.made, finding += o.finding, result += o.result, notLoaded += o.notLoaded, budget += o.budget;
    equivalent += o.equivalent, survived += o.survived, crashed += o.crashed;
    return *this;
  }
  double killed() const {
    size_t counted = made - equivalent;
    return counted ? 100.0 * static_cast<double>(counted - survived - crashed) / static_cast<double>(counted) : 100.0;
  }
};

struct Task {
  std::shared_ptr<Job> job;
  std::shared_ptr<const std::vector<std::string>> lines;
  std::string kernel, file;
  size_t first; // line of the kernel's body
  Mutant mutant;
};

/// "matmul_nvfp4_64x64_to_y" -> "matmul".
std::string kindOf(const std::string &kernel) { return kernel.substr(0, kernel.find('_')); }

std::string signature(const Task &task) { return task.kernel + " | " + task.mutant.kind + " | " + task.mutant.before + " -> " + task.mutant.after; }

/// A line of the file of equivalents: what the signature of a survivor must match, and the lines around it.
struct Explanation {
  std::regex signature, context;
};

std::vector<Explanation> readExplanations(const std::string &text) {
  std::vector<Explanation> explanations;
  for (const std::string &line : splitLines(text)) {
    if (line.empty() || line[0] == '#')
      continue;
    size_t at = line.find(" @@ ");
    explanations.push_back({std::regex(line.substr(0, at)), std::regex(at == std::string::npos ? "" : line.substr(at + 4))});
  }
  return explanations;
}

bool isExplained(const Task &task, const std::vector<Explanation> &explanations) {
  constexpr size_t kAround = 16;
  std::string around, name = signature(task);
  size_t line = task.mutant.line, last = std::min(line + kAround + 1, task.lines->size());
  for (size_t i = line > kAround ? line - kAround : 0; i < last; ++i)
    around += (*task.lines)[i] + "\n";
  for (const Explanation &explanation : explanations)
    if (std::regex_match(name, explanation.signature) && std::regex_search(around, explanation.context))
      return true;
  return false;
}

/// One plan for each choice of kernels: with several variants of a launch, one at a time.
std::vector<std::pair<Json, std::string>> reducedPlans(const Json &manifest) {
  size_t variants = 1;
  for (const Json &launch : manifest["launches"])
    if (launch.contains("variants"))
      variants = std::max(variants, launch["variants"].size());
  std::vector<std::pair<Json, std::string>> plans;
  for (size_t choice = variants; choice-- > 0;) {
    Json plan = manifest;
    std::string when;
    for (Json &launch : plan["launches"]) {
      if (!launch.contains("variants"))
        continue;
      Json chosen = launch["variants"][std::min(choice, launch["variants"].size() - 1)];
      if (launch["variants"].size() > 1)
        when = chosen["when"].get<std::string>();
      chosen["when"] = "1";
      launch["variants"] = Json::array({chosen});
    }
    plans.emplace_back(std::move(plan), when);
  }
  return plans;
}

/// Up to `most` of each kernel's mutants of each kind, evenly over its lines; 0: all.
std::vector<Mutant> sample(const std::vector<Mutant> &all, size_t most) {
  if (!most)
    return all;
  std::map<std::string, std::vector<Mutant>> byKind;
  for (const Mutant &mutant : all)
    byKind[mutant.kind].push_back(mutant);
  std::vector<Mutant> picked;
  for (const auto &[kind, mutants] : byKind)
    for (size_t i = 0, count = std::min(most, mutants.size()); i < count; ++i)
      picked.push_back(mutants[i * mutants.size() / count]);
  return picked;
}

Status addTasks(const std::string &stem, const std::string &filter, size_t most, std::set<std::string> *seen, std::vector<Task> *tasks) {
  std::string ptx, manifestText;
  if (Status status = readFile(stem + ".ptx", &ptx); !status.ok())
    return status;
  if (Status status = readFile(stem + ".manifest.json", &manifestText); !status.ok())
    return status;
  Json manifest = Json::parse(manifestText);
  auto lines = std::make_shared<const std::vector<std::string>>(splitLines(ptx));
  for (const auto &[plan, when] : reducedPlans(manifest)) {
    auto job = std::make_shared<Job>();
    if (Status status = job->prepare(manifest["target"].get<std::string>(), plan.dump(), ptx, when); !status.ok())
      return {status.code(), stem + ": " + status.message()};
    for (const KernelText &kernel : findKernels(*lines)) {
      if (!job->kernels().count(kernel.name) || kernel.name.find(filter) == std::string::npos)
        continue;
      std::string body = kernel.name;
      for (size_t i = kernel.first; i < kernel.last; ++i)
        body += (*lines)[i];
      if (!seen->insert(body).second)
        continue;
      for (const Mutant &mutant : sample(enumerate(*lines, kernel), most))
        tasks->push_back({job, lines, kernel.name, stem, kernel.first, mutant});
    }
  }
  return {};
}

std::string row(const std::string &kind, const std::string &change, const Tally &t) {
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1f} % |\n", kind, change, t.made, t.finding, t.result, t.budget,
                     t.notLoaded, t.equivalent, t.survived + t.crashed, t.killed());
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Changes kernels one line at a time and counts how often the emulated device or the result tells.\n");
  std::vector<std::string> stems;
  std::string filter, equivalents;
  size_t most = 0, jobs = 2;
  unsigned seconds = 60;
  double minimum = 0;
  bool verbose = false;
  app.add_option("plans", stems, "PTX and manifest without their endings: generated/sm_120a/nvfp4/linear_forward")->required();
  app.add_option("--kernel", filter, "Only kernels whose name contains this");
  app.add_option("--per-kind", most, "At most so many mutants of a kind for each kernel, spread over its lines; 0: all")->capture_default_str();
  app.add_option("--equivalent", equivalents, "File of survivors that change nothing that matters, with the reason of each");
  app.add_option("--minimum", minimum, "Fail if fewer percent of the mutants that are not equivalent are killed")->capture_default_str();
  app.add_option("--jobs", jobs, "Processes at a time")->capture_default_str()->check(CLI::Range(1, 256));
  app.add_option("--seconds", seconds, "Limit of one mutant")->capture_default_str();
  app.add_flag("--verbose", verbose, "Print every mutant and how it was found");
  app.footer("Exit status: 0 enough were killed; 1 not; 2 wrong usage or unreadable files.");
  CLI11_PARSE(app, argc, argv);
  std::string known;
  if (!equivalents.empty())
    if (Status status = readFile(equivalents, &known); !status.ok())
      return std::fprintf(stderr, "fourfold-mutate: error: %s\n", status.message().c_str()), 2;
  std::vector<Explanation> explanations = readExplanations(known);

  std::vector<Task> tasks;
  std::set<std::string> seen;
  for (const std::string &stem : stems)
    if (Status status = addTasks(stem, filter, most, &seen, &tasks); !status.ok())
      return std::fprintf(stderr, "fourfold-mutate: error: %s\n", status.message().c_str()), 2;

  std::map<std::pair<std::string, std::string>, Tally> tallies;
  std::vector<std::string> survivors;
  auto record = [&](const Task &task, Verdict verdict, const std::string &what) {
    Tally &t = tallies[{kindOf(task.kernel), task.mutant.kind}];
    ++t.made;
    static const char *const names[] = {"survived", "finding", "result", "not loaded", "budget", "crashed"};
    bool isEquivalent = verdict == Verdict::Survived && isExplained(task, explanations);
    if (isEquivalent)
      ++t.equivalent;
    else if (verdict == Verdict::Survived)
      ++t.survived;
    else if (verdict == Verdict::Finding)
      ++t.finding;
    else if (verdict == Verdict::Result)
      ++t.result;
    else if (verdict == Verdict::NotLoaded)
      ++t.notLoaded;
    else if (verdict == Verdict::Budget)
      ++t.budget;
    else
      ++t.crashed;
    bool open = (verdict == Verdict::Survived && !isEquivalent) || verdict == Verdict::Crashed;
    std::string text = fmt::format("{}: {}.ptx:{}: {} {}", isEquivalent ? "equivalent" : names[static_cast<int>(verdict)], task.file, task.mutant.line + 1,
                                   signature(task), what);
    if (verbose)
      std::puts(text.c_str());
    if (open)
      survivors.push_back(text);
  };
  auto lastTold = std::chrono::steady_clock::now();
  auto tell = [&](size_t next) {
    if (std::chrono::steady_clock::now() - lastTold < std::chrono::seconds(10))
      return;
    lastTold = std::chrono::steady_clock::now();
    std::fprintf(stderr, "fourfold-mutate: %zu of %zu mutants, %zu survive unexplained\n", next, tasks.size(), survivors.size());
  };
  std::vector<std::pair<Child, const Task *>> running;
  for (size_t next = 0; next < tasks.size() || !running.empty();) {
    if (next < tasks.size() && running.size() < jobs) {
      const Task &task = tasks[next++];
      std::vector<std::string> lines = *task.lines;
      lines[task.mutant.line] = task.mutant.after;
      running.emplace_back(Child(), &task);
      running.back().first.start(*task.job, joinLines(lines), seconds);
      if (running.back().first.pid() < 0)
        return std::fprintf(stderr, "fourfold-mutate: error: cannot start a process\n"), 2;
      continue;
    }
    tell(next);
    int status = 0;
    int pid = wait(&status);
    for (size_t i = 0; i < running.size(); ++i)
      if (running[i].first.pid() == pid) {
        std::string what;
        Verdict verdict = running[i].first.finish(status, &what);
        record(*running[i].second, verdict, what);
        running.erase(running.begin() + static_cast<ptrdiff_t>(i));
        break;
      }
  }
  for (const std::string &text : survivors)
    std::puts(text.c_str());
  std::puts("| kernels | change | made | finding | other result | budget | not loaded | equivalent | surviving | killed |\n"
            "|---|---|---|---|---|---|---|---|---|---|");
  Tally total;
  for (const auto &[key, tally] : tallies) {
    std::fputs(row(key.first, key.second, tally).c_str(), stdout);
    total += tally;
  }
  std::fputs(row("all", "all", total).c_str(), stdout);
  if (!total.made)
    return std::fprintf(stderr, "fourfold-mutate: error: no kernel matches, so nothing was tried\n"), 2;
  return total.killed() >= minimum ? 0 : 1;
}
