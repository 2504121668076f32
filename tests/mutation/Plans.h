// The plans of a folder, their distinct kernels, and what each mutant came to.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_PLANS_H
#define FOURFOLD_TESTS_MUTATION_PLANS_H

#include "tests/mutation/Mutate.h"
#include "tests/mutation/Runner.h"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

/// One choice of kernels of a plan: with several variants of a launch, one at a time.
struct Reduced {
  std::string manifest, when;
  std::vector<std::string> launches; // the kernels, in order
};

struct Plan {
  std::string stem, target; // "generated/sm_120a/nvfp4/linear_forward"
  std::string ptx;
  std::vector<std::string> lines;
  std::vector<KernelText> kernels;
  std::vector<Reduced> choices;
};

/// Where a kernel is launched.
struct Place {
  size_t plan = 0, choice = 0;
  const KernelText *text = nullptr;
};

/// A mutant, by its line from the kernel's first, and what it came to.
struct Trialled {
  Mutant mutant;
  std::optional<Verdict> verdict;
  std::string what;
  size_t placesTried = 0;
  Effort effort = Effort::Full; // of a survivor: on how many launches
  bool isExplained = false;
};

/// A kernel that occurs in one plan or in many.
struct Distinct {
  std::string target, hash;
  std::vector<Place> places;
  std::vector<Trialled> mutants;
};

/// Stems of plans: what is a folder stands for all in it.
std::vector<std::string> findPlans(const std::vector<std::string> &paths);

Status readPlan(const std::string &stem, Plan *plan);

/// The kernels whose name contains `filter`, with up to `most` mutants of each kind.
std::vector<Distinct> findDistinct(const std::vector<Plan> &plans, const std::string &filter, size_t most);

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_PLANS_H
