// Survivors that change nothing, by rule and place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_EXPLAIN_H
#define FOURFOLD_TESTS_MUTATION_EXPLAIN_H

#include "tests/mutation/Plans.h"

#include <regex>
#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

/// "KERNEL | CHANGE | BEFORE -> AFTER"
std::string signature(const std::string &kernel, const Mutant &mutant);

/// A line of the file of equivalents: what the signature of a survivor must match, and the lines around it.
struct Explanation {
  size_t line = 0; // in the file, from 1
  std::string text;
  std::regex signature, context;
  size_t explained = 0, killed = 0; // survivors that it explains; killed mutants that it matches, which it says nothing true about
};

class Explanations {
public:
  Status read(const std::string &path);
  /// Whether a rule explains the survivor.
  bool explain(const Plan &plan, const KernelText &kernel, const Mutant &mutant) const;
  /// Counts the rules that match a mutant.
  void count(const Plan &plan, const KernelText &kernel, const Mutant &mutant, bool survived);
  const std::vector<Explanation> &rules() const { return all; }

private:
  std::vector<Explanation> all;
};

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_EXPLAIN_H
