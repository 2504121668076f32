// The text as tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Data.h"

#include "Files.h"
#include "Random.h"

#include <algorithm>
#include <fmt/format.h>
#include <stdexcept>
#include <unistd.h>

namespace traingpt {
namespace {

/// The cached tokenizer stands behind one line that names its text and vocabulary.
Tokenizer cachedTokenizer(std::string_view text, int64_t vocabulary, const std::string &cachePath) {
  std::string key = fmt::format("text {:016x} vocabulary {}\n", checksum(text), vocabulary);
  if (!cachePath.empty() && access(cachePath.c_str(), R_OK) == 0) {
    std::string cached = readFile(cachePath);
    if (cached.compare(0, key.size(), key) == 0)
      return Tokenizer::deserialize(cached.substr(key.size()));
  }
  Tokenizer tokenizer = Tokenizer::train(text, vocabulary);
  if (!cachePath.empty())
    replaceFile(cachePath, key + tokenizer.serialize());
  return tokenizer;
}

/// The start of the first character of UTF-8 text that begins at or after a byte.
size_t characterStart(const std::string &text, size_t position) {
  while (position < text.size() && (text[position] & 0xc0) == 0x80)
    ++position;
  return position;
}

/// Up to twenty blocks of equal length, none under 20 kB: a tenth held out of each is like what is learnt, which the last tenth of a
/// book need not be.
std::vector<std::pair<size_t, size_t>> contiguousBlocks(const std::string &text) {
  size_t count = std::clamp<size_t>(text.size() / 20000, 1, 20);
  std::vector<std::pair<size_t, size_t>> blocks;
  for (size_t i = 0; i < count; ++i)
    blocks.emplace_back(characterStart(text, text.size() * i / count), characterStart(text, text.size() * (i + 1) / count));
  return blocks;
}

} // namespace

Data::Data(const std::string &textPath, int64_t vocabulary, int64_t context, const std::string &cachePath)
    : context(context) {
  std::string text = readFile(textPath);
  textChecksum = checksum(text);
  std::string trainingText, validationText;
  for (const auto &[begin, end] : contiguousBlocks(text)) {
    size_t split = characterStart(text, end - (end - begin) / 10);
    trainingText.append(text, begin, split - begin);
    validationText.append(text, split, end - split);
  }
  tokenizer = cachedTokenizer(trainingText, vocabulary, cachePath);
  training = tokenizer.encode(trainingText);
  validation = tokenizer.encode(validationText);
  validationBytes = static_cast<int64_t>(validationText.size());
  int64_t shorter = static_cast<int64_t>(std::min(training.size(), validation.size()));
  if (shorter <= context)
    throw std::runtime_error(
        fmt::format("the text '{}' of {} bytes is too short: its training part has {} tokens and its held-out part {}, and a "
                    "context of {} needs {} in each; take a longer text or a smaller --context",
                    textPath, text.size(), training.size(), validation.size(), context, context + 1));
}

Batch Data::cut(const std::vector<uint16_t> &tokens, const std::vector<size_t> &starts) const {
  Batch batch{static_cast<int64_t>(starts.size()), context, {}, {}};
  for (size_t start : starts) {
    auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(start);
    batch.ids.insert(batch.ids.end(), begin, begin + context);
    batch.targets.insert(batch.targets.end(), begin + 1, begin + context + 1);
  }
  return batch;
}

Batch Data::trainingBatch(uint64_t seed, uint64_t firstIndex, int64_t sequences) const {
  std::vector<size_t> starts;
  uint64_t places = training.size() - static_cast<size_t>(context);
  for (int64_t i = 0; i < sequences; ++i)
    starts.push_back(randomBelow(seed, Stream::DataOrder, 0, firstIndex + static_cast<uint64_t>(i), places));
  return cut(training, starts);
}

int64_t Data::validationSequences() const { return (static_cast<int64_t>(validation.size()) - 1) / context; }

Batch Data::validationBatch(int64_t first, int64_t sequences, int64_t total) const {
  std::vector<size_t> starts;
  for (int64_t i = first; i < first + sequences; ++i)
    starts.push_back(static_cast<size_t>(i * validationSequences() / total * context));
  return cut(validation, starts);
}

} // namespace traingpt
