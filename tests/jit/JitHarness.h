// Folders, messages and settings that tests of the cache share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_JIT_JITHARNESS_H
#define FOURFOLD_TESTS_JIT_JITHARNESS_H

#include "runtime/core/Messages.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace fourfold {
namespace tests {

/// A folder that is removed at the end.
struct Folder {
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fourfold-cache-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::string path;
};

/// Collects the messages sent in its life.
class Messages {
public:
  Messages() {
    forgetMessages();
    setMessageHandler(receive, this);
  }
  ~Messages() { setMessageHandler(nullptr, nullptr); }
  size_t count() const { return texts.size(); }
  std::string text() const {
    std::string all;
    for (const std::string &text : texts)
      all += text + "\n";
    return all;
  }

private:
  static void receive(void *user, const char *text) {
    auto &self = *static_cast<Messages *>(user);
    std::lock_guard<std::mutex> lock(self.mutex);
    self.texts.push_back(text);
  }
  std::mutex mutex;
  std::vector<std::string> texts;
};

/// An environment variable for the life of this object.
class Setting {
public:
  Setting(const char *name, const std::string &value) : name(name) { setenv(name, value.c_str(), 1); }
  Setting(const Setting &) = delete;
  ~Setting() { unsetenv(name); }

private:
  const char *name;
};

inline size_t countLines(const std::string &path) {
  std::ifstream file(path);
  size_t count = 0;
  for (std::string line; std::getline(file, line);)
    ++count;
  return count;
}

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_JIT_JITHARNESS_H
