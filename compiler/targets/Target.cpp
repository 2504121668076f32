// The registry of targets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/Target.h"

#include "compiler/targets/Sm120.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace fourfold {
namespace compiler {

llvm::StringRef formatName(Format format) { return format == Format::NVFP4 ? "nvfp4" : "mxfp4"; }
int formatBlockSize(Format format) { return format == Format::NVFP4 ? 16 : 32; }

llvm::ArrayRef<TargetStatus> targetStatuses() {
  static const TargetStatus statuses[] = {
      {"sm_120a", true, ""},
      {"sm_121a", true, ""},
      {"sm_80", false, "no kernels for GPUs without FP4 tensor cores in this release"},
      {"sm_90a", false, "no kernels for GPUs without FP4 tensor cores in this release"},
      {"sm_100a", false, "no tcgen05 kernels in this release"},
      {"sm_103a", false, "no tcgen05 kernels in this release"},
  };
  return statuses;
}

const Target *findTarget(llvm::StringRef name, std::string *why) {
  static const Sm120Target sm120a("sm_120a", "+ptx87", "8.7");
  // sm_121a appeared in PTX ISA 8.8.
  static const Sm120Target sm121a("sm_121a", "+ptx88", "8.8");
  if (name == sm120a.name())
    return &sm120a;
  if (name == sm121a.name())
    return &sm121a;

  llvm::SmallVector<llvm::StringRef> supported;
  for (const TargetStatus &status : targetStatuses())
    if (status.supported)
      supported.push_back(status.name);
  std::string list = llvm::join(supported, ", ");
  const auto *known = llvm::find_if(targetStatuses(), [&](const TargetStatus &status) { return status.name == name; });
  if (known != targetStatuses().end())
    *why = ("target '" + name + "' cannot be compiled for: " + known->reason + "; targets with kernels are: " + list).str();
  else if (name == "sm_120" || name == "sm_121")
    *why = ("target '" + name + "' lacks the block-scaled FP4 instructions, which are architecture-specific; use '" + name +
            "a'")
               .str();
  else
    *why = ("unknown target '" + name + "'; targets with kernels are: " + list).str();
  return nullptr;
}

} // namespace compiler
} // namespace fourfold
