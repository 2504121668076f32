// Mutants of PTX text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Mutate.h"

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <set>

namespace fourfold {
namespace mutation {

std::vector<std::string> splitLines(const std::string &text) {
  std::vector<std::string> lines;
  for (size_t start = 0; start < text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

std::string joinLines(const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines)
    text += line + "\n";
  return text;
}

static std::string trimmed(const std::string &line) {
  size_t start = line.find_first_not_of(" \t");
  return start == std::string::npos ? "" : line.substr(start, line.find_last_not_of(" \t") - start + 1);
}

std::vector<KernelText> findKernels(const std::vector<std::string> &lines) {
  std::vector<KernelText> kernels;
  for (size_t i = 0; i < lines.size(); ++i) {
    size_t entry = lines[i].find(".entry ");
    if (entry == std::string::npos)
      continue;
    KernelText kernel;
    kernel.head = i;
    kernel.name = lines[i].substr(entry + 7, lines[i].find('(') - entry - 7);
    while (i < lines.size() && lines[i] != "{")
      ++i;
    kernel.first = i + 1;
    // Inline assembly has blocks of its own, which may end at the start of a line.
    for (int depth = 1; depth && ++i < lines.size();) {
      std::string line = trimmed(lines[i]);
      depth += (line == "{") - (line == "}");
    }
    kernel.last = i;
    kernels.push_back(kernel);
  }
  return kernels;
}

namespace {

/// What a line becomes for a match of its pattern.
struct Rule {
  const char *kind;
  std::regex pattern; // searched in the trimmed line
  std::function<std::string(const std::smatch &)> change;
};

std::string plus(const std::string &number, long amount) { return std::to_string(std::stol(number) + amount); }

const std::vector<Rule> &rules() {
  using Match = const std::smatch &;
  auto gone = [](Match) { return std::string(); };
  static const std::vector<Rule> all = {
      {"wait", std::regex(R"(^cp\.async\.wait_(group\s+\d+|all)\s*;)"), gone},
      {"wait", std::regex(R"(^(cp\.async\.wait_group\s+)(\d+);)"), [](Match m) { return m.str(1) + plus(m.str(2), 1) + ";"; }},
      {"wait", std::regex(R"(^cp\.async\.commit_group\s*;)"), gone},
      {"wait", std::regex(R"(^wgmma\.wait_group\.sync\.aligned\s+\d+\s*;)"), gone},
      {"wait", std::regex(R"(^(wgmma\.wait_group\.sync\.aligned\s+)(\d+);)"), [](Match m) { return m.str(1) + plus(m.str(2), 1) + ";"; }},
      {"wait", std::regex(R"(^wgmma\.commit_group\.)"), gone},
      {"barrier", std::regex(R"(^(bar|barrier)\.(cta\.)?sync)"), gone},
      {"warp barrier", std::regex(R"(^bar\.warp\.sync)"), gone},
      {"fence", std::regex(R"(^(fence|membar|wgmma\.fence)\.)"), gone},
      {"predicate", std::regex(R"(^@(!?)(%p\d+)(.*)$)"),
       [](Match m) { return (m.str(1).empty() ? "@!" : "@") + m.str(2) + m.str(3); }},
      {"predicate", std::regex(R"(^@!?%p\d+\s+(.*)$)"), [](Match m) { return m.str(1); }},
      {"predicate", std::regex(R"(^@!?%p\d+\s+bra)"), gone},
      {"bound", std::regex(R"(^(setp\.)(lt|le|gt|ge)(\.[su]\d+.*)$)"),
       [](Match m) {
         std::string op = m.str(2);
         return m.str(1) + op[0] + (op[1] == 't' ? 'e' : 't') + m.str(3);
       }},
      {"bound", std::regex(R"(^((?:min|max)\.[su]32\s+%r\d+, )(%r\d+), .*;)"),
       [](Match m) { return "mov.b32 " + m.str(1).substr(m.str(1).find('%')) + m.str(2) + ";"; }},
      {"selector", std::regex(R"(^(selp\.\S+\s+\S+), (\S+), (\S+), (%p\d+);)"),
       [](Match m) { return m.str(1) + ", " + m.str(3) + ", " + m.str(2) + ", " + m.str(4) + ";"; }},
      {"selector", std::regex(R"(^(prmt\.b32\s+.*, )(0x)?([0-9a-fA-F]+)U?;)"),
       [](Match m) {
         unsigned long value = std::stoul(m.str(3), nullptr, m.str(2).empty() ? 10 : 16);
         return m.str(1) + std::to_string(value ^ 1ul) + ";";
       }},
      // The thread selector of an operand of scales: of the A operand {0, 0} or {0, 1}, of B {0, 0} to {0, 3}.
      {"selector", std::regex(R"(^(.*\{\s*0, )([0-3])(\}.*)$)"),
       [](Match m) { return m.str(1) + (m.str(2) == "0" ? "1" : "0") + m.str(3); }},
      {"swizzle", std::regex(R"(^xor\.b32\s+(%r\d+), (%r\d+), .*;)"),
       [](Match m) { return "mov.b32 " + m.str(1) + ", " + m.str(2) + ";"; }},
      {"swizzle", std::regex(R"(^((?:and|or)\.b32\s+%r\d+, %r\d+, )(\d+);)"),
       [](Match m) {
         // The highest bit; of large masks that clear low bits, whose high bits no index reaches, the lowest that they keep.
         unsigned long value = std::stoul(m.str(2)), bit = value & (~value + 1);
         while ((value < 65536 || (value & (value + 1)) == 0) && bit * 2 <= value)
           bit *= 2;
         return m.str(1) + std::to_string(value ^ bit) + ";";
       }},
      {"index", std::regex(R"(^(setp\.(?:eq|ne)\.[bsu]32\s+%p\d+, %r\d+, )(\d+);)"),
       [](Match m) { return m.str(1) + plus(m.str(2), 1) + ";"; }},
      {"index", std::regex(R"(^(add\.s32\s+%r\d+, %r\d+, )(-?\d+);)"), [](Match m) { return m.str(1) + plus(m.str(2), 1) + ";"; }},
      {"index", std::regex(R"(^((?:shl|shr)\.[bus]32\s+%r\d+, %r\d+, )(\d+);)"),
       [](Match m) { return m.str(1) + plus(m.str(2), m.str(2) == "0" ? 1 : -1) + ";"; }},
      // Of a descriptor of a shared operand, which counts 16 bytes: a step along K of one instruction.
      {"address", std::regex(R"(^(add\.s64\s+%descriptor, %rd\d+, )(\d+);)"), [](Match m) { return m.str(1) + plus(m.str(2), 2) + ";"; }},
      {"address", std::regex(R"(^(add\.s64\s+%rd\d+, %rd\d+, )(-?\d+);)"), [](Match m) { return m.str(1) + plus(m.str(2), 16) + ";"; }},
      {"address", std::regex(R"(^((?:ld|st|cp|ldmatrix|red|atom)\..*\[%rd?\d+)(\+(-?\d+))?(\].*)$)"),
       [](Match m) {
         if (m.str(1).find("ld.param") == 0)
           return m.str();
         // A whole access further, so that it stays aligned.
         bool wide = m.str().find(".v4") != std::string::npos || m.str().find("cp.async") == 0 || m.str().find("ldmatrix") == 0;
         long step = wide ? 16 : m.str().find(".v2") != std::string::npos ? 8 : 4;
         return m.str(1) + "+" + std::to_string((m.str(3).empty() ? 0 : std::stol(m.str(3))) + step) + m.str(4);
       }},
  };
  return all;
}

} // namespace

bool isOrder(const std::string &kind) { return kind == "wait" || kind == "barrier" || kind == "warp barrier" || kind == "fence"; }

std::vector<Mutant> enumerate(const std::vector<std::string> &lines, const KernelText &kernel) {
  std::vector<Mutant> mutants;
  for (size_t i = kernel.first; i < kernel.last; ++i) {
    std::string line = trimmed(lines[i]);
    if (line.empty() || line[0] == '.' || line[0] == '/')
      continue;
    for (const Rule &rule : rules()) {
      std::smatch match;
      if (!std::regex_search(line, match, rule.pattern))
        continue;
      std::string after = rule.change(match);
      if (after != line)
        mutants.push_back({i, rule.kind, line, after});
    }
  }
  return mutants;
}

std::vector<Mutant> sample(const std::vector<Mutant> &all, size_t most) {
  if (!most)
    return all;
  std::map<std::string, std::vector<Mutant>> byKind;
  std::vector<Mutant> picked;
  for (const Mutant &mutant : all)
    if (isOrder(mutant.kind))
      picked.push_back(mutant);
    else
      byKind[mutant.kind].push_back(mutant);
  for (const auto &[kind, mutants] : byKind) {
    // At 0, 1/2, 1/4, 3/4, 1/8, ... of the list: a larger sample holds the smaller ones.
    std::set<size_t> taken;
    for (size_t i = 0; taken.size() < std::min(most, mutants.size()); ++i) {
      double place = 0;
      for (size_t bits = i, part = 2; bits; bits /= 2, part *= 2)
        place += static_cast<double>(bits % 2) / static_cast<double>(part);
      taken.insert(static_cast<size_t>(place * static_cast<double>(mutants.size())));
    }
    for (size_t i : taken)
      picked.push_back(mutants[i]);
  }
  return picked;
}

std::vector<std::string> linesOf(const std::vector<std::string> &lines, const KernelText &kernel, size_t *first) {
  std::vector<std::string> picked;
  std::vector<KernelText> all = findKernels(lines);
  auto other = all.begin();
  for (size_t i = 0; i < lines.size(); ++i) {
    while (other != all.end() && (i > other->last || other->name == kernel.name))
      ++other;
    if (other != all.end() && i >= other->head)
      continue;
    if (i == kernel.first)
      *first = picked.size();
    picked.push_back(lines[i]);
  }
  return picked;
}

std::string normalised(const std::vector<std::string> &lines, const KernelText &kernel) {
  static const std::regex label(R"(\$L__BB\d+_)");
  std::string text;
  for (size_t i = kernel.head; i < kernel.last; ++i) {
    std::string line = lines[i];
    for (size_t at; (at = line.find(kernel.name)) != std::string::npos;)
      line.replace(at, kernel.name.size(), "$");
    text += (line.find("$L__BB") == std::string::npos ? line : std::regex_replace(line, label, "$$L_")) + "\n";
  }
  return text;
}

} // namespace mutation
} // namespace fourfold
