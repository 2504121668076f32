// The registry of targets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/Target.h"

#include "compiler/targets/Sm100.h"
#include "compiler/targets/Sm120.h"
#include "compiler/targets/Sm80.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace fourfold {
namespace compiler {

llvm::StringRef formatName(Format format) { return format == Format::NVFP4 ? "nvfp4" : "mxfp4"; }
int formatBlockSize(Format format) { return format == Format::NVFP4 ? 16 : 32; }

llvm::StringRef modeName(MatmulMode mode) { return mode == MatmulMode::Fast ? "fast" : "faithful"; }

std::optional<MatmulMode> parseMode(llvm::StringRef name) {
  if (name.empty() || name == "fast")
    return MatmulMode::Fast;
  if (name == "faithful")
    return MatmulMode::Faithful;
  return std::nullopt;
}

llvm::SmallVector<Val> Target::matrixStep(KernelBuilder &, Format, llvm::ArrayRef<Val>, llvm::ArrayRef<Val>,
                                          llvm::ArrayRef<Val>, Val, Val, ScaleSelectors) const {
  llvm_unreachable("the target has no block-scaled matrix step");
}

llvm::ArrayRef<TargetStatus> targetStatuses() {
  static const TargetStatus statuses[] = {
      {"sm_120a", true, ""},
      {"sm_121a", true, ""},
      {"sm_80", true, ""},
      {"sm_90a", true, ""},
      {"sm_100a", true, ""},
      {"sm_103a", true, ""},
  };
  return statuses;
}

const Target *findTarget(llvm::StringRef name, std::string *why) {
  static const Sm120Target sm120a("sm_120a", "+ptx87", "8.7");
  // sm_121a appeared in PTX ISA 8.8.
  static const Sm120Target sm121a("sm_121a", "+ptx88", "8.8");
  // bf16 matrix steps and asynchronous copies came with PTX ISA 7.0. Of the GPUs that sm_80 serves, 8.6 and 8.9 have 99 KiB a block.
  static const Sm80Target sm80("sm_80", "+ptx70", "7.0", 99 * 1024, /*hasWarpgroups=*/false);
  static const Sm80Target sm90a("sm_90a", "+ptx80", "8.0", 227 * 1024, /*hasWarpgroups=*/true);
  // Block-scaled tcgen05 steps of FP4 came with PTX ISA 8.7, sm_103a with 8.8.
  static const Sm100Target sm100a("sm_100a", "+ptx87", "8.7");
  static const Sm100Target sm103a("sm_103a", "+ptx88", "8.8");
  for (const Target *target : std::initializer_list<const Target *>{&sm120a, &sm121a, &sm80, &sm90a, &sm100a, &sm103a})
    if (name == target->name())
      return target;

  llvm::SmallVector<llvm::StringRef> supported;
  for (const TargetStatus &status : targetStatuses())
    if (status.supported)
      supported.push_back(status.name);
  std::string list = llvm::join(supported, ", ");
  const auto *known = llvm::find_if(targetStatuses(), [&](const TargetStatus &status) { return status.name == name; });
  if (known != targetStatuses().end())
    *why = ("target '" + name + "' cannot be compiled for: " + known->reason + "; targets with kernels are: " + list).str();
  else if (name.size() == 5 && name.starts_with("sm_8"))
    *why = ("target '" + name + "' has no kernels of its own: those for sm_80 run there; use 'sm_80'").str();
  else if (name == "sm_90")
    *why = "target 'sm_90' has no kernels of its own; use 'sm_90a', or 'sm_80', whose kernels run on all later GPUs";
  else if (name == "sm_100" || name == "sm_103" || name == "sm_120" || name == "sm_121")
    *why = ("target '" + name + "' lacks the block-scaled FP4 instructions, which are architecture-specific; use '" + name +
            "a'")
               .str();
  else if (name == "sm_100f" || name == "sm_103f" || name == "sm_120f")
    *why = ("target '" + name + "' has no kernels of its own; use '" + name.drop_back() + "a'").str();
  else
    *why = ("unknown target '" + name + "'; targets with kernels are: " + list).str();
  return nullptr;
}

} // namespace compiler
} // namespace fourfold
