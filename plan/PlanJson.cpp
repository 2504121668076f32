// Plans as JSON: the manifest.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/Plan.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace fourfold {
namespace plan {

using Json = nlohmann::ordered_json;

namespace {

constexpr const char *kBufferKinds[] = {"input", "output", "workspace", "weights", "saved", "gradient"};
constexpr const char *kParts[] = {"tensor", "codes", "scales", "amax"};
constexpr const char *kArgumentKinds[] = {"pointer", "i32", "i64", "f32"};
constexpr const char *kLaunchKinds[] = {"kernel", "memset", "reduce"};
constexpr const char *kReductions[] = {"sum", "max"};
constexpr const char *kElementTypes[] = {"f32", "bf16", "f16", "i64", "i32", "i8"};

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

template <typename Range>
Json expressions(const Range &list) {
  Json result = Json::array();
  for (const Expr &expr : list)
    result.push_back(expr.str());
  return result;
}

Json write(const Contents &contents) {
  Json json = {{"value", contents.value}, {"part", kParts[static_cast<int>(contents.part)]}};
  if (contents.part == Contents::Part::Tensor) {
    json["type"] = elementTypeName(contents.type);
    json["shape"] = expressions(contents.shape);
  } else if (contents.part != Contents::Part::Amax) {
    json["format"] = contents.format;
    json["rows"] = contents.rows.str();
    json["k"] = contents.k.str();
    json["blockSize"] = contents.blockSize;
    json["blockRows"] = contents.blockRows;
  }
  return json;
}

Json write(const Buffer &buffer) {
  return {{"name", buffer.name},
          {"kind", kBufferKinds[static_cast<int>(buffer.kind)]},
          {"bytes", buffer.bytes.str()},
          {"alignment", buffer.alignment},
          {"contents", write(buffer.contents)}};
}

Json write(const TensorInfo &tensor) {
  Json json = {{"name", tensor.name},
               {"type", elementTypeName(tensor.type)},
               {"shape", expressions(tensor.shape)},
               {"buffer", tensor.buffer}};
  if (tensor.optional)
    json["optional"] = true;
  return json;
}

Json write(const Argument &argument) {
  Json json = {{"kind", kArgumentKinds[static_cast<int>(argument.kind)]}};
  if (argument.kind == Argument::Kind::F32)
    json["scalar"] = argument.scalar;
  else if (argument.kind == Argument::Kind::Pointer)
    json["buffer"] = argument.buffer;
  if (argument.kind != Argument::Kind::F32 && !(argument.kind == Argument::Kind::Pointer && argument.value == Expr()))
    json["value"] = argument.value.str();
  return json;
}

Json write(const Variant &variant) {
  return {{"when", variant.when.str()},
          {"kernel", variant.kernel},
          {"grid", expressions(variant.grid)},
          {"block", variant.block},
          {"sharedBytes", variant.sharedBytes}};
}

Json write(const Launch &launch, bool hasPhases) {
  Json json = {{"kind", kLaunchKinds[static_cast<int>(launch.kind)]}, {"label", launch.label}};
  if (hasPhases)
    json["phase"] = launch.phase;
  if (launch.kind != Launch::Kind::Kernel) {
    json["buffer"] = launch.buffer;
    json["bytes"] = launch.bytes.str();
    if (launch.kind == Launch::Kind::Reduce) {
      json["offset"] = launch.offset.str();
      json["reduction"] = kReductions[static_cast<int>(launch.reduction)];
    }
    return json;
  }
  json["variants"] = Json::array();
  for (const Variant &variant : launch.variants)
    json["variants"].push_back(write(variant));
  json["args"] = Json::array();
  for (const Argument &argument : launch.args)
    json["args"].push_back(write(argument));
  return json;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Reads fields of one JSON object; remembers the first thing that is wrong, with its path.
class Reader {
public:
  Reader(const Json &json, std::string path, std::string *error) : json(json), path(std::move(path)), error(error) {
    if (!json.is_object())
      fail("", "an object");
  }

  bool ok() const { return error->empty(); }

  std::string string(const char *key) {
    const Json *field = find(key, "a string", [](const Json &value) { return value.is_string(); });
    return field ? field->get<std::string>() : "";
  }
  int64_t integer(const char *key) {
    const Json *field = find(key, "an integer", [](const Json &value) {
      return value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
    });
    return field ? field->get<int64_t>() : 0;
  }
  bool boolean(const char *key) {
    const Json *field = find(key, "true or false", [](const Json &value) { return value.is_boolean(); });
    return field && field->get<bool>();
  }
  int smallInteger(const char *key) {
    int64_t value = integer(key);
    if (value < INT32_MIN || value > INT32_MAX)
      fail(key, "a 32-bit integer");
    return static_cast<int>(value);
  }
  float number(const char *key) {
    const Json *field = find(key, "a number", [](const Json &value) { return value.is_number(); });
    return field ? field->get<float>() : 0.0f;
  }
  Expr expression(const char *key) { return parse(string(key), key); }
  std::vector<Expr> expressionList(const char *key) {
    std::vector<Expr> result;
    const Json *field = find(key, "an array", [](const Json &value) { return value.is_array(); });
    for (size_t i = 0; field && i < field->size(); ++i) {
      if (!(*field)[i].is_string()) {
        fail(key, "an array of strings");
        return result;
      }
      result.push_back(parse((*field)[i].get<std::string>(), key));
    }
    return result;
  }
  std::vector<int64_t> integerList(const char *key) {
    std::vector<int64_t> result;
    const Json *field = find(key, "an array", [](const Json &value) { return value.is_array(); });
    for (size_t i = 0; field && i < field->size(); ++i) {
      if (!(*field)[i].is_number_integer()) {
        fail(key, "an array of integers");
        return result;
      }
      result.push_back((*field)[i].get<int64_t>());
    }
    return result;
  }
  template <size_t N>
  int choice(const char *key, const char *const (&names)[N]) {
    std::string text = string(key), list;
    for (size_t i = 0; i < N; ++i) {
      if (text == names[i])
        return static_cast<int>(i);
      list += (i ? ", " : "") + std::string(names[i]);
    }
    fail(key, "one of " + list);
    return 0;
  }
  /// Calls `read` with a reader for each object of an array.
  template <typename ReadFn>
  void objects(const char *key, ReadFn read) {
    const Json *field = find(key, "an array", [](const Json &value) { return value.is_array(); });
    for (size_t i = 0; field && i < field->size() && ok(); ++i) {
      Reader element((*field)[i], fmt::format("{}.{}[{}]", path, key, i), error);
      if (ok())
        read(element);
    }
  }
  /// A reader for an object.
  template <typename ReadFn>
  void object(const char *key, ReadFn read) {
    const Json *field = find(key, "an object", [](const Json &value) { return value.is_object(); });
    if (!field)
      return;
    Reader inner(*field, path + "." + key, error);
    read(inner);
  }
  std::vector<std::string> stringList(const char *key) {
    std::vector<std::string> result;
    const Json *field = find(key, "an array of strings", [](const Json &value) {
      return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json &e) { return e.is_string(); });
    });
    for (size_t i = 0; field && i < field->size(); ++i)
      result.push_back((*field)[i].get<std::string>());
    return result;
  }
  bool has(const char *key) const { return json.is_object() && json.contains(key); }
  void fail(const std::string &key, const std::string &expected) {
    if (!error->empty())
      return;
    std::string found = json.is_object() && json.contains(key)
                            ? json[key].dump(-1, ' ', false, Json::error_handler_t::replace)
                        : key.empty() ? json.type_name()
                                      : std::string("nothing");
    *error = fmt::format("manifest field '{}{}{}': expected {}, found {}", path, key.empty() ? "" : ".", key, expected,
                         found.substr(0, 80));
  }

private:
  template <typename Predicate>
  const Json *find(const char *key, const char *expected, Predicate predicate) {
    if (!ok())
      return nullptr;
    auto entry = json.find(key);
    if (entry == json.end() || !predicate(*entry)) {
      fail(key, expected);
      return nullptr;
    }
    return &*entry;
  }
  Expr parse(const std::string &text, const char *key) {
    if (!ok())
      return {};
    std::string problem;
    Expr result = Expr::parse(text, &problem);
    if (!problem.empty())
      *error = fmt::format("manifest field '{}.{}': {}", path, key, problem);
    return result;
  }

