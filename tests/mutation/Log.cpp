// A file of verdicts, so that a run that was interrupted goes on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Log.h"

#include <fmt/format.h>

#include <map>

namespace fourfold {
namespace mutation {

using Json = nlohmann::ordered_json;

static std::string keyOf(const std::string &hash, size_t line, const std::string &kind, const std::string &after) {
  return fmt::format("{} {} {} {}", hash, line, kind, after);
}

Status Log::open(const std::string &path, bool retrySurvivors, std::vector<Distinct> *all) {
  if (path.empty())
    return {};
  std::map<std::string, Json> known;
  std::ifstream old(path);
  for (std::string line; std::getline(old, line);) {
    Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object() || !entry.contains("places")) // the last line of a run that was interrupted
      continue;
    known[keyOf(entry["text"], entry["line"], entry["change"], entry["after"])] = entry;
  }
  for (Distinct &distinct : *all)
    for (Trialled &mutant : distinct.mutants) {
      auto found = known.find(keyOf(distinct.hash, mutant.mutant.line, mutant.mutant.kind, mutant.mutant.after));
      Verdict verdict;
      if (found == known.end() || !verdictFromName(found->second["verdict"], &verdict) || (retrySurvivors && verdict == Verdict::Survived))
        continue;
      mutant.verdict = verdict;
      mutant.what = found->second["what"];
      mutant.placesTried = found->second["places"];
      mutant.effort = found->second["full"] ? Effort::Full : Effort::Short;
    }
  file.open(path, std::ios::app);
  return file ? Status() : Status{StatusCode::InvalidArgument, fmt::format("cannot write '{}'", path)};
}

void Log::write(const Distinct &distinct, const Trialled &mutant) {
  if (!file.is_open())
    return;
  Json entry = {{"text", distinct.hash},           {"line", mutant.mutant.line},   {"change", mutant.mutant.kind},
                {"after", mutant.mutant.after},    {"kernel", distinct.places.front().text->name},
                {"verdict", verdictName(*mutant.verdict)}, {"what", mutant.what}, {"full", mutant.effort == Effort::Full}, {"places", mutant.placesTried}};
  // What an emulated kernel says may not be UTF-8.
  file << entry.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

} // namespace mutation
} // namespace fourfold
