// Runs a fuzzer without libFuzzer: over files of a corpus, and over seeded mutations of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

using Input = std::vector<uint8_t>;

/// One of the edits that libFuzzer makes, too: bytes changed, removed, doubled, or taken from another file.
Input mutated(const Input &input, const Input &other, std::mt19937 &random) {
  Input result = input;
  auto below = [&](size_t limit) { return limit ? random() % limit : size_t{0}; };
  for (size_t edits = 1 + below(4); edits; --edits) {
    size_t at = below(result.size()), length = std::min(result.size() - at, 1 + below(32));
    auto begin = result.begin() + static_cast<std::ptrdiff_t>(at), end = begin + static_cast<std::ptrdiff_t>(length);
    switch (random() % 5) {
    case 0:
      for (auto i = begin; i != end && i < begin + 2; ++i)
        *i = static_cast<uint8_t>(random());
      break;
    case 1:
      result.erase(begin, end);
      break;
    case 2: {
      Input copy(begin, end);
      result.insert(begin, copy.begin(), copy.end());
      break;
    }
    case 3: {
      size_t from = below(other.size()), count = std::min(other.size() - from, 1 + below(64));
      auto first = other.begin() + static_cast<std::ptrdiff_t>(from);
      result.insert(begin, first, first + static_cast<std::ptrdiff_t>(count));
      break;
    }
    default: // digits: sizes, indices, versions
      for (auto i = begin; i != end; ++i)
        if (*i >= '0' && *i <= '9')
          *i = static_cast<uint8_t>('0' + random() % 10);
    }
  }
  return result;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MUTATIONS FILE_OR_FOLDER...\nRuns every file, then MUTATIONS seeded changes of each.\n", argv[0]);
    return 2;
  }
  int mutations = std::atoi(argv[1]);
  std::vector<std::filesystem::path> paths;
  for (int i = 2; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      paths.emplace_back(argv[i]);
      continue;
    }
    for (const auto &entry : std::filesystem::directory_iterator(argv[i]))
      if (entry.is_regular_file())
        paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> inputs;
  for (const auto &path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (!file) {
      std::fprintf(stderr, "cannot read '%s'\n", path.c_str());
      return 2;
    }
  }
  if (inputs.empty()) {
    std::fprintf(stderr, "no inputs: a run that tests nothing does not pass\n");
    return 2;
  }
  std::mt19937 random(1);
  size_t runs = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    LLVMFuzzerTestOneInput(inputs[i].data(), inputs[i].size());
    ++runs;
    for (int k = 0; k < mutations; ++k, ++runs) {
      Input changed = mutated(inputs[i], inputs[random() % inputs.size()], random);
      LLVMFuzzerTestOneInput(changed.data(), changed.size());
    }
  }
  std::printf("%zu inputs, %zu runs\n", inputs.size(), runs);
  return 0;
}
