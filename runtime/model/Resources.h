// What the machine code of a kernel needs of a multiprocessor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_MODEL_RESOURCES_H
#define FOURFOLD_RUNTIME_MODEL_RESOURCES_H

#include "runtime/model/Gpu.h"

#include <map>
#include <string>

namespace fourfold {
namespace model {

struct KernelResources {
  unsigned registers = 0; // of a thread
  unsigned staticShared = 0;
  unsigned machineInstructions = 0; // with the padding at the end
  bool spillsKnown = false;         // nvJitLink does not say
  unsigned spillStores = 0, spillLoads = 0; // bytes of a thread
};

struct Assembled {
  std::string by;     // "ptxas for sm_120a"; empty: there is no assembler
  std::string reason; // why not
  std::map<std::string, KernelResources> kernels;
};

/// The target that machine code for the GPU is made for, from PTX for `target`.
std::string machineTarget(const Gpu &gpu, const std::string &target);

/// Assembles PTX by ptxas or by nvJitLink. Where there is neither, or the PTX is refused, `reason` says so.
Assembled assembleForModel(const std::string &ptx, const std::string &target);

/// Reads .text and .nv.info sections of an ELF file of machine code. False: it is none.
bool readCubin(const std::string &cubin, std::map<std::string, KernelResources> *kernels);
/// Adds what `ptxas -v` printed: registers, spills and shared memory, which the ELF file has only in part.
void readVerboseLog(const std::string &log, std::map<std::string, KernelResources> *kernels);

} // namespace model
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_MODEL_RESOURCES_H
