// The loss curves of a run as a picture that needs nothing but a browser.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_CURVES_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_CURVES_H

#include "Metrics.h"

namespace traingpt {

/// An SVG of training loss (faint: every step; strong: running mean) and validation loss over steps.
std::string drawCurves(const std::vector<MetricsRow> &rows, const std::string &title);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_CURVES_H
