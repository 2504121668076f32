// A C program's hook behind the C++ interface.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_C_HOOK_H
#define FOURFOLD_RUNTIME_C_HOOK_H

#include "fourfold/Executable.h"
#include "fourfold/c/device.h"

namespace fourfold {
namespace c {

/// C's type of the operation is int.
struct Hook {
  FourfoldReduceHook hook = nullptr;
  void *user = nullptr;

  static int call(void *self, void *stream, uint64_t address, uint64_t count, ReduceOperation operation) {
    const auto *hook = static_cast<const Hook *>(self);
    return hook->hook(hook->user, stream, address, count,
                      operation == ReduceOperation::Max ? FOURFOLD_REDUCE_MAX : FOURFOLD_REDUCE_SUM);
  }
};

} // namespace c
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_C_HOOK_H
