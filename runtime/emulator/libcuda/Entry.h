// What the entry points of the emulated libcuda.so.1 share: which device it shows, and how failures reach a person.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The types are the driver API's ABI (cuda.h of CUDA 12 and 13); names with _v2 and so on are the symbols that cuda.h's macros lead to.

#ifndef FOURFOLD_RUNTIME_EMULATOR_LIBCUDA_ENTRY_H
#define FOURFOLD_RUNTIME_EMULATOR_LIBCUDA_ENTRY_H

#include "runtime/emulator/Emulator.h"

#include <string>

#define FOURFOLD_ENTRY extern "C" __attribute__((visibility("default"))) ::fourfold::device::CUresult

namespace fourfold {
namespace libcuda {

using namespace device;
using CUlibrary = CUmodule;  // a library is a module that is loaded at once
using CUkernel = CUfunction; // and its kernels are functions

inline const DriverTable &table() { return emulator::driver(); }

/// The emulated device that the program sees as device 0, the only one: FOURFOLD_EMULATED_TARGET, sm_90a where that is not set; -1 for
/// a name that no device has.
int shownOrdinal();

/// Passes a result on. A failure's finding is written to standard error, once, as programs print no more than the code's name.
CUresult told(const char *function, CUresult result);

/// A failure of this library's own.
CUresult refuse(const char *function, CUresult result, const std::string &why);

/// kSuccess where `device` is 0, the only one.
CUresult checkDevice(const char *function, CUdevice device);

} // namespace libcuda
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_LIBCUDA_ENTRY_H
