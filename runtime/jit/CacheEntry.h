// An entry of the cache as bytes: named texts behind a header that tells damaged files from whole ones.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_CACHEENTRY_H
#define FOURFOLD_RUNTIME_JIT_CACHEENTRY_H

#include "runtime/jit/CacheKey.h"

#include <map>
#include <memory>

namespace fourfold {

/// What a compilation gave, by name: "manifest", "ptx", "warning", "cubin", ... and "about", one line for people.
using CacheTexts = std::map<std::string, std::string>;
/// The name of a text that is there where the others depend on more than their key: such an entry is handed out and not kept.
inline constexpr const char *kVolatile = "volatile";
using CachedTexts = std::shared_ptr<const CacheTexts>;

/// The file: magic, version, key, length and checksum of the payload, then the payload.
std::string encodeEntry(const CacheKey &key, const CacheTexts &texts);
/// Returns "" and the texts, or what is wrong with the bytes. The entry must be of this key.
std::string decodeEntry(std::string_view bytes, const CacheKey &key, CacheTexts *texts);

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_CACHEENTRY_H
