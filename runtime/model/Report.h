// The cost model's tables.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_MODEL_REPORT_H
#define FOURFOLD_RUNTIME_MODEL_REPORT_H

#include "runtime/emulator/Emulator.h"
#include "runtime/model/Gpu.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace fourfold {
namespace model {

struct LabelledRecord {
  std::string label;
  emulator::KernelRecord record;
};

/// What the GPU would need for the launches at least. `ptx` is what they ran, `target` its own ("sm_120a"): assembled where that is possible.
/// InvalidArgument: the GPU does not run the PTX or does not have its MMAs.
Status modelJson(const Gpu &gpu, const std::string &ptx, const std::string &target, const std::vector<LabelledRecord> &records,
                 nlohmann::ordered_json *json);
/// The same for people.
std::string modelTable(const nlohmann::ordered_json &model);

} // namespace model
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_MODEL_REPORT_H
