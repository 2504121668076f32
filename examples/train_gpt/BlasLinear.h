// Block linears without a recipe: plain products by BLAS.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_BLASLINEAR_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_BLASLINEAR_H

#include "BlockLinear.h"

namespace traingpt {

/// "bf16", the baseline, or "fp32", which rounds nothing. Throws std::runtime_error for another name.
std::unique_ptr<LinearFactory> makeBlasFactory(const std::string &recipe);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_BLASLINEAR_H
