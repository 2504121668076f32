// Compares the host program with the reference evaluator: every value, bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_HOST_HOSTCHECK_H
#define FOURFOLD_TESTS_HOST_HOSTCHECK_H

#include "compiler/evaluate/Evaluate.h"
#include "compiler/host/Lower.h"
#include "dialect/Numerics.h"

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace fourfold {
namespace tests {

/// A part of a value as it was handed out.
struct HandedOut {
  std::string elementType;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
};
/// By "name.part".
using HandedOutParts = std::map<std::string, HandedOut>;

inline void keepPart(HandedOutParts &parts, const char *part, const FourfoldHostTensor &tensor) {
  HandedOut &kept = parts[std::string(tensor.name) + "." + part];
  kept.elementType = tensor.elementType;
  kept.shape.assign(tensor.shape, tensor.shape + tensor.rank);
  int64_t bytes = kept.elementType == "f32" || kept.elementType == "i32"     ? 4
                  : kept.elementType == "bf16" || kept.elementType == "f16" ? 2
                  : kept.elementType == "i64"                                ? 8
                                                                             : 1;
  for (int64_t extent : kept.shape)
    bytes *= extent;
  if (bytes)
    kept.bytes.assign(static_cast<const char *>(tensor.data), static_cast<const char *>(tensor.data) + bytes);
}

/// The first difference, or "". Two NaNs are equal: their payload is nobody's promise.
inline std::string difference(const std::string &name, const HandedOut &found, const HandedOut &expected) {
  if (found.elementType != expected.elementType || found.shape != expected.shape)
    return name + " has another type or shape";
  if (found.bytes == expected.bytes)
    return "";
  size_t size = expected.elementType == "f32" ? 4 : expected.elementType == "bf16" || expected.elementType == "f16" ? 2 : 1;
  for (size_t i = 0; i < expected.bytes.size() / size; ++i) {
    if (std::memcmp(found.bytes.data() + i * size, expected.bytes.data() + i * size, size) == 0)
      continue;
    float a = 0, b = 0;
    if (size == 4) {
      std::memcpy(&a, found.bytes.data() + i * 4, 4);
      std::memcpy(&b, expected.bytes.data() + i * 4, 4);
    } else if (size == 2) {
      uint16_t x, y;
      std::memcpy(&x, found.bytes.data() + i * 2, 2);
      std::memcpy(&y, expected.bytes.data() + i * 2, 2);
      bool isBF16 = expected.elementType == "bf16";
      a = isBF16 ? numerics::decodeBF16(x) : numerics::decodeF16(x);
      b = isBF16 ? numerics::decodeBF16(y) : numerics::decodeF16(y);
    } else {
      a = static_cast<uint8_t>(found.bytes[i]);
      b = static_cast<uint8_t>(expected.bytes[i]);
    }
    if (std::isnan(a) && std::isnan(b))
      continue;
    return name + "[" + std::to_string(i) + "] is " + std::to_string(a) + ", but the evaluator has " + std::to_string(b);
  }
  return "";
}

inline std::string differences(const HandedOutParts &found, const HandedOutParts &expected) {
  for (const auto &[name, part] : expected) {
    auto other = found.find(name);
    if (other == found.end())
      return name + " is missing";
    if (std::string text = difference(name, other->second, part); !text.empty())
      return text;
  }
  return found.size() == expected.size() ? "" : "there are values that the evaluator does not have";
}

/// Runs `function` as a whole on the host and compares every value with those of the evaluator.
inline std::string hostDifference(mlir::func::FuncOp function, llvm::ArrayRef<FourfoldHostTensor> inputs,
                                  bool intermediates, const HandedOutParts &expected) {
  auto program = host::lowerToHost(function);
  if (failed(program))
    return "cannot be lowered to the host";
  host::Environment environment(*program);
  HandedOutParts found;
  host::RunRequest request;
  request.inputs = inputs.data();
  request.numInputs = inputs.size();
  request.intermediates = intermediates;
  request.sink = [&](const char *part, const FourfoldHostTensor &tensor) { keepPart(found, part, tensor); };
  if (std::string error = host::tryRun(environment, request); !error.empty())
    return error;
  return differences(found, expected);
}

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_HOST_HOSTCHECK_H
