// What tells one build of a library from another, read from its file: nothing is loaded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_FILEIDENTITY_H
#define FOURFOLD_RUNTIME_JIT_FILEIDENTITY_H

#include "plan/CompilerNote.h"

#include <string>

namespace fourfold {

struct FileIdentity {
  /// "build-id 3f2a..." as the linker wrote it; of a file without: path, size and time of change. "" if there is no such file.
  std::string text;
  /// Of a compiler plug-in that says so in its file.
  bool hasNote = false;
  CompilerNote note = {};
};

/// Remembered until the file's inode, size or time change.
FileIdentity identityOf(const std::string &path);

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_FILEIDENTITY_H
