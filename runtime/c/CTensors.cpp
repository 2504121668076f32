// Descriptors and host tensors of the C interfaces.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/c/CSpec.h"
#include "runtime/c/Guard.h"
#include "runtime/linear/Struct.h"

using namespace fourfold;
using c::guarded;

static_assert(static_cast<int>(ElementType::F32) == FOURFOLD_F32 &&
              static_cast<int>(ElementType::BF16) == FOURFOLD_BF16 &&
              static_cast<int>(ElementType::F16) == FOURFOLD_F16 &&
              static_cast<int>(ElementType::I64) == FOURFOLD_I64 &&
              static_cast<int>(ElementType::I32) == FOURFOLD_I32 && static_cast<int>(ElementType::I8) == FOURFOLD_I8);

static Status invalid(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

Status c::readSpec(const FourfoldSpecDescriptor *descriptor, Spec *spec) {
  FOURFOLD_REQUIRE(descriptor);
  FourfoldSpecDescriptor known;
  if (Status status = readStruct(*descriptor, "FourfoldSpecDescriptor", &known); !status.ok())
    return status;
  if (!known.text)
    return invalid("FourfoldSpecDescriptor.text is null: it must be the text of a spec");
  if (known.absentCount && !known.absent)
    return invalid(fmt::format("FourfoldSpecDescriptor.absent is null, but absentCount is {}", known.absentCount));
  spec->text = known.text;
  if (known.fileName)
    spec->fileName = known.fileName;
  if (known.function)
    spec->function = known.function;
  if (known.mode)
    spec->mode = known.mode;
  if (!spec->mode.empty() && spec->mode != "fast" && spec->mode != "faithful")
    return invalid(fmt::format("FourfoldSpecDescriptor.mode is '{}': expected fast or faithful", spec->mode));
  for (size_t i = 0; i < known.absentCount; ++i) {
    if (!known.absent[i])
      return invalid(fmt::format("FourfoldSpecDescriptor.absent[{}] is null", i));
    spec->absent.push_back(known.absent[i]);
  }
  return {};
}

static Status readTensor(const FourfoldTensor &given, const std::string &where, c::TensorView *view) {
  // No spec has a rank near this: a struct that was never filled in does.
  constexpr int32_t kMaxRank = 16;
  if (!given.name)
    return invalid(fmt::format("{} has no name", where));
  view->name = given.name;
  if (given.elementType < FOURFOLD_F32 || given.elementType > FOURFOLD_I8)
    return invalid(fmt::format("{} '{}' has the element type {}, expected a FourfoldElementType, {} to {}", where,
                               given.name, given.elementType, static_cast<int>(FOURFOLD_F32),
                               static_cast<int>(FOURFOLD_I8)));
  view->type = static_cast<ElementType>(given.elementType);
  if (given.rank < 0 || given.rank > kMaxRank || (given.rank && !given.extents))
    return invalid(fmt::format("{} '{}' has rank {} and {} extents, expected a rank of 0 to {} and as many extents",
                               where, given.name, given.rank, given.extents ? "some" : "no", kMaxRank));
  view->shape.assign(given.extents, given.extents + given.rank);
  int64_t bytes = countElements(view->shape);
  if (bytes < 0 || __builtin_mul_overflow(bytes, elementTypeBytes(view->type), &bytes))
    return invalid(
        fmt::format("{} '{}' of shape {} has no size that fits 64 bits", where, given.name, shapeText(view->shape)));
  if (bytes > 0 && !given.data)
    return invalid(fmt::format("{} '{}' has no data", where, given.name));
  view->data = given.data;
  view->bytes = static_cast<uint64_t>(bytes);
  return {};
}

Status c::readTensors(const FourfoldTensor *tensors, size_t count, const char *what, std::vector<TensorView> *views) {
  if (count && !tensors)
    return invalid(fmt::format("{} {}s, but their array is null", count, what));
  for (size_t i = 0; i < count; ++i) {
    TensorView view;
    if (Status status = readTensor(tensors[i], fmt::format("{} {}", what, i), &view); !status.ok())
      return status;
    views->push_back(std::move(view));
  }
  return {};
}

Status c::copyTensors(const FourfoldTensor *tensors, size_t count, std::vector<Tensor> *copies) {
  std::vector<TensorView> views;
  if (Status status = readTensors(tensors, count, "input", &views); !status.ok())
    return status;
  for (const TensorView &view : views) {
    const auto *start = static_cast<const uint8_t *>(view.data);
    copies->push_back({view.name, view.type, view.shape, {start, start + view.bytes}});
  }
  return {};
}

extern "C" {

size_t fourfoldTensorsCount(const FourfoldTensors *tensors) { return tensors ? tensors->tensors.size() : 0; }

int fourfoldTensorsGet(const FourfoldTensors *tensors, size_t index, FourfoldTensor *tensor) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(tensor);
    FOURFOLD_REQUIRE(tensors);
    if (index >= tensors->tensors.size())
      return invalid(fmt::format("there is no tensor {}: there are {}", index, tensors->tensors.size()));
    const Tensor &held = tensors->tensors[index];
    *tensor = {held.name.c_str(), static_cast<int32_t>(held.type), static_cast<int32_t>(held.shape.size()),
               held.shape.data(), const_cast<uint8_t *>(held.bytes.data())};
    return {};
  });
}

void fourfoldTensorsDestroy(FourfoldTensors *tensors) { delete tensors; }

} // extern "C"
