// The text as tokens: a training part, a held-out part, and the batches of both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_DATA_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_DATA_H

#include "Tokenizer.h"

namespace traingpt {

/// ids[sequences x length] and what follows each of them.
struct Batch {
  int64_t sequences, length;
  std::vector<uint16_t> ids, targets;
};

class Data {
public:
  /// The last tenth of each of up to twenty equal blocks of the text is held out; the tokenizer is trained on the rest. `cachePath` keeps the tokenizer; a file there
  /// is used if it was made from the same text for the same vocabulary, else replaced. Throws std::runtime_error for a text that cannot
  /// be read or is too short for one sequence of `context` tokens in each part.
  Data(const std::string &textPath, int64_t vocabulary, int64_t context, const std::string &cachePath);

  /// Sequence `index` of training starts at a place that depends on the seed and the index alone.
  Batch trainingBatch(uint64_t seed, uint64_t firstIndex, int64_t sequences) const;
  /// Sequences evenly spread over the held-out part: sequences [first, first + sequences) of `total`.
  Batch validationBatch(int64_t first, int64_t sequences, int64_t total) const;
  /// How many sequences the held-out part has without overlap.
  int64_t validationSequences() const;

  Tokenizer tokenizer;
  uint64_t textChecksum = 0;
  std::vector<uint16_t> training, validation;
  int64_t validationBytes = 0;

private:
  Batch cut(const std::vector<uint16_t> &tokens, const std::vector<size_t> &starts) const;
  int64_t context;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_DATA_H
