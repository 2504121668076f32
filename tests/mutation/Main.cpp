// fourfold-mutate: changes kernels one line at a time and counts how often the emulated device or the result tells.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Explain.h"
#include "tests/mutation/Log.h"
#include "tests/mutation/Tables.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <set>
#include <sys/wait.h>

using namespace fourfold;
using namespace fourfold::mutation;

namespace {

struct Options {
  std::vector<std::string> paths;
  std::string filter, equivalents, log;
  size_t most = 0, jobs = 2, places = 2;
  unsigned seconds = 120;
  double minimum = 0;
  bool verbose = false, retry = false, rules = false, reportOnly = false;
};

class Program {
public:
  explicit Program(Options options) : options(std::move(options)) {}

  Status run() {
    for (const std::string &stem : findPlans(options.paths))
      if (Status status = readPlan(stem, &plans.emplace_back()); !status.ok())
        return status;
    all = findDistinct(plans, options.filter, options.most);
    if (all.empty())
      return {StatusCode::NotFound, "no kernel matches, so nothing was tried"};
    if (!options.equivalents.empty())
      if (Status status = explanations.read(options.equivalents); !status.ok())
        return status;
    if (Status status = log.open(options.log, options.retry, &all); !status.ok())
      return status;
    for (Distinct &distinct : all)
      for (Trialled &mutant : distinct.mutants) {
        mutant.isExplained = mutant.verdict == Verdict::Survived && isExplained(distinct, mutant.mutant);
        if (mutant.verdict == Verdict::Survived && !mutant.isExplained && mutant.effort == Effort::Short)
          mutant.verdict.reset(); // the log is of a run in which it was explained
        left += !mutant.verdict;
      }
    std::fprintf(stderr, "fourfold-mutate: %zu plans, %zu distinct kernels, %zu mutants to try\n", plans.size(), all.size(), left);
    // A survivor that nothing explains gets a chance in other plans with its kernel, then in the first again, and there too with all inputs.
    for (size_t round = 0; round <= options.places && !options.reportOnly; ++round)
      for (size_t plan = 0; plan < plans.size(); ++plan)
        for (size_t choice = 0; choice < plans[plan].choices.size(); ++choice)
          if (Status status = tryHere(round, plan, choice); !status.ok())
            return {status.code(), plans[plan].stem + ": " + status.message()};
    report();
    return {};
  }

  bool isEnough() const { return total(all).killed() >= options.minimum; }

private:
  bool isExplained(const Distinct &distinct, const Mutant &mutant) {
    const Place &place = distinct.places.front();
    return explanations.explain(plans[place.plan], *place.text, mutant);
  }

  /// The mutants of all kernels that have the place as their `round`th.
  Status tryHere(size_t round, size_t plan, size_t choice) {
    std::vector<Distinct *> here;
    std::set<std::string> wanted;
    for (Distinct &distinct : all) {
      const Place *place = placeOf(distinct, round);
      if (!place || place->plan != plan || place->choice != choice)
        continue;
      bool anything = false;
      for (const Trialled &mutant : distinct.mutants)
        anything |= isOpen(mutant, round);
      if (!anything)
        continue;
      here.push_back(&distinct);
      wanted.insert(place->text->name);
    }
    if (here.empty())
      return {};
    const Plan &the = plans[plan];
    Recorder recorder;
    // Shared-memory races of the original are looked for below.
    useOneThread(0, emulator::CheckLevel::Fast);
    if (Status status = recorder.load(the.target, the.choices[choice].manifest, the.ptx); !status.ok())
      return status;
    if (Status status = recorder.record(the.choices[choice].launches, wanted, the.choices[choice].when, round ? Effort::Full : Effort::Short); !status.ok())
      return status;
    for (Distinct *distinct : here) {
      if (Status status = tryKernel(recorder, *distinct, round); !status.ok())
        return status;
      recorder.forget(placeOf(*distinct, round)->text->name);
    }
    return {};
  }

