// Settings of the emulated device, from code and from the environment.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Options.h"

#include <cstdlib>
#include <string_view>

namespace fourfold {
namespace emulator {

Options optionsFromEnvironment() {
  Options options;
  if (const char *text = std::getenv("FOURFOLD_EMULATOR_CHECK")) {
    std::string_view level = text;
    options.checks = level == "none" ? CheckLevel::None : level == "fast" ? CheckLevel::Fast : CheckLevel::Full;
  }
  if (const char *text = std::getenv("FOURFOLD_EMULATOR_THREADS")) {
    long threads = std::strtol(text, nullptr, 10);
    options.threads = threads > 0 && threads <= 1024 ? static_cast<int>(threads) : 0;
  }
  if (const char *text = std::getenv("FOURFOLD_EMULATOR_BUDGET"))
    options.maxInstructions = std::strtoull(text, nullptr, 10);
  if (const char *text = std::getenv("FOURFOLD_EMULATOR_ORDER"))
    options.order = std::string_view(text) == "descending" ? BlockOrder::Descending : BlockOrder::Ascending;
  return options;
}

} // namespace emulator
} // namespace fourfold
