// Prints what became of mutants: by kernel, by change, by plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fourfold {
namespace mutation {

void Tally::add(const Trialled &mutant) {
  if (!mutant.verdict)
    return;
  ++made;
  switch (*mutant.verdict) {
  case Verdict::Finding:
    ++finding;
    break;
  case Verdict::Result:
    ++result;
    break;
  case Verdict::NotLoaded:
    ++notLoaded;
    break;
  case Verdict::Budget:
    ++budget;
    break;
  case Verdict::Survived:
  case Verdict::Crashed: // the emulated device's own fault: nothing to be counted as noticed
    ++(mutant.isExplained ? equivalent : survived);
  }
}

void Tally::add(const Distinct &distinct) {
  ++kernels;
  for (const Trialled &mutant : distinct.mutants)
    add(mutant);
}

double Tally::killed() const {
  size_t counted = made - equivalent;
  return counted ? 100.0 * static_cast<double>(counted - survived) / static_cast<double>(counted) : 100.0;
}

Tally total(const std::vector<Distinct> &all) {
  Tally sum;
  for (const Distinct &distinct : all)
    sum.add(distinct);
  return sum;
}

static std::string header(const std::vector<std::string> &columns) {
  std::string names = "|", rule = "|";
  for (const std::string &column : columns)
    names += " " + column + " |", rule += "---|";
  for (const char *column : {"made", "finding", "other result", "budget", "not loaded", "equivalent", "surviving", "killed of those not equivalent"})
    names += fmt::format(" {} |", column), rule += "---|";
  return names + "\n" + rule + "\n";
}

static std::string row(const std::string &what, const Tally &t) {
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {:.1f} % |\n", what, t.made, t.finding, t.result, t.budget, t.notLoaded, t.equivalent,
                     t.survived, t.killed());
}

std::string tables(const std::vector<Plan> &plans, const std::vector<Distinct> &all) {
  std::map<std::string, Tally> byKind, byChange, byPlan;
  for (const Distinct &distinct : all) {
    const std::string &name = distinct.places.front().text->name;
    byKind[fmt::format("`{}` | {}", distinct.target, name.substr(0, name.find('_')))].add(distinct);
    for (const Trialled &mutant : distinct.mutants)
      byChange[mutant.mutant.kind].add(mutant);
    for (const Place &place : distinct.places)
      byPlan["`" + plans[place.plan].stem + "`"].add(distinct);
  }
  std::string text = header({"target", "kernels", "texts"});
  for (const auto &[kind, tally] : byKind)
    text += row(fmt::format("{} | {}", kind, tally.kernels), tally);
  Tally sum = total(all);
  text += row(fmt::format("all | all | {}", sum.kernels), sum) + "\n" + header({"change"});
  for (const auto &[change, tally] : byChange)
    text += row(change, tally);
  text += "\n" + header({"plan, with all its kernels"});
  for (const auto &[plan, tally] : byPlan)
    text += row(plan, tally);
  return text;
}

} // namespace mutation
} // namespace fourfold
