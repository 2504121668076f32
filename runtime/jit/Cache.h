// What was compiled, kept in memory and on disk.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_CACHE_H
#define FOURFOLD_RUNTIME_JIT_CACHE_H

#include "fourfold/Status.h"
#include "runtime/jit/DiskCache.h"

#include <functional>
#include <mutex>
#include <unordered_map>

namespace fourfold {

/// Thread-safe. A cache that does not work costs the compilation and one message, never the job.
class Cache {
public:
  explicit Cache(const CacheSettings &settings) : settings(settings), disk(settings) {}
  /// The one for the environment's settings, as they are now.
  static std::shared_ptr<Cache> current();

  /// Finds the entry, or makes it. Of several threads and processes that ask for the same at once one makes it and the others get
  /// what it made. Failures are returned and not kept.
  Status find(const CacheKey &key, const std::function<Status(CacheTexts *)> &make, CachedTexts *texts);

  const CacheSettings &getSettings() const { return settings; }

private:
  CachedTexts fromMemory(const CacheKey &key);
  void keep(const CacheKey &key, const CachedTexts &texts);
  bool fromDisk(const CacheKey &key, CachedTexts *texts);
  Status findOnDisk(const CacheKey &key, const std::function<Status(CacheTexts *)> &make, CachedTexts *texts);

  struct Kept {
    CachedTexts texts;
    uint64_t bytes = 0, used = 0;
  };
  const CacheSettings settings;
  const DiskCache disk;
  std::mutex mutex;
  std::unordered_map<CacheKey, Kept, CacheKeyHash> kept;
  std::unordered_map<CacheKey, std::weak_ptr<std::mutex>, CacheKeyHash> making;
  uint64_t keptBytes = 0, uses = 0;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_CACHE_H
