// What the linear layers' inputs look like to a four-bit format.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Health.h"

#include "Parallel.h"

#include "dialect/Numerics.h"

#include <cmath>
#include <fmt/format.h>

namespace traingpt {
namespace {

namespace numerics = fourfold::numerics;
constexpr int64_t kBlock = 16;

struct Counts {
  int64_t blocks = 0, saturated = 0, flushed = 0;
  double error = 0.0, energy = 0.0;
};

float largest(const std::vector<float> &values) {
  float amax = 0.0f;
  for (float value : values)
    amax = std::fmax(amax, std::fabs(value));
  return amax;
}

Counts countRow(const float *row, int64_t columns, float tensorScale) {
  Counts counts;
  for (int64_t begin = 0; begin < columns; begin += kBlock) {
    int64_t end = std::min(columns, begin + kBlock);
    float amax = 0.0f;
    for (int64_t i = begin; i < end; ++i)
      amax = std::fmax(amax, std::fabs(row[i]));
    uint8_t scale = numerics::nvfp4BlockScale(amax, tensorScale);
    float encode = numerics::nvfp4EncodeScale(scale, tensorScale);
    ++counts.blocks;
    counts.saturated += scale == 0x7e;
    for (int64_t i = begin; i < end; ++i) {
      uint8_t code = numerics::quantizeNearest(row[i], encode);
      double error = static_cast<double>(numerics::nvfp4Decode(code, scale, tensorScale)) - static_cast<double>(row[i]);
      counts.flushed += (code & 7u) == 0 && row[i] != 0.0f;
      counts.error += error * error;
    }
  }
  return counts;
}

QuantizationHealth quantizationHealth(const std::vector<float> &values, int64_t rows, int64_t columns, double energy) {
  float tensorScale = numerics::nvfp4EncodeTensorScale(largest(values));
  std::vector<Counts> partial(static_cast<size_t>((rows + kRowsPerTask - 1) / kRowsPerTask));
  parallelChunks(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    Counts &sum = partial[static_cast<size_t>(begin / kRowsPerTask)];
    for (int64_t r = begin; r < end; ++r) {
      Counts row = countRow(&values[static_cast<size_t>(r * columns)], columns, tensorScale);
      sum.blocks += row.blocks;
      sum.saturated += row.saturated;
      sum.flushed += row.flushed;
      sum.error += row.error;
    }
  });
  Counts total;
  for (const Counts &part : partial) {
    total.blocks += part.blocks;
    total.saturated += part.saturated;
    total.flushed += part.flushed;
    total.error += part.error;
  }
  return {static_cast<double>(total.saturated) / static_cast<double>(total.blocks),
          static_cast<double>(total.flushed) / static_cast<double>(rows * columns),
          energy > 0.0 ? std::sqrt(total.error / energy) : 0.0};
}

constexpr const char *kHeader = "step,layer,what,mean_share,amax,saturated_plain,saturated_centred,flushed_plain,flushed_centred,"
                                "error_plain,error_centred";

} // namespace

MatrixHealth measureMatrix(const uint16_t *bits, int64_t rows, int64_t columns) {
  std::vector<float> values(static_cast<size_t>(rows * columns));
  std::vector<double> mean(static_cast<size_t>(columns));
  MatrixHealth health;
  double energy = 0.0, meanEnergy = 0.0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      float value = numerics::decodeBF16(bits[r * columns + c]);
      values[static_cast<size_t>(r * columns + c)] = value;
      mean[static_cast<size_t>(c)] += static_cast<double>(value);
      energy += static_cast<double>(value) * static_cast<double>(value);
    }
  for (double &m : mean) {
    m /= static_cast<double>(rows);
    meanEnergy += m * m;
  }
  health.meanShare = energy > 0.0 ? meanEnergy * static_cast<double>(rows) / energy : 0.0;
  health.amax = static_cast<double>(largest(values));
  health.plain = quantizationHealth(values, rows, columns, energy);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      values[static_cast<size_t>(r * columns + c)] -= static_cast<float>(mean[static_cast<size_t>(c)]);
  health.centred = quantizationHealth(values, rows, columns, energy);
  return health;
}

Health::Health(const std::string &path, int64_t lastStep) : file(path, kHeader, lastStep) {}

void Health::observe(const std::string &layer, const char *what, const uint16_t *values, int64_t rows, int64_t columns) {
  MatrixHealth health = measureMatrix(values, rows, columns);
  health.layer = layer;
  health.what = what;
  pending.push_back(health);
}

void Health::write(int64_t step) {
  for (const MatrixHealth &h : pending)
    file.append(fmt::format("{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g}", step, h.layer, h.what,
                            h.meanShare, h.amax, h.plain.saturatedBlocks, h.centred.saturatedBlocks, h.plain.flushedValues,
                            h.centred.flushedValues, h.plain.relativeError, h.centred.relativeError));
  last = std::move(pending);
  pending.clear();
}

void Health::printTable() const {
  if (last.empty())
    return;
  fmt::print("{:18} {:4} {:>10} {:>10}  {:>19}  {:>19}  {:>19}\n", "", "", "mean's", "", "saturated blocks", "flushed to 0",
             "relative error");
  fmt::print("{:18} {:4} {:>10} {:>10}  {:>9} {:>9}  {:>9} {:>9}  {:>9} {:>9}\n", "layer", "of", "share", "amax", "plain",
             "centred", "plain", "centred", "plain", "centred");
  for (const MatrixHealth &h : last)
    fmt::print("{:18} {:4} {:>9.1f}% {:>10.3g}  {:>8.2f}% {:>8.2f}%  {:>8.2f}% {:>8.2f}%  {:>9.4f} {:>9.4f}\n", h.layer, h.what,
               100.0 * h.meanShare, h.amax, 100.0 * h.plain.saturatedBlocks, 100.0 * h.centred.saturatedBlocks,
               100.0 * h.plain.flushedValues, 100.0 * h.centred.flushedValues, h.plain.relativeError,
               h.centred.relativeError);
}

} // namespace traingpt
