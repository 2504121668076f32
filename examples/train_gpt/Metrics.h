// Rows of numbers by step: CSV files that a resumed run continues.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXAMPLES_TRAIN_GPT_METRICS_H
#define FOURFOLD_EXAMPLES_TRAIN_GPT_METRICS_H

#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace traingpt {

/// A CSV file whose first column is the step.
class CsvFile {
public:
  /// Keeps the rows of a file that is there up to `lastStep` (0: none) and drops the rest. Throws std::runtime_error if it cannot be
  /// written, or if rows are to be kept and the header is another.
  CsvFile(const std::string &path, const std::string &header, int64_t lastStep);
  /// Appends a line and flushes it.
  void append(const std::string &row);

private:
  std::string path;
  std::unique_ptr<FILE, int (*)(FILE *)> file;
};

struct MetricsRow {
  int64_t step = 0, tokens = 0;
  double trainLoss = 0.0;                                          ///< nats a token, of the step's batch
  double validationLoss = std::numeric_limits<double>::quiet_NaN(); ///< NaN where it was not taken
  double learningRate = 0.0, gradNorm = 0.0, seconds = 0.0;
};

extern const char *const kMetricsHeader;
/// Nine digits: a float survives.
std::string formatRow(const MetricsRow &row);
/// The rows of a metrics.csv.
std::vector<MetricsRow> readMetrics(const std::string &path);

} // namespace traingpt

#endif // FOURFOLD_EXAMPLES_TRAIN_GPT_METRICS_H
