// The names of special registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_SPECIALREGISTERS_H
#define FOURFOLD_RUNTIME_EMULATOR_SPECIALREGISTERS_H

#include <string_view>

namespace fourfold {
namespace emulator {

/// The special registers of PTX ISA 10, by what they begin with; which of them the emulated device has, the decoder knows.
inline bool isSpecialRegister(std::string_view name) {
  static const char *const starts[] = {"%tid", "%ntid", "%laneid", "%warpid", "%nwarpid", "%ctaid", "%nctaid", "%smid", "%nsmid", "%gridid",
                                       "%is_explicit_cluster", "%cluster", "%ncluster", "%lanemask_", "%clock", "%pm", "%envreg", "%globaltimer",
                                       "%reserved_smem_offset_", "%total_smem_size", "%aggr_smem_size", "%dynamic_smem_size", "%current_graph_exec"};
  for (const char *start : starts)
    if (name.substr(0, std::string_view(start).size()) == start)
      return true;
  return false;
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_SPECIALREGISTERS_H
