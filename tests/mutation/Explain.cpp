// Survivors that change nothing, by rule and place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Explain.h"

#include "runtime/npy/Npy.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {
namespace mutation {

std::string signature(const std::string &kernel, const Mutant &mutant) {
  return kernel + " | " + mutant.kind + " | " + mutant.before + " -> " + mutant.after;
}

/// The 32 lines before and after, the mutant's own with an arrow in front. Mutants count lines from the kernel's first.
static std::string around(const Plan &plan, const KernelText &kernel, const Mutant &mutant) {
  constexpr size_t kAround = 32;
  size_t line = kernel.first + mutant.line, last = std::min(line + kAround + 1, kernel.last);
  std::string text;
  for (size_t i = std::max(line - std::min(line, kAround), kernel.first); i < last; ++i)
    text += (i == line ? "=>" : "") + plan.lines[i] + "\n";
  return text;
}

Status Explanations::read(const std::string &path) {
  std::string text;
  if (Status status = readFile(path, &text); !status.ok())
    return status;
  std::vector<std::string> lines = splitLines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty() || lines[i][0] == '#')
      continue;
    size_t at = lines[i].find(" @@ ");
    try {
      all.push_back({i + 1, lines[i], std::regex(lines[i].substr(0, at)), std::regex(at == std::string::npos ? "" : lines[i].substr(at + 4)), 0, 0});
    } catch (const std::regex_error &error) {
      return {StatusCode::InvalidArgument, fmt::format("{}:{}: {}", path, i + 1, error.what())};
    }
  }
  return {};
}

static bool matches(const Explanation &rule, const std::string &name, const std::string &lines) {
  return std::regex_match(name, rule.signature) && std::regex_search(lines, rule.context);
}

bool Explanations::explain(const Plan &plan, const KernelText &kernel, const Mutant &mutant) const {
  std::string name = signature(kernel.name, mutant), lines = around(plan, kernel, mutant);
  return std::any_of(all.begin(), all.end(), [&](const Explanation &rule) { return matches(rule, name, lines); });
}

void Explanations::count(const Plan &plan, const KernelText &kernel, const Mutant &mutant, bool survived) {
  std::string name = signature(kernel.name, mutant), lines = around(plan, kernel, mutant);
  for (Explanation &rule : all)
    if (matches(rule, name, lines))
      ++(survived ? rule.explained : rule.killed);
}

} // namespace mutation
} // namespace fourfold