  const Json &json;
  std::string path;
  std::string *error;
};

Contents readContents(Reader &reader) {
  Contents contents;
  contents.value = reader.string("value");
  contents.part = static_cast<Contents::Part>(reader.choice("part", kParts));
  if (contents.part == Contents::Part::Tensor) {
    contents.type = static_cast<ElementType>(reader.choice("type", kElementTypes));
    contents.shape = reader.expressionList("shape");
  } else if (contents.part != Contents::Part::Amax) {
    contents.format = reader.string("format");
    contents.rows = reader.expression("rows");
    contents.k = reader.expression("k");
    contents.blockSize = reader.integer("blockSize");
    contents.blockRows = reader.integer("blockRows");
  }
  return contents;
}

TensorInfo readTensor(Reader &reader) {
  TensorInfo tensor;
  tensor.name = reader.string("name");
  tensor.type = static_cast<ElementType>(reader.choice("type", kElementTypes));
  tensor.shape = reader.expressionList("shape");
  tensor.buffer = reader.smallInteger("buffer");
  tensor.optional = reader.has("optional") && reader.boolean("optional");
  return tensor;
}

Argument readArgument(Reader &reader) {
  Argument argument;
  argument.kind = static_cast<Argument::Kind>(reader.choice("kind", kArgumentKinds));
  if (argument.kind == Argument::Kind::F32)
    argument.scalar = reader.number("scalar");
  if (argument.kind == Argument::Kind::Pointer)
    argument.buffer = reader.smallInteger("buffer");
  if (argument.kind == Argument::Kind::I32 || argument.kind == Argument::Kind::I64 || reader.has("value"))
    argument.value = reader.expression("value");
  return argument;
}

Variant readVariant(Reader &reader) {
  Variant variant;
  variant.when = reader.expression("when");
  variant.kernel = reader.string("kernel");
  std::vector<Expr> grid = reader.expressionList("grid");
  if (grid.size() != 3)
    reader.fail("grid", "three expressions");
  else
    std::copy(grid.begin(), grid.end(), variant.grid.begin());
  std::vector<int64_t> block = reader.integerList("block");
  if (block.size() != 3 ||
      std::any_of(block.begin(), block.end(), [](int64_t extent) { return extent < 1 || extent > 1024; }))
    reader.fail("block", "three integers from 1 to 1024");
  else
    std::copy(block.begin(), block.end(), variant.block.begin());
  variant.sharedBytes = reader.smallInteger("sharedBytes");
  return variant;
}

} // namespace

