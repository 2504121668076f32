// Block linears on a device of the runtime: a GPU or the emulated one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_DEVICELINEAR_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_DEVICELINEAR_H

#include "BlockLinear.h"

namespace traingpt {

/// Layers of fourfold/linear.h with a recipe by name or folder, on "cuda:N" or "emulated:TARGET". Throws std::runtime_error with the
/// runtime's message.
std::unique_ptr<LinearFactory> makeDeviceFactory(const std::string &recipe, const std::string &device, uint64_t seed);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_DEVICELINEAR_H
