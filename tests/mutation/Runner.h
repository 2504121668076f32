// Runs a changed kernel on the launches that were kept and says whether that was noticed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_MUTATION_RUNNER_H
#define FOURFOLD_TESTS_MUTATION_RUNNER_H

#include "tests/mutation/Recorder.h"

#include <string>

namespace fourfold {
namespace mutation {

enum class Verdict { Survived, Finding, Result, NotLoaded, Budget, Crashed };

const char *verdictName(Verdict verdict);
bool verdictFromName(const std::string &name, Verdict *verdict);

/// Options for a process that forks: one thread, since a child could not rely on the locks of others.
void useOneThread(unsigned long long budget, emulator::CheckLevel checks, emulator::BlockOrder order = emulator::BlockOrder::Ascending);

/// Runs the kernel of a PTX text on the launches; stops at the first that tells it from the original. Where the effort is short, on those of the
/// fewest instructions, a million in all; in full on every one, with the blocks in either order. To be called in a process of its own: a mutant
/// may hang, and memory is changed.
Verdict test(const Recorder &recorder, const std::string &kernel, const std::string &ptx, Effort effort, std::string *what);

/// `test` in a child with a limit of `seconds`.
class Child {
public:
  void start(const Recorder &recorder, const std::string &kernel, const std::string &ptx, Effort effort, unsigned seconds);
  int pid() const { return process; }
  /// After the process has ended, with its wait status.
  Verdict finish(int status, std::string *what);

private:
  int process = -1, pipe = -1;
};

} // namespace mutation
} // namespace fourfold

#endif // FOURFOLD_TESTS_MUTATION_RUNNER_H
