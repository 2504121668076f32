// Files that are read whole and replaced whole.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_FILES_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_FILES_H

#include <cstdint>
#include <string>
#include <string_view>

namespace traingpt {

/// The bytes of a file; throws std::runtime_error with the path and the system's reason.
std::string readFile(const std::string &path);
/// Writes a temporary name beside `path`, syncs it and renames it: `path` is never half-written. Throws std::runtime_error.
void replaceFile(const std::string &path, std::string_view bytes);
/// A 64-bit checksum (FNV-1a over words of eight bytes, then the rest).
uint64_t checksum(std::string_view bytes);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_FILES_H
