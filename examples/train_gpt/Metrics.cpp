// CSV files that a resumed run continues.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Metrics.h"

#include "Files.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

namespace traingpt {

const char *const kMetricsHeader = "step,tokens,train_loss,val_loss,lr,grad_norm,seconds";

CsvFile::CsvFile(const std::string &path, const std::string &header, int64_t lastStep)
    : path(path), file(nullptr, std::fclose) {
  std::string kept = header + "\n";
  if (lastStep > 0 && access(path.c_str(), F_OK) == 0) {
    std::istringstream in(readFile(path));
    std::string line;
    std::getline(in, line);
    if (line != header)
      throw std::runtime_error(fmt::format("'{}' has the columns '{}' where this version writes '{}'; start anew with --overwrite",
                                           path, line, header));
    // A line that a crash cut short is of a later step than the checkpoint, which is written after its row.
    while (std::getline(in, line))
      if (std::strtoll(line.c_str(), nullptr, 10) <= lastStep && std::strchr(line.c_str(), ','))
        kept += line + "\n";
  }
  replaceFile(path, kept);
  file.reset(std::fopen(path.c_str(), "ab"));
  if (!file)
    throw std::runtime_error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

void CsvFile::append(const std::string &row) {
  if (std::fprintf(file.get(), "%s\n", row.c_str()) < 0 || std::fflush(file.get()) != 0)
    throw std::runtime_error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

std::string formatRow(const MetricsRow &row) {
  return fmt::format("{},{},{:.9g},{},{:.9g},{:.9g},{:.3f}", row.step, row.tokens, row.trainLoss,
                     std::isnan(row.validationLoss) ? "" : fmt::format("{:.9g}", row.validationLoss), row.learningRate,
                     row.gradNorm, row.seconds);
}

std::vector<MetricsRow> readMetrics(const std::string &path) {
  std::istringstream in(readFile(path));
  std::vector<MetricsRow> rows;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::vector<double> values;
    for (std::string field; std::getline(fields, field, ',');)
      values.push_back(field.empty() ? std::numeric_limits<double>::quiet_NaN() : std::strtod(field.c_str(), nullptr));
    if (values.size() == 7)
      rows.push_back({static_cast<int64_t>(values[0]), static_cast<int64_t>(values[1]), values[2], values[3], values[4],
                      values[5], values[6]});
  }
  return rows;
}

} // namespace traingpt
