// The plans of a folder and their distinct kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/mutation/Plans.h"

#include "runtime/npy/Npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace fourfold {
namespace mutation {

using Json = nlohmann::ordered_json;

std::vector<std::string> findPlans(const std::vector<std::string> &paths) {
  std::vector<std::string> stems;
  for (const std::string &path : paths) {
    if (!std::filesystem::is_directory(path)) {
      stems.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (const auto &entry : std::filesystem::recursive_directory_iterator(path))
      if (entry.path().extension() == ".ptx")
        found.push_back((entry.path().parent_path() / entry.path().stem()).string());
    std::sort(found.begin(), found.end());
    stems.insert(stems.end(), found.begin(), found.end());
  }
  return stems;
}

static std::vector<Reduced> reduce(const Json &manifest) {
  size_t variants = 1;
  for (const Json &launch : manifest["launches"])
    if (launch.contains("variants"))
      variants = std::max(variants, launch["variants"].size());
  std::vector<Reduced> choices;
  for (size_t choice = variants; choice-- > 0;) {
    Json plan = manifest;
    Reduced reduced;
    for (Json &launch : plan["launches"]) {
      if (!launch.contains("variants"))
        continue;
      Json chosen = launch["variants"][std::min(choice, launch["variants"].size() - 1)];
      if (launch["variants"].size() > 1)
        reduced.when = chosen["when"].get<std::string>();
      chosen["when"] = "1";
      reduced.launches.push_back(chosen["kernel"].get<std::string>());
      launch["variants"] = Json::array({chosen});
    }
    reduced.manifest = plan.dump();
    choices.push_back(std::move(reduced));
  }
  return choices;
}

Status readPlan(const std::string &stem, Plan *plan) {
  std::string manifest;
  plan->stem = stem;
  if (Status status = readFile(stem + ".ptx", &plan->ptx); !status.ok())
    return status;
  if (Status status = readFile(stem + ".manifest.json", &manifest); !status.ok())
    return status;
  Json json = Json::parse(manifest);
  plan->target = json["target"].get<std::string>();
  plan->lines = splitLines(plan->ptx);
  plan->kernels = findKernels(plan->lines);
  plan->choices = reduce(json);
  return {};
}

std::vector<Distinct> findDistinct(const std::vector<Plan> &plans, const std::string &filter, size_t most) {
  std::vector<Distinct> all;
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < plans.size(); ++i)
    for (size_t choice = 0; choice < plans[i].choices.size(); ++choice)
      for (const KernelText &kernel : plans[i].kernels) {
        const std::vector<std::string> &launches = plans[i].choices[choice].launches;
        if (kernel.name.find(filter) == std::string::npos || std::find(launches.begin(), launches.end(), kernel.name) == launches.end())
          continue;
        std::string text = plans[i].target + "\n" + normalised(plans[i].lines, kernel);
        auto [found, isNew] = known.insert({text, all.size()});
        if (isNew) {
          uint64_t hash = 1469598103934665603u;
          for (char c : text)
            hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
          all.push_back({plans[i].target, fmt::format("{:016x}", hash), {}, {}});
          for (Mutant &mutant : sample(enumerate(plans[i].lines, kernel), most)) {
            mutant.line -= kernel.first;
            all.back().mutants.push_back({std::move(mutant), {}, "", 0, Effort::Full, false});
          }
        }
        Distinct &distinct = all[found->second];
        // Another choice for the same launches tells nothing new.
        if (distinct.places.empty() || distinct.places.back().plan != i)
          distinct.places.push_back({i, choice, &kernel});
      }
  return all;
}

} // namespace mutation
} // namespace fourfold
