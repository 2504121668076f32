// Whole files: reading, and writing so that no partial file is ever seen.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/npy/Npy.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fourfold {

static Status ioError(const std::string &what, const std::string &path) {
  return {StatusCode::IoError, fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno))};
}

/// A file of a new name beside `path`, removed unless it is kept.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string &path) : name(path + ".XXXXXX") { descriptor = mkstemp(name.data()); }
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;
  ~TemporaryFile() {
    int saved = errno;
    if (descriptor >= 0)
      close(descriptor);
    if (descriptor >= 0 && !kept)
      unlink(name.c_str());
    errno = saved;
  }
  bool write(const std::string &bytes) {
    for (size_t done = 0; done < bytes.size();) {
      ssize_t count = ::write(descriptor, bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return false;
      done += static_cast<size_t>(count);
    }
    return true;
  }
  /// Gives the file its final name, and the permissions that a new file has.
  bool rename(const std::string &path) {
    mode_t mask = umask(0);
    umask(mask);
    kept = fchmod(descriptor, 0666 & ~mask) == 0 && std::rename(name.c_str(), path.c_str()) == 0;
    return kept;
  }
  bool isOpen() const { return descriptor >= 0; }

private:
  std::string name;
  int descriptor = -1;
  bool kept = false;
};

/// Something that is neither a plain file nor absent, such as /dev/null: there is nothing to rename over.
static bool isSpecial(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
}

Status checkWritable(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    errno = EISDIR;
    return ioError("write", path);
  }
  if (isSpecial(path))
    return access(path.c_str(), W_OK) == 0 ? Status() : ioError("write", path);
  return TemporaryFile(path).isOpen() ? Status() : ioError("write", path);
}

Status writeFileAtomically(const std::string &path, const std::string &bytes) {
  if (isSpecial(path)) {
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (!file)
      return ioError("write", path);
    bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    return std::fclose(file) == 0 && written ? Status() : ioError("write", path);
  }
  TemporaryFile file(path);
  if (!file.isOpen() || !file.write(bytes) || !file.rename(path))
    return ioError("write", path);
  return {};
}

Status readFile(const std::string &path, std::string *bytes) {
  std::FILE *file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (!file)
    return ioError("read", path);
  bytes->clear();
  char block[65536];
  errno = 0;
  while (size_t count = std::fread(block, 1, sizeof(block), file))
    bytes->append(block, count);
  // A folder opens, but does not read.
  bool failed = std::ferror(file) != 0;
  Status status = failed ? ioError("read", path) : Status();
  if (file != stdin)
    std::fclose(file);
  return status;
}

} // namespace fourfold
