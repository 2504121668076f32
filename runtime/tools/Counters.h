// The emulated device's counters, as JSON and as a table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_COUNTERS_H
#define FOURFOLD_RUNTIME_TOOLS_COUNTERS_H

#include "runtime/emulator/Counters.h"

#include <nlohmann/json.hpp>

namespace fourfold {
namespace tools {

nlohmann::ordered_json countersJson(const emulator::Counters &counters);

/// One counter a line.
std::string countersTable(const emulator::Counters &counters);

} // namespace tools
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_COUNTERS_H
