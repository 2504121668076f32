// Work that may crash, done in a child process: its crash is an error and not the end of the caller.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_PLAN_CHILDPROCESS_H
#define FOURFOLD_PLAN_CHILDPROCESS_H

#include <cstdint>
#include <functional>
#include <string>

namespace fourfold {

/// What a child may use; more ends it.
struct ChildLimits {
  int seconds = 20;
  /// Memory beyond what the caller has, and of what it hands back.
  uint64_t bytes = uint64_t{4} << 30, outputBytes = uint64_t{256} << 20;
};

/// How a child ended: whether `work` returned true, returned false, or did not return.
enum class ChildEnd { Success, Failure, Crash };

/// Runs `work` in a forked child and takes over the text that it gives: a result or, where it returns false, an error. Where it does not
/// return (a signal, an abort, `exit`, a limit), `text` says so: "was ended by signal 11 (Segmentation fault)".
///
/// The child has this thread only and writes to no descriptor of the caller's: call it before threads are started, and have `work` touch
/// nothing outside the process.
ChildEnd runInChild(const std::function<bool(std::string *text)> &work, std::string *text, const ChildLimits &limits = {});

} // namespace fourfold

#endif // FOURFOLD_PLAN_CHILDPROCESS_H
