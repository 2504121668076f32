// What every call of the public API returns.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_STATUS_H
#define FOURFOLD_STATUS_H

#include <string>
#include <utility>

namespace fourfold {

/// What kind of thing went wrong.
enum class StatusCode {
  Ok,
  InvalidArgument, ///< the caller passed something that does not fit
  NotFound,        ///< a file, device, function or library does not exist
  Unsupported,     ///< known, but not built or not possible here
  CompileError,    ///< the spec or the kernels were rejected
  DeviceError,     ///< the device or its driver reported an error
  OutOfMemory,     ///< the device has not enough memory
  IoError,         ///< a file could not be read or written
};

/// Success, or a code and one message that says what was asked, what was found and what to do.
class [[nodiscard]] Status {
public:
  /// Success.
  Status() = default;
  Status(StatusCode code, std::string message) : errorCode(code), text(std::move(message)) {}

  bool ok() const { return errorCode == StatusCode::Ok; }
  StatusCode code() const { return errorCode; }
  /// Empty for success.
  const std::string &message() const { return text; }

private:
  StatusCode errorCode = StatusCode::Ok;
  std::string text;
};

} // namespace fourfold

#endif // FOURFOLD_STATUS_H
