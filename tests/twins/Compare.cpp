// Memory images of two devices: what must be equal, and how far a matmul's rounding may carry.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/twins/Kernels.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

namespace fourfold {
namespace twins {

using plan::Contents;

namespace {

bool startsWith(const std::string &text, const char *prefix) { return text.compare(0, std::strlen(prefix), prefix) == 0; }

float floatAt(const std::vector<uint8_t> &bytes, plan::ElementType type, size_t index) {
  if (type == plan::ElementType::BF16) {
    uint16_t bits;
    std::memcpy(&bits, &bytes[index * 2], 2);
    return numerics::decodeBF16(bits);
  }
  float value;
  std::memcpy(&value, &bytes[index * 4], 4);
  return value;
}

/// Which buffers a matmul precedes, and the matmul that wrote each (-1: it only read one).
std::vector<int> afterMatmul(const plan::Plan &plan, std::set<int> *tainted) {
  std::vector<int> writer(plan.buffers.size(), -1);
  std::set<int> seen;
  for (size_t l = 0; l < plan.launches.size(); ++l) {
    const plan::Launch &launch = plan.launches[l];
    if (launch.kind != plan::Launch::Kind::Kernel)
      continue;
    bool isMatmul = startsWith(launch.label, "matmul"), taints = isMatmul;
    for (const plan::Argument &argument : launch.args)
      taints |= argument.kind == plan::Argument::Kind::Pointer && tainted->count(argument.buffer);
    for (const plan::Argument &argument : launch.args) {
      if (argument.kind != plan::Argument::Kind::Pointer || argument.buffer < 0)
        continue;
      // A buffer is written by the first launch that has it; later ones read it.
      bool isNew = plan.buffers[static_cast<size_t>(argument.buffer)].kind != plan::Buffer::Kind::Input &&
                   seen.insert(argument.buffer).second;
      if (isNew && taints)
        tainted->insert(argument.buffer);
      if (isNew && isMatmul)
        writer[static_cast<size_t>(argument.buffer)] = static_cast<int>(l);
    }
  }
  return writer;
}

/// The Euclidean norms of a matmul operand's rows (the side that is not contracted), and its contracted extent.
class Norms {
public:
  Norms(const plan::Plan &plan, const Images &images) : plan(plan), images(images) {}

  /// Operand 0 or 1 of a matmul launch.
  std::vector<double> of(const plan::Launch &launch, int operand, int64_t *k) const {
    auto buffer = [&](int argument) { return launch.args[static_cast<size_t>(argument)].buffer; };
    const plan::Buffer &first = plan.buffers[static_cast<size_t>(buffer(0))];
    if (first.contents.part != Contents::Part::Codes)
      return dense(buffer(operand), launch.variants.back().kernel, operand, k);
    return quantized(buffer(2 * operand), buffer(2 * operand + 1), k);
  }

private:
  int64_t evaluate(const plan::Expr &expression) const {
    std::string error;
    return expression.evaluate(images.dims, &error);
  }

  std::vector<double> dense(int index, const std::string &kernel, int operand, int64_t *k) const {
    const Contents &contents = plan.buffers[static_cast<size_t>(index)].contents;
    size_t at = kernel.find("_axes");
    int axis = at == std::string::npos ? 1 : kernel[at + 5 + static_cast<size_t>(operand)] - '0';
    int64_t rows = evaluate(contents.shape[0]), columns = evaluate(contents.shape[1]);
    *k = axis == 1 ? columns : rows;
    std::vector<double> squares(static_cast<size_t>(axis == 1 ? rows : columns));
    for (int64_t i = 0; i < rows * columns; ++i) {
      double value = floatAt(images.buffers[static_cast<size_t>(index)], contents.type, static_cast<size_t>(i));
      squares[static_cast<size_t>(axis == 1 ? i / columns : i % columns)] += value * value;
    }
    return roots(std::move(squares));
  }

  std::vector<double> quantized(int codes, int scales, int64_t *k) const {
    const Contents &contents = plan.buffers[static_cast<size_t>(codes)].contents;
    int64_t rows = evaluate(contents.rows), block = contents.blockSize;
    *k = evaluate(contents.k);
    bool isNVFP4 = contents.format == "nvfp4";
    // The amax of the same value; its factor amax / 2688 is the tensor scale.
    double tensor = 1.0;
    if (isNVFP4)
      tensor = amaxFactor(codes);
    std::vector<double> squares(static_cast<size_t>(rows));
    int64_t pitch = numerics::codesPitch(*k), tiles = numerics::scaleTilesK(*k, block);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t at = 0; at < *k; ++at) {
        uint8_t byte = images.buffers[static_cast<size_t>(codes)][static_cast<size_t>(row * pitch + at / 2)];
        uint8_t scale = images.buffers[static_cast<size_t>(scales)][static_cast<size_t>(
            numerics::scaleTileOffset(row, at / block, tiles))];
        double value = numerics::decodeE2M1(at % 2 ? byte >> 4 : byte & 15) * tensor *
                       (isNVFP4 ? numerics::decodeE4M3(scale) : numerics::decodeUE8M0(scale));
        squares[static_cast<size_t>(row)] += value * value;
      }
    return roots(std::move(squares));
  }

