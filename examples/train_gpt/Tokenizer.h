// Byte-pair encoding, trained from the text itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_TOKENIZER_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_TOKENIZER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace traingpt {

/// Symbols 0..255 are bytes, each further one the pair that a merge joined. Merges never cross from a word to the blank before the
/// next. Training is deterministic: the most frequent pair first, the smaller pair among equals.
class Tokenizer {
public:
  /// `vocabulary` in [256, 65535]; 256 gives plain bytes. Stops early where no pair occurs twice.
  static Tokenizer train(std::string_view text, int64_t vocabulary);
  /// The inverse of serialize; throws std::runtime_error for anything else.
  static Tokenizer deserialize(const std::string &serialized);
  std::string serialize() const;

  std::vector<uint16_t> encode(std::string_view text) const;
  std::string decode(const std::vector<uint16_t> &ids) const;
  int64_t vocabulary() const { return 256 + static_cast<int64_t>(merges.size()); }

private:
  std::vector<std::pair<uint16_t, uint16_t>> merges;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_TOKENIZER_H
