// The cache's folder as a whole: what is there, and what has to go.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/DiskCache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

namespace fourfold {

namespace fs = std::filesystem;

namespace {

/// A file in one of the cache's folders.
struct Found {
  std::string path, name;
  uint64_t bytes;
  struct timespec used;
  bool temporary;
};

/// The first two digits of a key.
bool isGroup(const std::string &text) {
  return text.size() == 2 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<std::string> namesIn(const std::string &folder) {
  std::vector<std::string> names;
  if (DIR *opened = opendir(folder.c_str())) {
    while (const dirent *entry = readdir(opened))
      names.push_back(entry->d_name);
    closedir(opened);
  }
  return names;
}

/// Entries and what is being written; nothing that the cache did not make.
std::vector<Found> filesIn(const std::string &root) {
  std::vector<Found> files;
  for (const std::string &group : namesIn(root)) {
    if (!isGroup(group))
      continue;
    for (const std::string &name : namesIn(root + "/" + group)) {
      bool temporary = name.rfind("tmp.", 0) == 0;
      std::string path = root + "/" + group + "/" + name;
      struct stat info;
      CacheKey key;
      if ((temporary || CacheKey::parse(name, &key)) && lstat(path.c_str(), &info) == 0)
        files.push_back({path, name, static_cast<uint64_t>(info.st_size), info.st_mtim, temporary});
    }
  }
  return files;
}

bool usedBefore(const Found &one, const Found &other) {
  return std::tie(one.used.tv_sec, one.used.tv_nsec, one.name) <
         std::tie(other.used.tv_sec, other.used.tv_nsec, other.name);
}

} // namespace

void DiskCache::evict(const std::string &keep) const {
  std::vector<Found> files = filesIn(root());
  uint64_t total = 0;
  // What is still being written is minutes old at most.
  constexpr int64_t kLeftover = 3600;
  int64_t now = std::time(nullptr);
  for (const Found &file : files)
    if (!file.temporary || now - file.used.tv_sec < kLeftover || unlink(file.path.c_str()) != 0)
      total += file.bytes;
  if (total <= settings.maxBytes)
    return;
  std::sort(files.begin(), files.end(), usedBefore);
  // Some room beyond the bound, so that not every new entry has to look for its victim.
  uint64_t goal = settings.maxBytes - settings.maxBytes / 10;
  for (const Found &file : files) {
    if (total <= goal)
      break;
    if (file.name == keep || file.temporary)
      continue;
    if (unlink(file.path.c_str()) == 0)
      total -= file.bytes;
  }
}

std::vector<CacheFile> DiskCache::list() const {
  std::vector<Found> files = filesIn(root());
  std::sort(files.begin(), files.end(), [](const Found &one, const Found &other) { return usedBefore(other, one); });
  std::vector<CacheFile> list;
  for (const Found &file : files) {
    if (file.temporary)
      continue;
    CacheFile entry{file.name, file.bytes, file.used.tv_sec, "", ""};
    errno = 0;
    std::ifstream stream(file.path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    CacheTexts texts;
    CacheKey key;
    if (!stream && !stream.eof())
      entry.problem = errno ? std::strerror(errno) : "it cannot be read";
    else if (CacheKey::parse(file.name, &key))
      entry.problem = decodeEntry(bytes, key, &texts);
    entry.about = texts["about"];
    list.push_back(std::move(entry));
  }
  return list;
}

bool DiskCache::remove(const std::string &key) const {
  std::error_code error;
  CacheKey parsed;
  return CacheKey::parse(key, &parsed) && fs::remove_all(pathOf(key), error) > 0 && !error;
}

std::string DiskCache::clear(size_t *entries, uint64_t *bytes) const {
  *entries = 0;
  *bytes = 0;
  std::string problem;
  for (const Found &file : filesIn(root())) {
    std::error_code error;
    fs::remove_all(file.path, error);
    if (error) {
      problem = fmt::format("cannot remove '{}': {}", file.path, error.message());
      continue;
    }
    *entries += !file.temporary;
    *bytes += file.bytes;
  }
  return problem;
}

size_t DiskCache::removeLeftovers(int64_t seconds) const {
  size_t removed = 0;
  int64_t now = std::time(nullptr);
  for (const Found &file : filesIn(root()))
    if (file.temporary && now - file.used.tv_sec >= seconds && unlink(file.path.c_str()) == 0)
      ++removed;
  return removed;
}

} // namespace fourfold
