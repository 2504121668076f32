// Looks in memory, then on disk, then has the entry made.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/Cache.h"

#include "runtime/core/Messages.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {

/// One message a process and folder: a thousand kernels say it once.
static void warn(const CacheSettings &settings, const std::string &problem) {
  sendOnce("cache " + settings.folder,
           fmt::format("warning: the cache of compiled kernels: {}; kernels are compiled anew ('fourfold cache "
                       "verify' checks it, FOURFOLD_CACHE_DIR moves it, FOURFOLD_CACHE=off does without)",
                       problem));
}

std::shared_ptr<Cache> Cache::current() {
  static std::mutex mutex;
  static auto *caches = new std::map<CacheSettings, std::shared_ptr<Cache>>; // never destroyed, as those who use them
  CacheSettings settings = CacheSettings::fromEnvironment();
  if (!settings.problem.empty())
    sendOnce("cache settings " + settings.problem, "warning: " + settings.problem);
  std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<Cache> &cache = (*caches)[settings];
  if (!cache)
    cache = std::make_shared<Cache>(settings);
  return cache;
}

CachedTexts Cache::fromMemory(const CacheKey &key) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = kept.find(key);
  if (found == kept.end())
    return nullptr;
  found->second.used = ++uses;
  return found->second.texts;
}

void Cache::keep(const CacheKey &key, const CachedTexts &texts) {
  // Some hundreds of kernels; what is on disk comes back quickly.
  constexpr uint64_t kMaxBytes = uint64_t{64} << 20;
  if (!settings.memory)
    return;
  uint64_t bytes = 0;
  for (const auto &[name, text] : *texts)
    bytes += name.size() + text.size();
  std::lock_guard<std::mutex> lock(mutex);
  Kept &entry = kept[key];
  keptBytes += bytes - entry.bytes;
  entry = {texts, bytes, ++uses};
  while (keptBytes > kMaxBytes && kept.size() > 1) {
    auto oldest = std::min_element(kept.begin(), kept.end(), [](const auto &one, const auto &other) {
      return one.second.used < other.second.used;
    });
    keptBytes -= oldest->second.bytes;
    kept.erase(oldest);
  }
}

bool Cache::fromDisk(const CacheKey &key, CachedTexts *texts) {
  CacheTexts read;
  std::string problem;
  bool found = disk.load(key, &read, &problem);
  if (!problem.empty())
    warn(settings, problem);
  if (found)
    *texts = std::make_shared<const CacheTexts>(std::move(read));
  return found;
}

Status Cache::findOnDisk(const CacheKey &key, const std::function<Status(CacheTexts *)> &make, CachedTexts *texts) {
  std::string problem;
  if (settings.disk && fromDisk(key, texts))
    return {};
  CacheLock lock = settings.disk ? disk.lock(key, &problem) : CacheLock();
  if (!problem.empty())
    warn(settings, problem);
  // Between the first look and the lock another process may have written it, waited for or not.
  if (settings.disk && fromDisk(key, texts))
    return {};
  CacheTexts made;
  if (Status status = make(&made); !status.ok())
    return status;
  if (settings.disk && !made.count(kVolatile))
    if (std::string wrong = disk.store(key, made); !wrong.empty())
      warn(settings, wrong);
  *texts = std::make_shared<const CacheTexts>(std::move(made));
  return {};
}

Status Cache::find(const CacheKey &key, const std::function<Status(CacheTexts *)> &make, CachedTexts *texts) {
  if (!settings.memory && !settings.disk) {
    CacheTexts made;
    Status status = make(&made);
    *texts = std::make_shared<const CacheTexts>(std::move(made));
    return status;
  }
  if ((*texts = fromMemory(key)))
    return {};
  std::shared_ptr<std::mutex> mine;
  {
    std::lock_guard<std::mutex> lock(mutex);
    std::weak_ptr<std::mutex> &entry = making[key];
    mine = entry.lock();
    if (!mine)
      entry = mine = std::make_shared<std::mutex>();
  }
  Status status;
  {
    std::lock_guard<std::mutex> lock(*mine);
    *texts = fromMemory(key);
    if (!*texts) {
      status = findOnDisk(key, make, texts);
      if (status.ok() && !(*texts)->count(kVolatile))
        keep(key, *texts);
    }
  }
  std::lock_guard<std::mutex> lock(mutex);
  if (auto entry = making.find(key); mine.use_count() == 1 && entry != making.end() && entry->second.lock() == mine)
    making.erase(entry);
  return status;
}

} // namespace fourfold
