// What every C call does: codes and the thread's message instead of a Status or an exception.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_C_GUARD_H
#define FOURFOLD_RUNTIME_C_GUARD_H

#include "fourfold/Device.h"
#include "fourfold/Status.h"
#include "fourfold/c/device.h"

#include <exception>
#include <memory>
#include <new>
#include <string>

struct FourfoldDevice {
  fourfold::Device device;
};

struct FourfoldText {
  std::string text;
};

namespace fourfold {
namespace c {

/// The calling thread's.
std::string &lastMessage();

/// Runs a call; what it returns or throws becomes a code and the thread's message.
template <typename Work>
int guarded(Work work) noexcept {
  try {
    Status status = work();
    if (status.ok())
      return FOURFOLD_OK;
    lastMessage() = status.message();
    return static_cast<int>(status.code());
  } catch (const std::bad_alloc &) {
    lastMessage().clear();
    try {
      lastMessage() = "the host has not enough memory";
    } catch (...) { // the code says it
    }
    return FOURFOLD_OUT_OF_MEMORY;
  } catch (const std::exception &error) {
    try {
      lastMessage() = error.what();
    } catch (...) {
    }
    return FOURFOLD_INTERNAL_ERROR;
  } catch (...) {
    return FOURFOLD_INTERNAL_ERROR;
  }
}

inline Status missing(const char *what) {
  return {StatusCode::InvalidArgument, std::string("argument '") + what + "' is null"};
}

/// Hands a text to the caller, if it wants it.
inline void giveText(std::string text, FourfoldText **to) {
  if (to)
    *to = new FourfoldText{std::move(text)};
}

#define FOURFOLD_REQUIRE(argument)                                                                                     \
  if (!(argument))                                                                                                     \
  return ::fourfold::c::missing(#argument)

} // namespace c
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_C_GUARD_H
