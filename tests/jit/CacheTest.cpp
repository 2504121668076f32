// The cache of compiled kernels, and everything that can be wrong with its folder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "JitHarness.h"
#include "runtime/jit/Cache.h"

#include <gtest/gtest.h>

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

using namespace fourfold;
using namespace fourfold::tests;

namespace fs = std::filesystem;

static CacheKey keyOf(const std::string &text) { return CacheKeyBuilder("test").add(text).key(); }

static CacheTexts textsOf(const std::string &name, size_t bytes = 1000) {
  return {{"ptx", std::string(bytes, 'p') + name}, {"manifest", "{}"}, {"about", "test of " + name}};
}

TEST(CacheKey, FieldsDoNotRunIntoEachOther) {
  std::vector<CacheKey> keys = {CacheKeyBuilder("k").add("ab").add("c").key(),
                                CacheKeyBuilder("k").add("a").add("bc").key(),
                                CacheKeyBuilder("k").add("abc").key(),
                                CacheKeyBuilder("ka").add("bc").key(),
                                CacheKeyBuilder("k").add(std::vector<std::string>{"ab", "c"}).key(),
                                CacheKeyBuilder("k").add(std::vector<std::string>{}).add("abc").key()};
  std::set<CacheKey> different(keys.begin(), keys.end());
  EXPECT_EQ(different.size(), keys.size());
  CacheKey parsed;
  ASSERT_TRUE(CacheKey::parse(keys[0].hex(), &parsed));
  EXPECT_EQ(parsed.hex(), keys[0].hex());
  EXPECT_FALSE(CacheKey::parse(keys[0].hex().substr(1), &parsed));
  // Written down: a change of the hash would make every cache cold.
  EXPECT_EQ(hashBytes("", 0).hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(CacheEntry, EveryTruncationAndEveryFlippedBitIsSeen) {
  CacheKey key = keyOf("a");
  CacheTexts texts = textsOf("a", 20), read;
  std::string bytes = encodeEntry(key, texts);
  ASSERT_EQ(decodeEntry(bytes, key, &read), "");
  EXPECT_EQ(read, texts);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(decodeEntry(bytes.substr(0, size), key, &read), "") << size;
  EXPECT_NE(decodeEntry(bytes + "x", key, &read), "");
  EXPECT_NE(decodeEntry(bytes, keyOf("b"), &read), "");
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << i % 8));
    EXPECT_NE(decodeEntry(flipped, key, &read), "") << i;
  }
}

TEST(CacheSettings, Sizes) {
  uint64_t bytes = 0;
  for (auto [text, expected] : {std::pair{"0", uint64_t{0}}, {"123", 123}, {"2K", 2048}, {"3m", 3 << 20}, {"1G", 1 << 30}}) {
    EXPECT_TRUE(parseSize(text, &bytes)) << text;
    EXPECT_EQ(bytes, expected);
  }
  for (const char *text : {"", "K", "1KB", "-1", "1.5G", "99999999999999999999", "18014398509481984T"})
    EXPECT_FALSE(parseSize(text, &bytes)) << text;
}

//===----------------------------------------------------------------------===//
// On disk
//===----------------------------------------------------------------------===//

struct Disk : testing::Test {
  void SetUp() override { settings.folder = folder.path + "/cache"; }
  std::string pathOf(const CacheKey &key) const {
    return settings.folder + "/v1/" + key.hex().substr(0, 2) + "/" + key.hex();
  }
  bool has(const std::string &name) const {
    CacheTexts texts;
    std::string problem;
    return DiskCache(settings).load(keyOf(name), &texts, &problem);
  }
  Folder folder;
  CacheSettings settings;
};

