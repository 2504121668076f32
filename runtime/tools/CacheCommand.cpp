// fourfold cache: what the cache of compiled kernels holds, and taking care of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/Cache.h"
#include "runtime/tools/Commands.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace fourfold {
namespace tools {

namespace {

using Json = nlohmann::ordered_json;

/// "538 K" and the like.
std::string sizeText(uint64_t bytes) {
  const char *units[] = {"", "K", "M", "G", "T"};
  double size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024 && unit < 4; ++unit)
    size /= 1024;
  return unit ? fmt::format("{:.1f}{}", size, units[unit]) : std::to_string(bytes);
}

std::string timeText(int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(seconds)));
}

void print(const std::string &text) { std::fputs(text.c_str(), stdout); }

void printJson(const Json &json) { print(json.dump(1) + "\n"); }

struct CacheCommand {
  bool json = false;

  CacheSettings settings() const {
    CacheSettings settings = CacheSettings::fromEnvironment();
    if (!settings.problem.empty())
      warn("fourfold: warning: " + settings.problem);
    return settings;
  }

  int path() const {
    CacheSettings found = settings();
    if (json)
      printJson({{"path", found.folder}, {"disk", found.disk}, {"maxBytes", found.maxBytes}});
    else
      print(found.folder + "\n");
    return kSuccess;
  }

  int size() const {
    CacheSettings found = settings();
    std::vector<CacheFile> files = DiskCache(found).list();
    uint64_t bytes = 0;
    for (const CacheFile &file : files)
      bytes += file.bytes;
    if (json)
      printJson({{"path", found.folder}, {"entries", files.size()}, {"bytes", bytes}, {"maxBytes", found.maxBytes}});
    else
      print(fmt::format("{} entries, {} of at most {} in {}\n", files.size(), sizeText(bytes),
                        sizeText(found.maxBytes), found.folder));
    return kSuccess;
  }

  int list() const {
    CacheSettings found = settings();
    Json entries = Json::array();
    std::string table;
    for (const CacheFile &file : DiskCache(found).list()) {
      entries.push_back({{"key", file.key}, {"bytes", file.bytes}, {"lastUsed", file.lastUsed}, {"about", file.about}});
      if (!file.problem.empty())
        entries.back()["problem"] = file.problem;
      table += fmt::format("{}  {:>8}  {}  {}\n", file.key, sizeText(file.bytes), timeText(file.lastUsed),
                           file.problem.empty() ? file.about : "damaged: " + file.problem);
    }
    if (json)
      printJson({{"path", found.folder}, {"entries", entries}});
    else
      print(table);
    return kSuccess;
  }

  int clear() const {
    CacheSettings found = settings();
    size_t entries;
    uint64_t bytes;
    if (std::string problem = DiskCache(found).clear(&entries, &bytes); !problem.empty())
      return fail(problem);
    if (json)
      printJson({{"path", found.folder}, {"removed", entries}, {"bytes", bytes}});
    else
      print(fmt::format("removed {} entries, {}, from {}\n", entries, sizeText(bytes), found.folder));
    return kSuccess;
  }

  int verify() const {
    // Writing an entry takes moments; what is older was left by a process that was killed.
    constexpr int64_t kSeconds = 600;
    CacheSettings found = settings();
    DiskCache cache(found);
    Json damaged = Json::array();
    std::string text;
    size_t good = 0;
    for (const CacheFile &file : cache.list()) {
      if (file.problem.empty()) {
        ++good;
        continue;
      }
      bool removed = cache.remove(file.key);
      damaged.push_back({{"key", file.key}, {"problem", file.problem}, {"removed", removed}});
      text += fmt::format("{}  {}: {}\n", file.key, removed ? "removed" : "cannot be removed", file.problem);
    }
    size_t leftovers = cache.removeLeftovers(kSeconds);
    if (json)
      printJson({{"path", found.folder}, {"good", good}, {"damaged", damaged}, {"leftovers", leftovers}});
    else
      print(text + fmt::format("{} good entries, {} damaged, {} half-written ones removed\n", good, damaged.size(), leftovers));
    return damaged.empty() ? kSuccess : kFailure;
  }
};

} // namespace

void addCacheCommand(CLI::App &app, int *result) {
  auto options = std::make_shared<CacheCommand>();
  CLI::App *command = app.add_subcommand("cache", "Show, check or clear the cache of compiled kernels");
  command->require_subcommand(1);
  const struct {
    const char *name, *what;
    int (CacheCommand::*run)() const;
  } commands[] = {
      {"path", "Print the folder", &CacheCommand::path},
      {"size", "Print how many entries there are and their bytes", &CacheCommand::size},
      {"list", "Print key, bytes, time of last use and contents of each entry, last used first", &CacheCommand::list},
      {"verify", "Check every entry; damaged ones, and what killed processes left, are removed", &CacheCommand::verify},
      {"clear", "Remove all entries", &CacheCommand::clear},
  };
  for (const auto &each : commands) {
    CLI::App *sub = command->add_subcommand(each.name, each.what);
    sub->add_flag("--json", options->json, "Print JSON");
    sub->footer(fmt::format("Examples:\n  fourfold cache {0}\n  FOURFOLD_CACHE_DIR=/var/tmp/kernels fourfold cache {0} --json",
                            each.name));
    sub->callback([options, result, run = each.run] { *result = (options.get()->*run)(); });
  }
  command->footer("Examples:\n"
                  "  fourfold cache size\n"
                  "  fourfold cache list --json\n"
                  "  fourfold cache verify\n\n"
                  "The folder is FOURFOLD_CACHE_DIR, else fourfold in XDG_CACHE_HOME, else ~/.cache/fourfold.\n"
                  "FOURFOLD_CACHE_SIZE bounds it (1G); what was not used for longest goes first.\n"
                  "FOURFOLD_CACHE=off does without it, =memory keeps nothing on disk.\n\n"
                  "Exit status: 0 success; 1 verify found damaged entries, or files cannot be removed; 2 wrong usage.");
}

} // namespace tools
} // namespace fourfold
