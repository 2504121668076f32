// Runs a plan with changed PTX and says whether that was noticed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_RUNNER_H
#define FOURFOLD_TESTS_MUTATION_RUNNER_H

#include "fourfold/Fourfold.h"

#include <set>
#include <string>
#include <vector>

namespace fourfold {
namespace mutation {

enum class Verdict { Survived, Finding, Result, NotLoaded, Budget, Crashed };

/// A plan reduced to one choice of kernels, with inputs and the outputs that its own PTX gives.
class Job {
public:
  /// Loads PTX as it is, makes inputs for several shapes, full tiles and ragged ones, and runs them. `when` is the condition of the
  /// kernel that the plan was reduced to.
  Status prepare(const std::string &target, const std::string &manifest, const std::string &ptx, const std::string &when);
  /// The kernels that ran.
  const std::set<std::string> &kernels() const { return launched; }
  /// Runs the PTX; stops at the first shape that tells it from the original. To be called in a process of its own: a mutant may hang.
  Verdict test(const std::string &ptx, std::string *what) const;

private:
  struct Case {
    std::vector<Tensor> inputs, outputs;
  };
  Status load(const std::string &ptx, Executable *executable) const;

  std::string target, manifest;
  std::vector<Case> cases;
  std::set<std::string> launched;
  unsigned long long budget = 0;
};

/// `test` in a child with a limit of `seconds`.
class Child {
public:
  void start(const Job &job, const std::string &ptx, unsigned seconds);
  int pid() const { return process; }
  /// After the process has ended, with its wait status.
  Verdict finish(int status, std::string *what);

private:
  int process = -1, pipe = -1;
};

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_RUNNER_H
