// Results into the caller's memory, and to the sink.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Results.h"

#include <algorithm>
#include <cstring>
#include <deque>

namespace fourfold {
namespace host {

namespace {

/// One piece of a value as it is handed out.
struct Part {
  const char *name, *elementType;
  Shape shape;
  const void *data;
  int64_t bytes;
};

struct Copy {
  void *target;
  const void *source;
  size_t bytes;
};

class Delivery {
public:
  Delivery(const Program &program, const RunRequest &request, const FindValue &find)
      : program(program), request(request), find(find) {}

  void run() {
    std::vector<Copy> copies;
    for (const Output &output : request.outputs)
      copies.push_back(check(output));
    for (const Copy &copy : copies)
      if (copy.bytes)
        std::memcpy(copy.target, copy.source, copy.bytes);
    if (request.sink)
      sendAll();
  }

private:
  [[noreturn]] void fail(const std::string &text) const { throw Failure("'" + program.name + "' " + text); }

  std::vector<Part> partsOf(const std::shared_ptr<const Value> &value) {
    held.push_back(value);
    if (value->isQuantized) {
      const Quantized &q = value->quantized;
      std::vector<Part> parts = {
          {"codes", "codes", {q.rows, q.k}, q.codes.get(), q.rows * q.k},
          {"scales", "scales", {q.rows, q.blocks()}, q.scales.get(), q.rows * q.blocks()},
      };
      if (q.isNVFP4)
        parts.push_back({"amax", "f32", {}, &q.amax, 4});
      return parts;
    }
    const Tensor *tensor = &value->tensor;
    if (!value->stages.empty()) {
      flat.push_back(materialized(*value));
      tensor = &flat.back();
    }
    const char *name = tensor->element == Element::Scale ? "scales" : "tensor";
    return {{name, elementName(tensor->element), tensor->shape, tensor->data, tensor->bytes()}};
  }

  Copy check(const Output &output) {
    auto result = std::find_if(program.results.begin(), program.results.end(),
                               [&](const Result &candidate) { return candidate.name == output.name; });
    if (result == program.results.end()) {
      std::string known;
      for (const Result &candidate : program.results)
        known += (known.empty() ? "" : ", ") + candidate.name;
      fail("has no result '" + output.name + "'; it gives " + known);
    }
    std::shared_ptr<const Value> value = find(result->value);
    if (!value)
      fail("does not give result '" + output.name + "' in this phase");
    for (const Part &part : partsOf(value)) {
      if (output.part != part.name)
        continue;
      if (output.elementType != part.elementType || output.shape != part.shape)
        fail("gives result '" + output.name + "' as " + shapeText(part.shape) + " of " + part.elementType +
             ", but the caller expects " + shapeText(output.shape) + " of " + output.elementType);
      if (!output.data && part.bytes)
        fail("gets no memory for result '" + output.name + "'");
      return {output.data, part.data, static_cast<size_t>(part.bytes)};
    }
    fail("has no part '" + output.part + "' in result '" + output.name + "'");
  }

  void send(const std::string &name, int number) {
    std::shared_ptr<const Value> value = find(number);
    if (!value)
      return;
    for (const Part &part : partsOf(value)) {
      FourfoldHostTensor tensor = {name.c_str(), part.elementType, static_cast<int32_t>(part.shape.size()),
                                   part.shape.data(), part.data};
      request.sink(part.name, tensor);
    }
    held.clear();
    flat.clear();
  }

  void sendAll() {
    std::vector<std::string> sent;
    for (const Result &result : program.results) {
      send(result.name, result.value);
      sent.push_back(result.name);
    }
    for (size_t i = program.numArguments; request.intermediates && i < program.values.size(); ++i)
      if (std::find(sent.begin(), sent.end(), program.values[i].name) == sent.end())
        send(program.values[i].name, static_cast<int>(i));
  }

  const Program &program;
  const RunRequest &request;
  const FindValue &find;
  std::vector<std::shared_ptr<const Value>> held;
  /// Tensors made of lazy matrices on the way out; they do not move.
  std::deque<Tensor> flat;
};

} // namespace

void deliverResults(const Program &program, const RunRequest &request, const FindValue &find) {
  Delivery(program, request, find).run();
}

} // namespace host
} // namespace fourfold
