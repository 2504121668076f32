// Philox4x32-10 and stochastic rounding inside kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/Philox.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

std::array<Val, 4> philox4x32(KernelBuilder &k, std::array<Val, 4> counter, Val key) {
  Val key0 = k.truncate32(key), key1 = k.truncate32(key >> 32);
  auto multiply = [&](Val value, uint32_t factor) {
    auto op = arith::MulUIExtendedOp::create(k.ir(), k.loc(), value, k.c32(factor));
    return std::pair(k.wrap(op.getLow()), k.wrap(op.getHigh()));
  };
  for (int round = 0; round < 10; ++round) {
    auto [low0, high0] = multiply(counter[0], 0xD2511F53u);
    auto [low1, high1] = multiply(counter[2], 0xCD9E8D57u);
    counter = {high1 ^ counter[1] ^ key0, low1, high0 ^ counter[3] ^ key1, low0};
    key0 = key0 + 0x9E3779B9u;
    key1 = key1 + 0xBB67AE85u;
  }
  return counter;
}

Val encodeE2M1Stochastic(KernelBuilder &k, Val value, Val random16) {
  Val sign = (k.asBits(value) >> 28) & 8;
  Val magnitude = k.absolute(value);
  Val below2 = magnitude < k.cf(2.0f), below4 = magnitude < k.cf(4.0f);
  auto pick = [&](float low, float middle, float high) {
    return k.select(below2, k.cf(low), k.select(below4, k.cf(middle), k.cf(high)));
  };
  Val base = k.select(below2, k.c32(0), k.select(below4, k.c32(4), k.c32(6)));
  Val steps = (magnitude - pick(0.0f, 2.0f, 4.0f)) * pick(2.0f, 1.0f, 0.5f);
  // At most 4: clamp what saturates before the conversion, which is exact after it.
  Val whole = k.wrap(math::FloorOp::create(k.ir(), k.loc(), k.minimum(steps, k.cf(4.0f))));
  Val fraction = (steps - whole) * k.cf(65536.0f);
  Val threshold = k.intToFloat(random16 & 0xffff) + k.cf(0.5f);
  Val up = k.zext32(threshold < fraction);
  Val wholeInt = k.wrap(arith::FPToSIOp::create(k.ir(), k.loc(), k.i32(), whole));
  Val code = k.select(magnitude >= k.cf(6.0f), k.c32(7), base + wholeInt + up);
  return sign | code;
}

} // namespace compiler
} // namespace fourfold
