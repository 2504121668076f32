// Compiled kernels on disk, shared by all processes of a user.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FOLDER/v1/ab/abcdef...     one file an entry, named by its key; the file's time is when it was last used
// FOLDER/v1/ab/tmp.PID.XXXXXX  an entry that is being written; it gets its name when it is whole and on disk
// FOLDER/v1/locks            a byte range of it is locked by who compiles an entry; the kernel unlocks it when its process ends

#ifndef FOURFOLD_RUNTIME_JIT_DISKCACHE_H
#define FOURFOLD_RUNTIME_JIT_DISKCACHE_H

#include "runtime/jit/CacheEntry.h"
#include "runtime/jit/CacheSettings.h"

#include <vector>

namespace fourfold {

/// Held by the process that compiles an entry. Of a cache that cannot lock it is empty, and everybody compiles.
class CacheLock {
public:
  CacheLock() = default;
  explicit CacheLock(int descriptor, bool waited) : descriptor(descriptor), waited(waited) {}
  CacheLock(const CacheLock &) = delete;
  CacheLock &operator=(const CacheLock &) = delete;
  CacheLock(CacheLock &&other) noexcept : descriptor(other.descriptor), waited(other.waited) { other.descriptor = -1; }
  ~CacheLock();
  /// Another process had it first, and may have written the entry.
  bool hasWaited() const { return waited; }

private:
  int descriptor = -1;
  bool waited = false;
};

/// A file of the cache, for `fourfold cache`.
struct CacheFile {
  std::string key;
  uint64_t bytes = 0;
  /// Seconds since 1970.
  int64_t lastUsed = 0;
  std::string about;
  /// Why it is not used; "" for a good entry.
  std::string problem;
};

/// All calls are thread-safe and touch nothing outside the folder. What goes wrong is said and never fails the caller's work.
class DiskCache {
public:
  explicit DiskCache(const CacheSettings &settings) : settings(settings) {}

  /// Reads an entry and notes that it was used. False if it is not there, or not as it was written: then `*problem` says why.
  bool load(const CacheKey &key, CacheTexts *texts, std::string *problem) const;
  /// Writes an entry, visible when it is whole, then removes what was not used for longest until the bound is kept. Returns "" or what
  /// went wrong.
  std::string store(const CacheKey &key, const CacheTexts &texts) const;
  /// Waits for whoever compiles the entry, for `waitSeconds` at most; `*problem` is set if that was not enough.
  CacheLock lock(const CacheKey &key, std::string *problem) const;

  /// Makes the folder if need be. Returns "" if entries can be read and written, or what stands in the way.
  std::string probe() const;
  /// All entries, read and verified, last used first.
  std::vector<CacheFile> list() const;
  /// Removes an entry by its key in hexadecimal digits.
  bool remove(const std::string &key) const;
  /// Removes everything, leftovers of killed processes too. Returns "" or what went wrong, and how much was there.
  std::string clear(size_t *entries, uint64_t *bytes) const;
  /// Removes what killed processes left half-written; those younger than `seconds` may still be written.
  size_t removeLeftovers(int64_t seconds) const;

  /// Called after each written piece of an entry. For tests that end a process there.
  static void (*pieceWritten)(size_t bytes);

private:
  std::string root() const { return settings.folder + "/v1"; }
  std::string pathOf(const std::string &key) const { return root() + "/" + key.substr(0, 2) + "/" + key; }
  void evict(const std::string &keep) const;

  CacheSettings settings;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_DISKCACHE_H
