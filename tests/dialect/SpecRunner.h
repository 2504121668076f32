// Parses and evaluates a spec from a test: inputs by name in, results by name out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_DIALECT_SPECRUNNER_H
#define FOURFOLD_TESTS_DIALECT_SPECRUNNER_H

#include "compiler/evaluate/Evaluate.h"
#include "compiler/frontend/Frontend.h"
#include "dialect/Numerics.h"
#include "tests/host/HostCheck.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace fourfold {
namespace tests {

/// A host tensor that owns its bytes.
struct OwnedTensor {
  std::string elementType;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
};

template <typename T>
OwnedTensor ownedTensor(const char *elementType, std::vector<int64_t> shape, const std::vector<T> &data) {
  OwnedTensor result = {elementType, std::move(shape), std::vector<char>(data.size() * sizeof(T))};
  std::memcpy(result.bytes.data(), data.data(), result.bytes.size());
  return result;
}

inline OwnedTensor f32(std::vector<int64_t> shape, const std::vector<float> &data) {
  return ownedTensor("f32", std::move(shape), data);
}
inline OwnedTensor bf16(std::vector<int64_t> shape, const std::vector<float> &data) {
  std::vector<uint16_t> bits;
  for (float value : data)
    bits.push_back(numerics::encodeBF16(value));
  return ownedTensor("bf16", std::move(shape), bits);
}
inline OwnedTensor f16(std::vector<int64_t> shape, const std::vector<float> &data) {
  std::vector<uint16_t> bits;
  for (float value : data)
    bits.push_back(numerics::encodeF16(value));
  return ownedTensor("f16", std::move(shape), bits);
}

/// One value that came out, floats widened to f32, codes and scales as bytes.
struct Received {
  std::string part, elementType;
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<uint8_t> codes;
  bool hasBound = false;
  std::vector<float> bound;
};

/// What an evaluation gave: values under "name" or, for the parts of quantized values, "name.codes", and errors.
struct Outcome {
  bool ok = false;
  std::string errors;
  std::map<std::string, Received> values;
  /// Names in the order they came.
  std::vector<std::string> order;

  /// Empty where there is no such value: what compares it then fails and shows the errors.
  const Received &operator[](const std::string &name) const {
    static const Received none;
    auto found = values.find(name);
    EXPECT_NE(found, values.end()) << name << " is missing; " << errors;
    return found == values.end() ? none : found->second;
  }
};

inline Received receive(const char *part, const FourfoldHostTensor &tensor, const float *bound) {
  Received result;
  result.part = part;
  result.elementType = tensor.elementType;
  result.shape.assign(tensor.shape, tensor.shape + tensor.rank);
  size_t size = 1;
  for (int64_t extent : result.shape)
    size *= static_cast<size_t>(extent);
  const char *bytes = static_cast<const char *>(tensor.data);
  for (size_t i = 0; i < size; ++i) {
    uint16_t half = 0;
    float value = 0.0f;
    if (result.elementType == "f32") {
      std::memcpy(&value, bytes + 4 * i, 4);
      result.floats.push_back(value);
    } else if (result.elementType == "bf16" || result.elementType == "f16") {
      std::memcpy(&half, bytes + 2 * i, 2);
      result.floats.push_back(result.elementType == "bf16" ? numerics::decodeBF16(half) : numerics::decodeF16(half));
    } else {
      result.codes.push_back(static_cast<uint8_t>(bytes[i]));
    }
  }
  result.hasBound = bound != nullptr;
  if (bound)
    result.bound.assign(bound, bound + size);
  return result;
}

/// Parses `text` as file "spec.mlir", expands region math, evaluates. The host program must give the same, and refuse the same.
inline Outcome runSpec(const std::string &text, const std::map<std::string, OwnedTensor> &inputs,
                       bool intermediates = false, const std::string &function = "") {
  mlir::DialectRegistry registry;
  compiler::registerSpecDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  compiler::DiagnosticCollector diagnostics(context);
  Outcome outcome;
  mlir::FailureOr<compiler::ParsedSpec> spec = compiler::parseSpec(text, "spec.mlir", context, function);
  if (succeeded(spec) && succeeded(compiler::expandMath(spec->function))) {
    std::vector<FourfoldHostTensor> tensors;
    for (const auto &[name, tensor] : inputs)
      tensors.push_back({name.c_str(), tensor.elementType.c_str(), static_cast<int32_t>(tensor.shape.size()),
                         tensor.shape.data(), tensor.bytes.data()});
    HandedOutParts parts;
    outcome.ok =
        succeeded(compiler::evaluate(spec->function, tensors, intermediates,
                                     [&](const char *part, const FourfoldHostTensor &tensor, const float *bound) {
                                       std::string key = tensor.name;
                                       if (llvm::StringRef(part) != "tensor")
                                         key += std::string(".") + part;
                                       outcome.order.push_back(key);
                                       keepPart(parts, part, tensor);
                                       outcome.values[key] = receive(part, tensor, bound);
                                     }));
    outcome.errors = diagnostics.str();
    std::string difference = hostDifference(spec->function, tensors, intermediates, parts);
    if (outcome.ok)
      EXPECT_EQ(difference, "") << "on the host";
    else
      EXPECT_NE(difference, "") << "the host runs what the evaluator refuses";
  } else {
    outcome.errors = diagnostics.str();
  }
  return outcome;
}

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_DIALECT_SPECRUNNER_H
