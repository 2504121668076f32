// Block linears without a recipe.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlasLinear.h"

#include "Gemm.h"
#include "Kernels.h"
#include "Parallel.h"

#include <fmt/format.h>
#include <stdexcept>

namespace traingpt {
namespace {

/// Products in float without any rounding of operands: for gradient checks and as an upper bound of quality.
class FloatLinear : public BlockLinear {
public:
  using BlockLinear::BlockLinear;

  void setWeights(const float *masters) override { weights.assign(masters, masters + out * in); }

  void forward(const float *x, float *y, int64_t newTokens) override {
    tokens = newTokens;
    savedX.assign(x, x + tokens * in);
    gemm(tokens, out, in, {x, in}, {weights.data(), in, Transpose::Yes}, 0.0f, y, out);
  }

  void backward(const float *dy, float *dx, float *dw) override {
    if (dx)
      gemm(tokens, in, out, {dy, out}, {weights.data(), in}, 0.0f, dx, in);
    gemm(out, in, tokens, {dy, out, Transpose::Yes}, {savedX.data(), in}, 1.0f, dw, in);
  }

private:
  int64_t tokens = 0;
  std::vector<float> weights, savedX;
};

/// bf16 operands and results, products and sums in fp32: what a bf16 tensor core computes, up to the order of sums.
class BlasLinear : public BF16Linear {
public:
  using BF16Linear::BF16Linear;

protected:
  void setWeightsBF16(const uint16_t *values) override {
    weights.resize(static_cast<size_t>(out * in));
    widenBF16(values, weights.data(), out * in);
  }

  void forwardBF16(const uint16_t *x, uint16_t *y, int64_t tokens) override {
    wideX.resize(static_cast<size_t>(tokens * in));
    product.resize(static_cast<size_t>(tokens * std::max(out, in)));
    parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
      widenBF16(x + begin * in, &wideX[static_cast<size_t>(begin * in)], (end - begin) * in);
      float *piece = &product[static_cast<size_t>(begin * out)];
      gemmSerial(end - begin, out, in, {&wideX[static_cast<size_t>(begin * in)], in},
                 {weights.data(), in, Transpose::Yes}, 0.0f, piece, out);
      roundToBF16(piece, y + begin * out, (end - begin) * out);
    });
  }

  void backwardBF16(const uint16_t *, const uint16_t *dy, int64_t tokens, uint16_t *dx, float *dw) override {
    wideDy.resize(static_cast<size_t>(tokens * out));
    parallelChunks(tokens, kRowsPerTask, [&](int64_t begin, int64_t end) {
      float *piece = &wideDy[static_cast<size_t>(begin * out)];
      widenBF16(dy + begin * out, piece, (end - begin) * out);
      if (!dx)
        return;
      float *grad = &product[static_cast<size_t>(begin * in)];
      gemmSerial(end - begin, in, out, {piece, out}, {weights.data(), in}, 0.0f, grad, in);
      roundToBF16(grad, dx + begin * in, (end - begin) * in);
    });
    gemm(out, in, tokens, {wideDy.data(), out, Transpose::Yes}, {wideX.data(), in}, 1.0f, dw, in);
  }

private:
  std::vector<float> weights, wideX, wideDy, product;
};

template <typename LinearT> class PlainFactory : public LinearFactory {
public:
  explicit PlainFactory(std::string words) : words(std::move(words)) {}
  std::unique_ptr<BlockLinear> create(const std::string &name, int64_t out, int64_t in) override {
    return std::make_unique<LinearT>(name, out, in);
  }
  std::string description() const override { return words; }

private:
  std::string words;
};

} // namespace

std::unique_ptr<LinearFactory> makeBlasFactory(const std::string &recipe) {
  if (recipe == "bf16")
    return std::make_unique<PlainFactory<BlasLinear>>("bf16 operands, fp32 products by BLAS");
  if (recipe == "fp32")
    return std::make_unique<PlainFactory<FloatLinear>>("fp32 operands and products by BLAS");
  throw std::runtime_error(fmt::format("recipe '{}' is unknown; BLAS has bf16 and fp32", recipe));
}

} // namespace traingpt
