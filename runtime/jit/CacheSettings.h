// Where the cache is and how large it may be, from the environment.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_CACHESETTINGS_H
#define FOURFOLD_RUNTIME_JIT_CACHESETTINGS_H

#include <cstdint>
#include <string>

namespace fourfold {

struct CacheSettings {
  static constexpr uint64_t kDefaultBytes = uint64_t{1} << 30;

  /// Keep what was compiled in memory, and on disk too.
  bool memory = true, disk = true;
  std::string folder;
  uint64_t maxBytes = kDefaultBytes;
  /// How long to wait for another process that compiles the same.
  double waitSeconds = 60;
  /// What the environment says that cannot be meant; the default was taken instead.
  std::string problem;

  /// FOURFOLD_CACHE, FOURFOLD_CACHE_DIR, FOURFOLD_CACHE_SIZE, FOURFOLD_CACHE_WAIT, XDG_CACHE_HOME, HOME.
  static CacheSettings fromEnvironment();
  bool operator<(const CacheSettings &other) const;
};

/// "512M" -> bytes; K, M, G and T are powers of 1024. Returns false for anything else.
bool parseSize(const std::string &text, uint64_t *bytes);

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_CACHESETTINGS_H
