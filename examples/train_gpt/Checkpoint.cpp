// The state of a run in one file: magic, checksum of the rest, length of a JSON head, the head, then the floats of every parameter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checkpoint.h"

#include "Files.h"

#include <cstring>
#include <fmt/format.h>
#include <stdexcept>

namespace traingpt {
namespace {

constexpr std::string_view kMagic = "ffgptck1";
constexpr size_t kBodyStart = 16; // magic and checksum

nlohmann::json layoutOf(const ParameterList &parameters) {
  nlohmann::json layout = nlohmann::json::array();
  for (const auto &parameter : parameters)
    layout.push_back({parameter->name, parameter->rows, parameter->columns});
  return layout;
}

template <typename T> void append(std::string &bytes, const T *values, size_t count) {
  bytes.append(reinterpret_cast<const char *>(values), count * sizeof(T));
}

uint64_t wordAt(std::string_view bytes, size_t position) {
  uint64_t word;
  std::memcpy(&word, bytes.data() + position, sizeof(word));
  return word;
}

} // namespace

void saveCheckpoint(const std::string &path, const nlohmann::json &identity, const RunState &state,
                    const ParameterList &parameters) {
  std::string head = nlohmann::json{{"identity", identity},
                                    {"step", state.step},
                                    {"seconds", state.seconds},
                                    {"parameters", layoutOf(parameters)}}
                         .dump();
  head.append((8 - head.size() % 8) % 8, ' ');
  std::string bytes(kMagic);
  bytes.append(8, '\0');
  uint64_t headSize = head.size();
  append(bytes, &headSize, 1);
  bytes += head;
  for (const auto &parameter : parameters)
    for (const std::vector<float> *values : {&parameter->value, &parameter->m, &parameter->v})
      append(bytes, values->data(), values->size());
  uint64_t sum = checksum(std::string_view(bytes).substr(kBodyStart));
  std::memcpy(&bytes[kMagic.size()], &sum, sizeof(sum));
  replaceFile(path, bytes);
}

RunState loadCheckpoint(const std::string &path, const nlohmann::json &identity, ParameterList &parameters) {
  std::string bytes = readFile(path);
  if (bytes.compare(0, kMagic.size(), kMagic) != 0)
    throw std::runtime_error(fmt::format("'{}' is not a checkpoint of train_gpt", path));
  bool intact = bytes.size() >= kBodyStart + 8 &&
                checksum(std::string_view(bytes).substr(kBodyStart)) == wordAt(bytes, kMagic.size());
  uint64_t headSize = intact ? wordAt(bytes, kBodyStart) : 0;
  if (!intact || headSize > bytes.size() - kBodyStart - 8)
    throw std::runtime_error(fmt::format("the checkpoint '{}' is truncated or damaged ({} bytes, and the checksum does not fit); "
                                         "start the run anew with --overwrite",
                                         path, bytes.size()));
  nlohmann::json head = nlohmann::json::parse(bytes.substr(kBodyStart + 8, headSize));
  for (const auto &[key, asked] : identity.items())
    if (head.at("identity").value(key, nlohmann::json()) != asked)
      throw std::runtime_error(fmt::format("the checkpoint '{}' is of a run with {} = {}, and now it is {}; resume with the same "
                                           "settings, or choose another --out",
                                           path, key, head["identity"].value(key, nlohmann::json()).dump(), asked.dump()));
  size_t expected = kBodyStart + 8 + headSize;
  for (const auto &parameter : parameters)
    expected += 3 * sizeof(float) * parameter->size();
  if (head.at("parameters") != layoutOf(parameters) || bytes.size() != expected)
    throw std::runtime_error(fmt::format("the checkpoint '{}' holds other parameters than this model; it is of another version of "
                                         "train_gpt: start the run anew with --overwrite",
                                         path));
  const char *position = bytes.data() + kBodyStart + 8 + headSize;
  for (auto &parameter : parameters)
    for (std::vector<float> *values : {&parameter->value, &parameter->m, &parameter->v}) {
      std::memcpy(values->data(), position, values->size() * sizeof(float));
      position += values->size() * sizeof(float);
    }
  return {head.at("step").get<int64_t>(), head.at("seconds").get<double>()};
}

} // namespace traingpt
