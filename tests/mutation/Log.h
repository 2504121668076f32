// A file of verdicts, so that a run that was interrupted goes on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_LOG_H
#define FOURFOLD_TESTS_MUTATION_LOG_H

#include "tests/mutation/Plans.h"

#include <fstream>
#include <string>

namespace fourfold {
namespace mutation {

/// One line of JSON a mutant. A mutant is known by its kernel's text, so that verdicts about another text are not taken over; of several lines
/// about one mutant the last holds.
class Log {
public:
  /// Reads what is there; without a path, nothing is kept. `retrySurvivors`: takes survivors for not tried.
  Status open(const std::string &path, bool retrySurvivors, std::vector<Distinct> *all);
  void write(const Distinct &distinct, const Trialled &mutant);

private:
  std::ofstream file;
};

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_LOG_H
