// What a run launched, and what the emulated device counted.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_PROFILE_H
#define FOURFOLD_RUNTIME_TOOLS_PROFILE_H

#include "fourfold/Fourfold.h"
#include "runtime/model/Report.h"

#include <nlohmann/json_fwd.hpp>

namespace fourfold {
namespace tools {

/// Forgets what earlier runs counted.
void resetProfile(const Device &device);

/// One row a launch; on the emulated device with its counters, which must be of this run alone.
nlohmann::ordered_json profileJson(const Device &device, const std::vector<LaunchRecord> &records);
/// What the emulated device counted for each launch of a kernel, for the cost model.
Status labelled(const std::vector<LaunchRecord> &records, std::vector<model::LabelledRecord> *launches);
/// The same as a table.
std::string profileTable(const nlohmann::ordered_json &profile);

} // namespace tools
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_PROFILE_H
