// How the results of a run leave it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_HOST_RESULTS_H
#define FOURFOLD_COMPILER_HOST_RESULTS_H

#include "compiler/host/Program.h"

namespace fourfold {
namespace host {

/// Gives the value of a number, null where this run has not computed it.
using FindValue = std::function<std::shared_ptr<const Value>(int number)>;

/// Checks every output against the value it names, then writes all of them, then calls the sink. Throws Failure before anything is
/// written.
void deliverResults(const Program &program, const RunRequest &request, const FindValue &find);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_RESULTS_H
