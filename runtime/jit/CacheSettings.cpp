// Reads the cache's settings from the environment.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/CacheSettings.h"

#include "runtime/core/Environment.h"

#include <fmt/format.h>

#include <pwd.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <tuple>

namespace fourfold {

bool parseSize(const std::string &text, uint64_t *bytes) {
  size_t digits = 0;
  uint64_t number = 0;
  for (; digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])); ++digits)
    if (__builtin_mul_overflow(number, uint64_t{10}, &number) ||
        __builtin_add_overflow(number, static_cast<uint64_t>(text[digits] - '0'), &number))
      return false;
  std::string unit = text.substr(digits);
  if (digits == 0 || unit.size() > 1)
    return false;
  for (const char *known = "KMGT"; !unit.empty(); ++known) {
    if (!*known || __builtin_mul_overflow(number, uint64_t{1024}, &number))
      return false;
    if (std::toupper(static_cast<unsigned char>(unit[0])) == *known)
      break;
  }
  *bytes = number;
  return true;
}

static std::string defaultFolder() {
  // The XDG specification: relative paths are invalid and ignored.
  if (std::string xdg = environment::read("XDG_CACHE_HOME"); !xdg.empty() && xdg[0] == '/')
    return xdg + "/fourfold";
  std::string home = environment::read("HOME");
  if (home.empty())
    if (const passwd *user = getpwuid(getuid()); user && user->pw_dir)
      home = user->pw_dir;
  return home.empty() ? "" : home + "/.cache/fourfold";
}

CacheSettings CacheSettings::fromEnvironment() {
  CacheSettings settings;
  std::string mode = environment::read("FOURFOLD_CACHE"), size = environment::read("FOURFOLD_CACHE_SIZE"),
              wait = environment::read("FOURFOLD_CACHE_WAIT");
  if (mode == "off")
    settings.memory = settings.disk = false;
  else if (mode == "memory")
    settings.disk = false;
  else if (!mode.empty() && mode != "on")
    settings.problem = fmt::format("FOURFOLD_CACHE is '{}': expected on, memory or off; on is taken", mode);
  settings.folder = environment::read("FOURFOLD_CACHE_DIR");
  if (settings.folder.empty())
    settings.folder = defaultFolder();
  if (settings.folder.empty() && settings.disk) {
    settings.disk = false;
    settings.problem = "kernels are not kept on disk: neither FOURFOLD_CACHE_DIR nor HOME says where";
  }
  if (!size.empty() && !parseSize(size, &settings.maxBytes))
    settings.problem =
        fmt::format("FOURFOLD_CACHE_SIZE is '{}': expected a size such as 512M; 1G is taken", size);
  // The process may change its working folder later.
  std::error_code error;
  if (std::filesystem::path full = std::filesystem::absolute(settings.folder, error); !settings.folder.empty() && !error)
    settings.folder = full.lexically_normal().string();
  char *end = nullptr;
  double seconds = std::strtod(wait.c_str(), &end);
  if (!wait.empty() && *end == '\0' && seconds >= 0 && seconds < 86400)
    settings.waitSeconds = seconds;
  else if (!wait.empty())
    settings.problem = fmt::format("FOURFOLD_CACHE_WAIT is '{}': expected seconds, 0 to 86400; {} is taken", wait,
                                   settings.waitSeconds);
  return settings;
}

bool CacheSettings::operator<(const CacheSettings &other) const {
  return std::tie(memory, disk, folder, maxBytes, waitSeconds) <
         std::tie(other.memory, other.disk, other.folder, other.maxBytes, other.waitSeconds);
}

} // namespace fourfold