  /// Where the `round`th try is: in the next plan with the kernel; the last is where the first was, which left out inputs.
  const Place *placeOf(const Distinct &distinct, size_t round) const {
    size_t places = std::min(distinct.places.size(), options.places);
    return round < places ? &distinct.places[round] : round == places ? &distinct.places.front() : nullptr;
  }

  static bool isOpen(const Trialled &mutant, size_t round) {
    return round == 0 ? !mutant.verdict : mutant.verdict == Verdict::Survived && !mutant.isExplained && mutant.placesTried <= round;
  }

  Status tryKernel(const Recorder &recorder, Distinct &distinct, size_t round) {
    const Place &place = *placeOf(distinct, round);
    const Plan &plan = plans[place.plan];
    const std::string &name = place.text->name;
    struct Task {
      Trialled *mutant; // null: the kernel as it is, which has to survive
      Effort effort;
    };
    struct Running {
      Child child;
      Task task;
    };
    bool isSound = false; // the kernel as it is survives all launches
    size_t first = 0;
    std::vector<std::string> lines = linesOf(plan.lines, *place.text, &first);
    std::vector<Running> running;
    std::vector<Task> tasks = {{nullptr, Effort::Short}};
    for (Trialled &mutant : distinct.mutants)
      if (isOpen(mutant, round))
        tasks.push_back({&mutant, round ? Effort::Full : Effort::Short});
    for (size_t next = 0; next < tasks.size() || !running.empty();) {
      if (next < tasks.size() && running.size() < options.jobs) {
        Task task = tasks[next++];
        std::string original, text;
        if (task.mutant)
          original = std::exchange(lines[first + task.mutant->mutant.line], task.mutant->mutant.after);
        text = joinLines(lines);
        if (task.mutant)
          lines[first + task.mutant->mutant.line] = original;
        running.push_back({Child(), task});
        running.back().child.start(recorder, name, text, task.effort, options.seconds);
        if (running.back().child.pid() < 0)
          return {StatusCode::DeviceError, "cannot start a process"};
        continue;
      }
      tell();
      int status = 0;
      int pid = wait(&status);
      for (size_t i = 0; i < running.size(); ++i) {
        if (running[i].child.pid() != pid)
          continue;
        std::string what;
        Verdict verdict = running[i].child.finish(status, &what);
        Task task = running[i].task;
        running.erase(running.begin() + static_cast<ptrdiff_t>(i));
        if (!task.mutant && verdict != Verdict::Survived)
          return {StatusCode::DeviceError, fmt::format("kernel '{}' as it is: {} {}", name, verdictName(verdict), what)};
        if (!task.mutant)
          break;
        if (verdict == Verdict::Survived && task.effort == Effort::Short && !isExplained(distinct, task.mutant->mutant)) {
          tasks.push_back({task.mutant, Effort::Full});
          break;
        }
        // A finding on launches that the original was not checked on says nothing yet.
        if (task.effort == Effort::Full && verdict != Verdict::Survived && !std::exchange(isSound, true))
          tasks.push_back({nullptr, Effort::Full});
        task.mutant->effort = task.effort;
        record(distinct, *task.mutant, verdict, what, round);
        break;
      }
    }
    return {};
  }

  void record(Distinct &distinct, Trialled &mutant, Verdict verdict, const std::string &what, size_t round) {
    mutant.verdict = verdict;
    mutant.what = what;
    mutant.placesTried = round + 1;
    mutant.isExplained = verdict == Verdict::Survived && isExplained(distinct, mutant.mutant);
    log.write(distinct, mutant);
    if (round == 0)
      ++tried;
    open += round == 0 && verdict == Verdict::Survived && !mutant.isExplained;
    if (options.verbose)
      std::puts(describe(distinct, mutant).c_str());
  }

