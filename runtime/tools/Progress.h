// Says on the standard error what a run is doing, once it has taken two seconds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_TOOLS_PROGRESS_H
#define FOURFOLD_RUNTIME_TOOLS_PROGRESS_H

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>

namespace fourfold {
namespace tools {

/// Prints a line every two seconds for the life of this object: silent if that is shorter.
class Progress {
public:
  Progress() : watcher([this] { watch(); }) {}
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;
  ~Progress() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      done = true;
    }
    wake.notify_all();
    watcher.join();
  }
  void set(std::string text) {
    std::lock_guard<std::mutex> lock(mutex);
    current = std::move(text);
  }

private:
  void watch() {
    auto start = std::chrono::steady_clock::now();
    std::unique_lock<std::mutex> lock(mutex);
    while (!wake.wait_for(lock, std::chrono::seconds(2), [this] { return done; })) {
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::fprintf(stderr, "fourfold: %.0f s: %s\n", seconds, current.c_str());
    }
  }

  std::mutex mutex;
  std::condition_variable wake;
  std::string current = "starting";
  bool done = false;
  std::thread watcher; // last: it uses all of the above
};

} // namespace tools
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_TOOLS_PROGRESS_H