TEST_F(Disk, KeepsWhatItIsGivenForThisUserAlone) {
  DiskCache cache(settings);
  CacheTexts read;
  std::string problem;
  EXPECT_FALSE(cache.load(keyOf("a"), &read, &problem));
  EXPECT_EQ(problem, "");
  EXPECT_EQ(cache.store(keyOf("a"), textsOf("a")), "");
  ASSERT_TRUE(cache.load(keyOf("a"), &read, &problem)) << problem;
  EXPECT_EQ(read, textsOf("a"));
  struct stat info;
  ASSERT_EQ(stat(settings.folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(pathOf(keyOf("a")).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::vector<CacheFile> files = cache.list();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].about, "test of a");
  EXPECT_EQ(files[0].problem, "");
}

TEST_F(Disk, WhatWasNotUsedForLongestGoesFirst) {
  uint64_t each = encodeEntry(keyOf("0"), textsOf("0")).size();
  settings.maxBytes = each * 10 + 1;
  DiskCache cache(settings);
  auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(15)); };
  for (int i = 0; i < 10; ++i, pause())
    ASSERT_EQ(cache.store(keyOf(std::to_string(i)), textsOf(std::to_string(i))), "");
  EXPECT_TRUE(has("0")); // used now: 1 and 2 are the oldest
  pause();
  ASSERT_EQ(cache.store(keyOf("new"), textsOf("x")), "");
  for (int i : {1, 2})
    EXPECT_FALSE(has(std::to_string(i))) << i;
  for (const char *name : {"0", "3", "9", "new"})
    EXPECT_TRUE(has(name)) << name;
  // One that does not fit at all leaves the others alone.
  EXPECT_NE(cache.store(keyOf("huge"), textsOf("huge", settings.maxBytes)), "");
  EXPECT_TRUE(has("new"));
}

