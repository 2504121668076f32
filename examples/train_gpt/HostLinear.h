// Block linears by the host program: a recipe's specs executed on this machine's processor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_HOSTLINEAR_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_HOSTLINEAR_H

#include "BlockLinear.h"

namespace traingpt {

/// A recipe by name or folder, with the bits of the reference evaluator. Throws std::runtime_error with the runtime's message.
std::unique_ptr<LinearFactory> makeHostFactory(const std::string &recipe, uint64_t seed);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_HOSTLINEAR_H