const char *bufferKindName(Buffer::Kind kind) { return kBufferKinds[static_cast<int>(kind)]; }
const char *reductionName(Launch::Reduction reduction) { return kReductions[static_cast<int>(reduction)]; }

std::string Plan::toJson() const {
  Json json = {{"version", kManifestVersion}, {"spec", spec}, {"target", target}, {"ptxVersion", ptxVersion}};
  if (!mode.empty())
    json["mode"] = mode;
  if (!phases.empty())
    json["phases"] = phases;
  json["dims"] = Json::array();
  for (const Dimension &dim : dims)
    json["dims"].push_back({{"origin", dim.origin}});
  auto list = [&](const char *key, const auto &elements) {
    json[key] = Json::array();
    for (const auto &element : elements)
      json[key].push_back(write(element));
  };
  list("buffers", buffers);
  list("inputs", inputs);
  list("outputs", outputs);
  json["launches"] = Json::array();
  for (const Launch &launch : launches)
    json["launches"].push_back(write(launch, !phases.empty()));
  // Names come from source text and may be any bytes.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool Plan::fromJson(const std::string &text, Plan *plan, std::string *error) {
  error->clear();
  *plan = Plan();
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    *error = fmt::format("the manifest is not JSON ({} bytes)", text.size());
    return false;
  }
  Reader reader(json, "manifest", error);
  int version = reader.smallInteger("version");
  if (reader.ok() && version != kManifestVersion)
    *error = fmt::format("the manifest has version {}, this runtime reads version {}: compile the spec again", version,
                         kManifestVersion);
  plan->spec = reader.string("spec");
  plan->target = reader.string("target");
  plan->ptxVersion = reader.string("ptxVersion");
  if (reader.has("mode"))
    plan->mode = reader.string("mode");
  if (reader.has("phases"))
    plan->phases = reader.stringList("phases");
  reader.objects("dims", [&](Reader &dim) { plan->dims.push_back({dim.string("origin")}); });
  reader.objects("buffers", [&](Reader &entry) {
    Buffer buffer;
    buffer.name = entry.string("name");
    buffer.kind = static_cast<Buffer::Kind>(entry.choice("kind", kBufferKinds));
    buffer.bytes = entry.expression("bytes");
    buffer.alignment = entry.integer("alignment");
    entry.object("contents", [&](Reader &contents) { buffer.contents = readContents(contents); });
    plan->buffers.push_back(buffer);
  });
  reader.objects("inputs", [&](Reader &entry) { plan->inputs.push_back(readTensor(entry)); });
  reader.objects("outputs", [&](Reader &entry) { plan->outputs.push_back(readTensor(entry)); });
  reader.objects("launches", [&](Reader &entry) {
    Launch launch;
    launch.kind = static_cast<Launch::Kind>(entry.choice("kind", kLaunchKinds));
    launch.label = entry.string("label");
    if (!plan->phases.empty())
      launch.phase = entry.smallInteger("phase");
    if (launch.kind != Launch::Kind::Kernel) {
      launch.buffer = entry.smallInteger("buffer");
      launch.bytes = entry.expression("bytes");
      if (launch.kind == Launch::Kind::Reduce) {
        launch.offset = entry.expression("offset");
        launch.reduction = static_cast<Launch::Reduction>(entry.choice("reduction", kReductions));
      }
    } else {
      entry.objects("variants", [&](Reader &variant) { launch.variants.push_back(readVariant(variant)); });
      entry.objects("args", [&](Reader &argument) { launch.args.push_back(readArgument(argument)); });
    }
    plan->launches.push_back(launch);
  });
  if (error->empty())
    if (std::string problem = plan->validate(); !problem.empty())
      *error = "the manifest is inconsistent: " + problem;
  return error->empty();
}

} // namespace plan
} // namespace fourfold
