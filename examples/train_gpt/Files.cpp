// Files that are read whole and replaced whole.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

namespace traingpt {
namespace {

[[noreturn]] void fail(const char *what, const std::string &path) {
  int reason = errno;
  throw std::runtime_error(fmt::format("cannot {} '{}': {}", what, path, std::strerror(reason)));
}

} // namespace

std::string readFile(const std::string &path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0)
    fail("read", path);
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
    throw std::runtime_error(fmt::format("cannot read '{}': it is not a file", path));
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file)
    fail("read", path);
  std::string bytes;
  char buffer[1 << 16];
  while (size_t count = std::fread(buffer, 1, sizeof(buffer), file.get()))
    bytes.append(buffer, count);
  if (std::ferror(file.get()))
    fail("read", path);
  return bytes;
}

void replaceFile(const std::string &path, std::string_view bytes) {
  std::string temporary = path + ".new";
  FILE *file = std::fopen(temporary.c_str(), "wb");
  if (!file)
    fail("write", temporary);
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() && std::fflush(file) == 0 &&
                 fsync(fileno(file)) == 0;
  int reason = errno;
  written = std::fclose(file) == 0 && written;
  if (!written) {
    std::remove(temporary.c_str());
    errno = reason;
    fail("write", temporary);
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    fail("replace", path);
}

uint64_t checksum(std::string_view bytes) {
  uint64_t sum = 0xcbf29ce484222325u;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    sum = (sum ^ word) * 0x100000001b3u;
    sum ^= sum >> 29; // words reach all bits: a plain product would lose the high ones
  }
  for (; i < bytes.size(); ++i)
    sum = (sum ^ static_cast<uint8_t>(bytes[i])) * 0x100000001b3u;
  return sum;
}

} // namespace traingpt