  std::string describe(const Distinct &distinct, const Trialled &mutant) const {
    const Place &place = distinct.places.front();
    return fmt::format("{}: {}.ptx:{}: {} {}", mutant.isExplained ? "equivalent" : verdictName(*mutant.verdict), plans[place.plan].stem,
                       place.text->first + mutant.mutant.line + 1, signature(place.text->name, mutant.mutant), mutant.what);
  }

  void tell() {
    auto now = std::chrono::steady_clock::now();
    if (now - lastTold < std::chrono::seconds(10))
      return;
    lastTold = now;
    double passed = std::chrono::duration<double>(now - started).count(), each = tried ? passed / static_cast<double>(tried) : 0;
    std::fprintf(stderr, "fourfold-mutate: %zu of %zu mutants, %zu survive unexplained; %.0f s, about %.0f s to go\n", tried, left, open, passed,
                 each * static_cast<double>(left - tried));
  }

  void report() {
    for (const Distinct &distinct : all)
      for (const Trialled &mutant : distinct.mutants)
        if (mutant.verdict == Verdict::Crashed || (mutant.verdict == Verdict::Survived && !mutant.isExplained))
          std::puts(describe(distinct, mutant).c_str());
    std::fputs(tables(plans, all).c_str(), stdout);
    if (!options.rules)
      return;
    for (const Distinct &distinct : all)
      for (const Trialled &mutant : distinct.mutants)
        if (mutant.verdict)
          explanations.count(plans[distinct.places.front().plan], *distinct.places.front().text, mutant.mutant, mutant.verdict == Verdict::Survived);
    std::puts("\nexplains  matches killed  rule");
    for (const Explanation &rule : explanations.rules())
      fmt::print("{:8}  {:14}  {}: {}\n", rule.explained, rule.killed, rule.line, rule.text);
  }

  Options options;
  std::vector<Plan> plans;
  std::vector<Distinct> all;
  Explanations explanations;
  Log log;
  size_t left = 0, tried = 0, open = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now(), lastTold = started;
};

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Changes kernels one line at a time and counts how often the emulated device or the result tells.\n");
  Options options;
  app.add_option("plans", options.paths, "Folders of plans, or PTX and manifest without their endings: generated/sm_120a/nvfp4/linear_forward")->required();
  app.add_option("--kernel", options.filter, "Only kernels whose name contains this");
  app.add_option("--per-kind", options.most,
                 "At most so many mutants of a kind for each kernel, spread over its lines, but all of waits, barriers and fences; 0: all")
      ->capture_default_str();
  app.add_option("--places", options.places, "In how many plans with its kernel a survivor is tried")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--equivalent", options.equivalents, "File of survivors that change nothing that matters, with the reason of each");
  app.add_option("--minimum", options.minimum, "Fail if fewer percent of the mutants that are not equivalent are killed")->capture_default_str();
  app.add_option("--log", options.log, "Keep each verdict in this file; those that are in it are not tried again");
  app.add_flag("--report-only", options.reportOnly, "Run nothing: the tables of what is in the log");
  app.add_flag("--retry-survivors", options.retry, "Try those again that survived according to the log");
  app.add_option("--jobs", options.jobs, "Processes at a time")->capture_default_str()->check(CLI::Range(1, 256));
  app.add_option("--seconds", options.seconds, "Limit of one mutant")->capture_default_str();
  app.add_flag("--verbose", options.verbose, "Print every mutant and how it was found");
  app.add_flag("--rules", options.rules, "Print how many survivors each line of the file explains, and how many killed mutants it matches as well");
  app.footer("Exit status: 0 enough were killed; 1 not; 2 wrong usage or unreadable files.");
  CLI11_PARSE(app, argc, argv);
  Program program(options);
  if (Status status = program.run(); !status.ok())
    return std::fprintf(stderr, "fourfold-mutate: error: %s\n", status.message().c_str()), 2;
  return program.isEnough() ? 0 : 1;
}
