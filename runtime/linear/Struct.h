// Structs that callers fill in, of this version of the library or an earlier one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_LINEAR_STRUCT_H
#define FOURFOLD_RUNTIME_LINEAR_STRUCT_H

#include "fourfold/Status.h"

#include <fmt/format.h>

#include <cstring>
#include <type_traits>

namespace fourfold {

/// Copies a caller's struct; what its version does not have keeps its default. A larger one may ask for what is unknown here.
template <typename Struct>
Status readStruct(const Struct &from, const char *name, Struct *to) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  *to = Struct();
  if (from.structSize < sizeof(size_t) || from.structSize > sizeof(Struct))
    return {StatusCode::InvalidArgument,
            fmt::format("{}.structSize is {}, expected sizeof({}), {} in this version", name, from.structSize, name,
                        sizeof(Struct))};
  std::memcpy(static_cast<void *>(to), &from, from.structSize);
  to->structSize = sizeof(Struct);
  return {};
}

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_LINEAR_STRUCT_H
