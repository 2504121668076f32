// What the linear layers' inputs look like to a four-bit format.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_HEALTH_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_HEALTH_H

#include "BlockLinear.h"
#include "Metrics.h"

namespace traingpt {

/// How nvfp4 (1x16, nearest) fares on one matrix; shares are of blocks, of values and of energy.
struct QuantizationHealth {
  double saturatedBlocks = 0.0; ///< blocks whose scale is e4m3's largest, 448
  double flushedValues = 0.0;   ///< values other than 0 that become 0
  double relativeError = 0.0;   ///< |Q(X) - X| / |X|; centred: |Q(X - mu) - (X - mu)| / |X|, for the mean is kept exactly
};

struct MatrixHealth {
  std::string layer, what; ///< what: "x" or "dy"
  double meanShare = 0.0;  ///< tokens * |mu|^2 / |X|^2, mu the mean over tokens
  double amax = 0.0;
  QuantizationHealth plain, centred;
};

/// Measures rows x columns bf16 values.
MatrixHealth measureMatrix(const uint16_t *values, int64_t rows, int64_t columns);

/// Collects one step at a time into a CSV.
class Health : public LinearObserver {
public:
  Health(const std::string &path, int64_t lastStep);
  void observe(const std::string &layer, const char *what, const uint16_t *values, int64_t rows,
               int64_t columns) override;
  /// Writes what was observed since the last call as rows of `step`.
  void write(int64_t step);
  /// The last step's rows, on stdout.
  void printTable() const;

private:
  CsvFile file;
  std::vector<MatrixHealth> pending, last;
};

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_HEALTH_H