TEST_F(Disk, KilledInTheMiddleOfAWrite) {
  CacheTexts large = textsOf("a", 1 << 20);
  pid_t child = fork();
  if (child == 0) {
    DiskCache::pieceWritten = [](size_t bytes) {
      if (bytes >= 512 * 1024)
        kill(getpid(), SIGKILL);
    };
    DiskCache(settings).store(keyOf("a"), large);
    _exit(0);
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  DiskCache cache(settings);
  CacheTexts read;
  std::string problem;
  EXPECT_FALSE(cache.load(keyOf("a"), &read, &problem));
  EXPECT_EQ(problem, "") << "a half-written entry has no name yet";
  EXPECT_EQ(cache.list().size(), 0u);
  EXPECT_EQ(cache.removeLeftovers(3600), 0u) << "it may still be written";
  EXPECT_EQ(cache.store(keyOf("a"), large), "");
  EXPECT_TRUE(has("a"));
  EXPECT_EQ(cache.removeLeftovers(0), 1u);
  EXPECT_TRUE(has("a"));
}

TEST_F(Disk, ALockEndsWithItsProcess) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  settings.waitSeconds = 0.2;
  std::string problem;
  pid_t child = fork();
  if (child == 0) {
    CacheLock lock = DiskCache(settings).lock(keyOf("a"), &problem);
    if (write(ready[1], "x", 1) == 1)
      pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  DiskCache cache(settings);
  {
    CacheLock other = cache.lock(keyOf("b"), &problem);
    EXPECT_FALSE(other.hasWaited()) << "another entry has a lock of its own";
  }
  {
    CacheLock lock = cache.lock(keyOf("a"), &problem);
    EXPECT_TRUE(lock.hasWaited());
    EXPECT_NE(problem.find("another process has been compiling the same"), std::string::npos) << problem;
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  problem.clear();
  CacheLock lock = cache.lock(keyOf("a"), &problem);
  EXPECT_EQ(problem, "");
  close(ready[0]);
  close(ready[1]);
}

TEST_F(Disk, ClearLeavesNothingButWhatIsNotItsOwn) {
  DiskCache cache(settings);
  ASSERT_EQ(cache.store(keyOf("a"), textsOf("a")), "");
  std::ofstream(settings.folder + "/v1/mine.txt") << "keep";
  size_t entries;
  uint64_t bytes;
  EXPECT_EQ(cache.clear(&entries, &bytes), "");
  EXPECT_EQ(entries, 1u);
  EXPECT_FALSE(has("a"));
  EXPECT_TRUE(fs::exists(settings.folder + "/v1/mine.txt"));
}

//===----------------------------------------------------------------------===//
// Faults: a compilation and one message each
//===----------------------------------------------------------------------===//

struct Faults : Disk {
  /// Asks a new cache, as a new process would, for an entry; returns how often it was made.
  int makes(int times = 1, const std::string &name = "a") {
    Cache cache(settings);
    int made = 0;
    for (int i = 0; i < times; ++i) {
      CachedTexts texts;
      Status status = cache.find(
          keyOf(name),
          [&](CacheTexts *result) {
            ++made;
            *result = textsOf(name);
            return Status();
          },
          &texts);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_TRUE(texts && *texts == textsOf(name));
    }
    return made;
  }
  void damage(const std::string &bytes) { std::ofstream(pathOf(keyOf("a")), std::ios::binary) << bytes; }
  Messages messages;
};

TEST_F(Faults, NoneAtAll) {
  EXPECT_EQ(makes(3), 1);
  EXPECT_EQ(makes(3), 0) << "the second process finds it";
  EXPECT_EQ(messages.count(), 0u);
}

TEST_F(Faults, DamagedEntriesAreMadeAnew) {
  EXPECT_EQ(makes(), 1);
  std::string good = encodeEntry(keyOf("a"), textsOf("a")), flipped = good;
  flipped[flipped.size() / 2] ^= 4;
  for (const std::string &bytes : {good.substr(0, good.size() / 2), std::string(), flipped, encodeEntry(keyOf("b"), textsOf("b"))}) {
    Messages own;
    damage(bytes);
    EXPECT_EQ(makes(), 1);
    EXPECT_EQ(own.count(), 1u);
    EXPECT_NE(own.text().find("is damaged"), std::string::npos) << own.text();
    EXPECT_EQ(makes(), 0) << "it was put right";
  }
}

TEST_F(Faults, AnEntryThatIsAFolder) {
  fs::create_directories(pathOf(keyOf("a")) + "/x");
  EXPECT_EQ(makes(), 1);
  EXPECT_EQ(messages.count(), 1u);
  EXPECT_EQ(makes(), 0);
}

TEST_F(Faults, ACacheThatIsAFile) {
  std::ofstream(settings.folder) << "not a folder";
  EXPECT_EQ(makes(3), 1) << "memory still serves this process";
  EXPECT_EQ(makes(), 1);
  EXPECT_EQ(messages.count(), 1u);
  EXPECT_NE(messages.text().find(settings.folder), std::string::npos);
}

TEST_F(Faults, NoPermission) {
  if (geteuid() != 0) // as root, permissions mean nothing: another user is taken
    GTEST_SKIP() << "needs root to become somebody else";
  EXPECT_EQ(makes(), 1);
  fs::permissions(folder.path, fs::perms(0755));
  constexpr uid_t kNobody = 65534;
  for (mode_t mode : {0755, 0700}) { // can read and not write; can do neither
    for (const auto &entry : fs::recursive_directory_iterator(settings.folder))
      ASSERT_EQ(chmod(entry.path().c_str(), entry.is_directory() ? mode : mode & 0666), 0);
    ASSERT_EQ(chmod(settings.folder.c_str(), mode), 0);
    Messages own;
    ASSERT_EQ(seteuid(kNobody), 0);
    int existing = makes(), other = makes(1, "b");
    ASSERT_EQ(seteuid(0), 0);
    EXPECT_EQ(existing, mode == 0755 ? 0 : 1);
    EXPECT_EQ(other, 1);
    EXPECT_EQ(own.count(), 1u);
    EXPECT_NE(own.text().find("Permission denied"), std::string::npos) << own.text();
  }
}

TEST_F(Faults, FullDisk) {
  // The kernel refuses to let files grow, as a full disk does.
  rlimit before, small;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 512;
  auto *old = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  int made = makes(3);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(messages.count(), 1u);
  EXPECT_NE(messages.text().find("File too large"), std::string::npos) << messages.text();
  EXPECT_EQ(DiskCache(settings).list().size(), 0u);
  EXPECT_EQ(DiskCache(settings).removeLeftovers(0), 0u) << "nothing half-written stays";
}

TEST_F(Faults, Off) {
  settings.disk = settings.memory = false;
  EXPECT_EQ(makes(3), 3);
  settings.memory = true;
  EXPECT_EQ(makes(3), 1);
  EXPECT_FALSE(fs::exists(settings.folder));
  EXPECT_EQ(messages.count(), 0u);
}

TEST_F(Faults, AFailureIsNotKeptAndHurtsNobody) {
  Cache cache(settings);
  std::atomic<int> failures{0}, successes{0}, made{0};
  auto work = [&](int thread) {
    for (int i = 0; i < 50; ++i) {
      std::string name = std::to_string(i);
      CachedTexts texts;
      Status failed = cache.find(keyOf("bad " + name), [](CacheTexts *) { return Status(StatusCode::CompileError, "no"); },
                                 &texts);
      failures += failed.code() == StatusCode::CompileError;
      Status status = cache.find(
          keyOf(name),
          [&](CacheTexts *result) {
            ++made;
            *result = textsOf(name);
            return Status();
          },
          &texts);
      successes += status.ok() && *texts == textsOf(name);
    }
    (void)thread;
  };
  std::thread one(work, 0), two(work, 1);
  one.join();
  two.join();
  EXPECT_EQ(failures, 100);
  EXPECT_EQ(successes, 100);
  EXPECT_EQ(made, 50) << "of two threads one makes it";
}
