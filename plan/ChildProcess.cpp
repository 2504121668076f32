// Forks, bounds the child, and takes its text over a pipe.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/ChildProcess.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// GCC has the macro; clang the feature test, which GCC cannot read.
#if defined(__SANITIZE_ADDRESS__)
#define FOURFOLD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FOURFOLD_ASAN 1
#endif
#endif
#ifdef FOURFOLD_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace fourfold {

namespace {

using Clock = std::chrono::steady_clock;

/// Before the text: a child that dies while it writes, or writes over these bytes, is told from one that is done.
struct Frame {
  char magic[7];
  uint8_t succeeded;
  uint64_t size;
};
constexpr char kMagic[7] = {'f', 'o', 'u', 'r', 't', 'x', 't'};

void setLimit(int resource, uint64_t value) {
  rlimit limit;
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max < value ? limit.rlim_max : value;
  setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

/// Private memory of this process, which the limit counts.
uint64_t dataBytes() {
  unsigned long long pages = 0;
  if (std::FILE *file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
      pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

bool writeAll(int descriptor, const void *bytes, size_t size) {
  const char *at = static_cast<const char *>(bytes);
  while (size) {
    ssize_t written = write(descriptor, at, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

[[noreturn]] void runChild(int out, const std::function<bool(std::string *)> &work, const ChildLimits &limits) {
  // Crashes are expected: no report on the user's terminal, no core file, nobody's handlers.
  for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGXCPU, SIGALRM})
    std::signal(number, SIG_DFL);
#ifdef FOURFOLD_ASAN
  __sanitizer_set_death_callback(nullptr);
#endif
  if (int null = open("/dev/null", O_RDWR); null >= 0) {
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
  }
  setLimit(RLIMIT_CORE, 0);
  setLimit(RLIMIT_CPU, static_cast<uint64_t>(limits.seconds));
  if (uint64_t data = dataBytes())
    setLimit(RLIMIT_DATA, data + limits.bytes);
  std::string text;
  Frame frame;
  frame.succeeded = work(&text);
  std::memcpy(frame.magic, kMagic, sizeof(kMagic));
  frame.size = text.size();
  // _exit: nothing of the caller's is flushed or destroyed twice.
  _exit(writeAll(out, &frame, sizeof(frame)) && writeAll(out, text.data(), text.size()) ? 0 : 1);
}

/// Reads to the end; says what went wrong.
std::string readAll(int in, const ChildLimits &limits, std::string *bytes) {
  // Twice the processor's time: the machine may be busy.
  Clock::time_point end = Clock::now() + std::chrono::seconds(2 * limits.seconds);
  for (char buffer[65536];;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0)
      return fmt::format("took more than {} s", 2 * limits.seconds);
    pollfd ready = {in, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(left)) <= 0)
      continue;
    ssize_t size = read(in, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return fmt::format("cannot be heard: {}", std::strerror(errno));
    if (size == 0)
      return "";
    bytes->append(buffer, static_cast<size_t>(size));
    if (bytes->size() > limits.outputBytes)
      return fmt::format("gave more than {} MiB", limits.outputBytes >> 20);
  }
}

ChildEnd crash(std::string *text, std::string why) {
  *text = std::move(why);
  return ChildEnd::Crash;
}

} // namespace

ChildEnd runInChild(const std::function<bool(std::string *text)> &work, std::string *text, const ChildLimits &limits) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return crash(text, fmt::format("cannot be started: {}", std::strerror(errno)));
  pid_t child = fork();
  if (child < 0) {
    std::string why = fmt::format("cannot be started: {}", std::strerror(errno));
    close(ends[0]);
    close(ends[1]);
    return crash(text, why);
  }
  if (child == 0) {
    close(ends[0]);
    runChild(ends[1], work, limits);
  }
  close(ends[1]);
  std::string bytes, why = readAll(ends[0], limits, &bytes);
  close(ends[0]);
  if (!why.empty())
    kill(child, SIGKILL);
  int status = 0;
  pid_t waited;
  do
    waited = waitpid(child, &status, 0);
  while (waited < 0 && errno == EINTR);
  if (!why.empty())
    return crash(text, why);
  if (waited == child && WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)
      return crash(text, fmt::format("was ended: it took more than {} s, or memory ran out", limits.seconds));
    return crash(text, fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status))));
  }
  Frame frame;
  bool isWhole = bytes.size() >= sizeof(frame);
  if (isWhole) {
    std::memcpy(&frame, bytes.data(), sizeof(frame));
    isWhole = std::memcmp(frame.magic, kMagic, sizeof(kMagic)) == 0 && frame.succeeded <= 1 && frame.size == bytes.size() - sizeof(frame);
  }
  // `waited` is -1 where the caller ignores SIGCHLD: the frame then says enough.
  if (!isWhole || (waited == child && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)))
    return crash(text, waited == child && WIFEXITED(status) ? fmt::format("ended with status {} and no result", WEXITSTATUS(status))
                                                           : std::string("ended without a result"));
  *text = bytes.substr(sizeof(frame));
  return frame.succeeded ? ChildEnd::Success : ChildEnd::Failure;
}

} // namespace fourfold
