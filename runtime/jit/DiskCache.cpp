// Reads, writes and locks entries of the cache on disk.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/DiskCache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace fourfold {

namespace fs = std::filesystem;

void (*DiskCache::pieceWritten)(size_t) = nullptr;

static std::string problemOf(const char *what, const std::string &path) {
  return fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno));
}

namespace {

/// A descriptor that is closed.
struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
  int number;
};

bool readAll(int descriptor, std::string *bytes) {
  struct stat info;
  if (fstat(descriptor, &info) != 0)
    return false;
  if (!S_ISREG(info.st_mode)) {
    errno = EINVAL;
    return false;
  }
  bytes->resize(static_cast<size_t>(info.st_size));
  size_t done = 0;
  while (done < bytes->size()) {
    ssize_t count = read(descriptor, bytes->data() + done, bytes->size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    if (count == 0)
      break;
    done += static_cast<size_t>(count);
  }
  bytes->resize(done);
  return true;
}

bool writeAll(int descriptor, const std::string &bytes) {
  constexpr size_t kPiece = 64 * 1024;
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count = write(descriptor, bytes.data() + done, std::min(kPiece, bytes.size() - done));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    done += static_cast<size_t>(count);
    if (DiskCache::pieceWritten)
      DiskCache::pieceWritten(done);
  }
  return true;
}

/// Makes a folder and those above it, for this user only. Returns "" or what went wrong.
std::string makeFolders(const std::string &path) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return "";
  if (std::string parent = fs::path(path).parent_path().string(); !parent.empty() && parent != path)
    if (std::string problem = makeFolders(parent); !problem.empty())
      return problem;
  if (mkdir(path.c_str(), 0700) == 0 || (errno == EEXIST && fs::is_directory(path, error)))
    return "";
  return problemOf("make the folder", path);
}

} // namespace

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

bool DiskCache::load(const CacheKey &key, CacheTexts *texts, std::string *problem) const {
  std::string path = pathOf(key.hex()), bytes;
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number < 0) {
    if (errno != ENOENT)
      *problem = problemOf("read", path);
    return false;
  }
  if (!readAll(file.number, &bytes)) {
    *problem = problemOf("read", path);
    return false;
  }
  if (std::string wrong = decodeEntry(bytes, key, texts); !wrong.empty()) {
    *problem = fmt::format("'{}' is damaged: {}", path, wrong);
    return false;
  }
  // The time of use, for eviction. A cache that is read-only keeps no times.
  if (futimens(file.number, nullptr) != 0)
    errno = 0;
  return true;
}

std::string DiskCache::store(const CacheKey &key, const CacheTexts &texts) const {
  std::string bytes = encodeEntry(key, texts), name = key.hex(), path = pathOf(name);
  if (bytes.size() > settings.maxBytes)
    return fmt::format("an entry of {} bytes is larger than the cache may be ({} bytes, FOURFOLD_CACHE_SIZE)",
                       bytes.size(), settings.maxBytes);
  std::string folder = fs::path(path).parent_path().string();
  if (std::string problem = makeFolders(folder); !problem.empty())
    return problem;
  std::string temporary = fmt::format("{}/tmp.{}.XXXXXX", folder, getpid());
  std::string problem;
  {
    Descriptor file(mkostemp(temporary.data(), O_CLOEXEC));
    if (file.number < 0)
      return problemOf("write to the folder", folder);
    // On disk before it has its name: after a power failure the name must not belong to a file without contents.
    if (!writeAll(file.number, bytes) || fsync(file.number) != 0)
      problem = problemOf("write", temporary);
  }
  if (problem.empty() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    // Something that is no file, such as a folder, has the entry's name: it would be in the way for ever.
    std::error_code error;
    fs::remove_all(path, error);
    if (std::rename(temporary.c_str(), path.c_str()) != 0)
      problem = problemOf("write", path);
  }
  if (!problem.empty()) {
    unlink(temporary.c_str());
    return problem;
  }
  evict(name);
  return "";
}

//===----------------------------------------------------------------------===//
// Locks
//===----------------------------------------------------------------------===//

CacheLock::~CacheLock() {
  if (descriptor < 0)
    return;
  // Closing would do, but for a child that was forked meanwhile and has the descriptor too.
  struct flock all = {};
  all.l_type = F_UNLCK;
  all.l_whence = SEEK_SET;
  fcntl(descriptor, F_OFD_SETLK, &all);
  close(descriptor);
}

std::string DiskCache::probe() const {
  if (std::string problem = makeFolders(root()); !problem.empty())
    return problem;
  return access(root().c_str(), R_OK | W_OK | X_OK) == 0 ? "" : problemOf("use the folder", root());
}

CacheLock DiskCache::lock(const CacheKey &key, std::string *problem) const {
  std::string path = root() + "/locks";
  // What is wrong with the folder is said when the entry is written.
  if (!makeFolders(root()).empty())
    return {};
  int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0)
    return {};
  // A lock of the open file, on one byte that the key chooses: it ends with the descriptor, so a process that is killed leaves none.
  struct flock range = {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(key.low >> 2);
  range.l_len = 1;
  auto start = std::chrono::steady_clock::now();
  auto pause = std::chrono::milliseconds(1);
  for (bool waited = false;; waited = true) {
    if (fcntl(descriptor, F_OFD_SETLK, &range) == 0)
      return CacheLock(descriptor, waited);
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      close(descriptor);
      return {};
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (seconds >= settings.waitSeconds) {
      close(descriptor);
      *problem = fmt::format("another process has been compiling the same for {:.0f} s; it is compiled here too", seconds);
      return CacheLock(-1, true);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(16));
  }
}

} // namespace fourfold
