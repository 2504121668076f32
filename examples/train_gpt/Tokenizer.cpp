// Byte-pair encoding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tokenizer.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

namespace traingpt {
namespace {

constexpr const char *kHeader = "fourfold-bpe 1";

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80); }

/// The end of the word that starts at `begin`: letters, with the one blank before them; or a single other byte.
size_t wordEnd(std::string_view text, size_t begin) {
  size_t end = begin + 1;
  if (text[begin] == ' ' && end < text.size() && isLetter(text[end]))
    ++end;
  else if (!isLetter(text[begin]))
    return end;
  while (end < text.size() && isLetter(text[end]))
    ++end;
  return end;
}

using Pair = std::pair<uint16_t, uint16_t>;
struct Word {
  std::vector<uint16_t> symbols;
  int64_t count;
};

void merge(std::vector<uint16_t> &symbols, Pair pair, uint16_t joined) {
  size_t kept = 0;
  for (size_t i = 0; i < symbols.size(); ++kept) {
    bool match = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
    symbols[kept] = match ? joined : symbols[i];
    i += match ? 2 : 1;
  }
  symbols.resize(kept);
}

} // namespace

Tokenizer Tokenizer::train(std::string_view text, int64_t vocabulary) {
  if (vocabulary < 256 || vocabulary > 65535)
    throw std::runtime_error(fmt::format("a vocabulary of {} symbols was asked for; 256 to 65535 are possible", vocabulary));
  std::map<std::string_view, int64_t> counts;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = wordEnd(text, begin);
    ++counts[text.substr(begin, end - begin)];
    begin = end;
  }
  std::vector<Word> words;
  for (const auto &[word, count] : counts)
    if (word.size() > 1)
      words.push_back({std::vector<uint16_t>(reinterpret_cast<const uint8_t *>(word.data()),
                                             reinterpret_cast<const uint8_t *>(word.data()) + word.size()),
                       count});

  Tokenizer tokenizer;
  std::unordered_map<uint32_t, int64_t> pairs;
  while (tokenizer.vocabulary() < vocabulary) {
    pairs.clear();
    for (const Word &word : words)
      for (size_t i = 0; i + 1 < word.symbols.size(); ++i)
        pairs[static_cast<uint32_t>(word.symbols[i]) << 16 | word.symbols[i + 1]] += word.count;
    uint32_t best = 0;
    int64_t bestCount = 1;
    for (const auto &[pair, count] : pairs)
      if (count > bestCount || (count == bestCount && count > 1 && pair < best)) {
        best = pair;
        bestCount = count;
      }
    if (bestCount < 2)
      break;
    Pair pair(static_cast<uint16_t>(best >> 16), static_cast<uint16_t>(best));
    uint16_t joined = static_cast<uint16_t>(tokenizer.vocabulary());
    tokenizer.merges.push_back(pair);
    for (Word &word : words)
      merge(word.symbols, pair, joined);
  }
  return tokenizer;
}

std::vector<uint16_t> Tokenizer::encode(std::string_view text) const {
  std::unordered_map<uint32_t, uint16_t> rank;
  for (size_t i = 0; i < merges.size(); ++i)
    rank[static_cast<uint32_t>(merges[i].first) << 16 | merges[i].second] = static_cast<uint16_t>(i);
  std::unordered_map<std::string_view, std::vector<uint16_t>> known;
  std::vector<uint16_t> ids;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = wordEnd(text, begin);
    auto [place, fresh] = known.try_emplace(text.substr(begin, end - begin));
    std::vector<uint16_t> &symbols = place->second;
    if (fresh) {
      for (size_t i = begin; i < end; ++i)
        symbols.push_back(static_cast<uint8_t>(text[i]));
      while (true) {
        size_t lowest = merges.size();
        for (size_t i = 0; i + 1 < symbols.size(); ++i) {
          auto found = rank.find(static_cast<uint32_t>(symbols[i]) << 16 | symbols[i + 1]);
          if (found != rank.end())
            lowest = std::min<size_t>(lowest, found->second);
        }
        if (lowest == merges.size())
          break;
        merge(symbols, merges[lowest], static_cast<uint16_t>(256 + lowest));
      }
    }
    ids.insert(ids.end(), symbols.begin(), symbols.end());
    begin = end;
  }
  return ids;
}

std::string Tokenizer::decode(const std::vector<uint16_t> &ids) const {
  std::vector<std::string> symbols;
  for (int byte = 0; byte < 256; ++byte)
    symbols.push_back(std::string(1, static_cast<char>(byte)));
  for (const Pair &pair : merges)
    symbols.push_back(symbols[pair.first] + symbols[pair.second]);
  std::string text;
  for (uint16_t id : ids)
    text += symbols.at(id);
  return text;
}

std::string Tokenizer::serialize() const {
  std::string text = fmt::format("{}\n{}\n", kHeader, merges.size());
  for (const Pair &pair : merges)
    text += fmt::format("{} {}\n", pair.first, pair.second);
  return text;
}

Tokenizer Tokenizer::deserialize(const std::string &serialized) {
  std::istringstream in(serialized);
  std::string header;
  int64_t count = -1;
  std::getline(in, header);
  in >> count;
  Tokenizer tokenizer;
  bool valid = in && header == kHeader && count >= 0 && count <= 65535 - 256;
  for (int64_t i = 0; valid && i < count; ++i) {
    int64_t first = -1, second = -1;
    in >> first >> second;
    valid = in && first >= 0 && second >= 0 && first < 256 + i && second < 256 + i;
    tokenizer.merges.emplace_back(static_cast<uint16_t>(first), static_cast<uint16_t>(second));
  }
  if (!valid)
    throw std::runtime_error("not a tokenizer of train_gpt, or a damaged one");
  return tokenizer;
}

} // namespace traingpt
