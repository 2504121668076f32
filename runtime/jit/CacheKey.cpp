// XXH3 behind the cache's keys and checksums.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/CacheKey.h"

#include <fmt/format.h>

// Inlined: the runtime then needs no libxxhash.so where it runs.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace fourfold {

std::string CacheKey::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

bool CacheKey::parse(const std::string &hex, CacheKey *key) {
  if (hex.size() != 32 || hex.find_first_not_of("0123456789abcdef") != std::string::npos)
    return false;
  key->high = std::stoull(hex.substr(0, 16), nullptr, 16);
  key->low = std::stoull(hex.substr(16), nullptr, 16);
  return true;
}

CacheKey hashBytes(const void *bytes, size_t size) {
  XXH128_hash_t hash = XXH3_128bits(bytes, size);
  return {hash.high64, hash.low64};
}

} // namespace fourfold
