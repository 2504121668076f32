// Prints what became of mutants: by kernel, by change, by plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_TABLES_H
#define FOURFOLD_TESTS_MUTATION_TABLES_H

#include "tests/mutation/Plans.h"

#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

struct Tally {
  size_t kernels = 0, made = 0, finding = 0, result = 0, notLoaded = 0, budget = 0, equivalent = 0, survived = 0;
  void add(const Trialled &mutant);
  void add(const Distinct &distinct);
  /// Percent of those that are not equivalent.
  double killed() const;
};

Tally total(const std::vector<Distinct> &all);

/// Three tables in Markdown: kernel kinds of each target, changes, plans with all kernels that are in them.
std::string tables(const std::vector<Plan> &plans, const std::vector<Distinct> &all);

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_TABLES_H