  /// amax / 2688 of a codes buffer: the amax that its quantize launch has among its arguments.
  double amaxFactor(int codes) const {
    for (const plan::Launch &launch : plan.launches) {
      bool writes = startsWith(launch.label, "quantize") &&
                    std::any_of(launch.args.begin(), launch.args.end(),
                                [&](const plan::Argument &argument) { return argument.buffer == codes; });
      for (const plan::Argument &argument : launch.args)
        if (writes && argument.kind == plan::Argument::Kind::Pointer && argument.buffer >= 0 &&
            plan.buffers[static_cast<size_t>(argument.buffer)].contents.part == Contents::Part::Amax)
          return floatAt(images.buffers[static_cast<size_t>(argument.buffer)], plan::ElementType::F32, 0) / 2688.0;
    }
    return 1.0;
  }

  static std::vector<double> roots(std::vector<double> squares) {
    for (double &value : squares)
      value = std::sqrt(value);
    return squares;
  }

  const plan::Plan &plan;
  const Images &images;
};

} // namespace

std::vector<Comparison> compareImages(const Kernels &kernels, const Images &device, const Images &reference) {
  const plan::Plan &plan = kernels.plan;
  std::set<int> tainted;
  std::vector<int> writers = afterMatmul(plan, &tainted);
  std::vector<Comparison> results;
  for (size_t b = 0; b < plan.buffers.size(); ++b) {
    const plan::Buffer &buffer = plan.buffers[b];
    const std::vector<uint8_t> &have = device.buffers[b], &want = reference.buffers[b];
    Comparison result;
    result.kernels = kernels.name;
    result.buffer = buffer.name;
    if (have.size() != want.size()) {
      result.different = 1;
      result.detail = "sizes differ";
      results.push_back(result);
      continue;
    }
    result.bounded = tainted.count(static_cast<int>(b)) != 0;
    if (!result.bounded || writers[b] < 0) {
      result.bounded = false;
      result.elements = static_cast<int64_t>(have.size());
      for (size_t i = 0; i < have.size(); ++i)
        if (have[i] != want[i] && result.different++ == 0)
          result.detail = "first at byte " + std::to_string(i);
      results.push_back(result);
      continue;
    }
    Norms norms(plan, reference);
    int64_t k = 0;
    const plan::Launch &launch = plan.launches[static_cast<size_t>(writers[b])];
    std::vector<double> lhs = norms.of(launch, 0, &k), rhs = norms.of(launch, 1, &k);
    // Every partial sum is at most |a| |b| (Cauchy and Schwarz); each K = 64 step and each fp32 op of the epilogue rounds once.
    double steps = static_cast<double>((k + 63) / 64) + 8;
    if (launch.variants.back().kernel.find("_axes") != std::string::npos)
      steps = static_cast<double>(k) / 8 + 8; // bf16 MMAs of K = 16, whose inner order is open
    double ulp = buffer.contents.type == plan::ElementType::BF16 ? 0x1p-7 : 0x1p-22;
    result.elements = static_cast<int64_t>(lhs.size() * rhs.size());
    for (size_t i = 0; i < lhs.size() * rhs.size(); ++i) {
      float got = floatAt(have, buffer.contents.type, i), expected = floatAt(want, buffer.contents.type, i);
      if (std::memcmp(&got, &expected, 4) == 0 || (std::isnan(got) && std::isnan(expected)))
        continue;
      ++result.different;
      double error = std::fabs(static_cast<double>(got) - expected);
      double bound = steps * 0x1p-22 * lhs[i / rhs.size()] * rhs[i % rhs.size()] + ulp * std::fabs(expected);
      result.maxError = std::max(result.maxError, error);
      result.maxBound = std::max(result.maxBound, bound);
      if (!(error <= bound) && result.outside++ == 0)
        result.detail = "first at element " + std::to_string(i) + ": " + std::to_string(got) + ", expected " +
                        std::to_string(expected) + " +- " + std::to_string(bound);
    }
    results.push_back(result);
  }
  return results;
}

} // namespace twins
} // namespace fourfold
