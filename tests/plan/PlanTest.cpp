// The manifest: round trip, and every field broken in turn.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/Plan.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace fourfold::plan;
using Json = nlohmann::ordered_json;

static Plan makePlan() {
  Expr d0 = Expr::dim(0), d1 = Expr::dim(1);
  Plan plan;
  plan.spec = "f";
  plan.target = "sm_120a";
  plan.ptxVersion = "8.7";
  plan.dims = {{"x dimension 0"}, {"x dimension 1"}};
  Buffer x{"x", Buffer::Kind::Input, d0 * d1 * 2, 16, {}};
  x.contents.value = "x";
  x.contents.type = ElementType::BF16;
  x.contents.shape = {d0, d1};
  Buffer codes{"q.codes", Buffer::Kind::Workspace, d0 * ceilDiv(d1, 64) * 32, 256, {}};
  codes.contents.value = "q";
  codes.contents.part = Contents::Part::Codes;
  codes.contents.format = "nvfp4";
  codes.contents.rows = d0;
  codes.contents.k = d1;
  codes.contents.blockSize = 16;
  Buffer amax{"q.amax", Buffer::Kind::Workspace, 4, 256, {}};
  amax.contents.value = "q";
  amax.contents.part = Contents::Part::Amax;
  Buffer y{"y", Buffer::Kind::Output, d0 * 4, 256, {}};
  plan.buffers = {x, codes, amax, y};
  plan.inputs = {{"x", ElementType::BF16, {d0, d1}, 0}};
  plan.outputs = {{"y", ElementType::F32, {d0}, 3}};
  Launch clear;
  clear.kind = Launch::Kind::Memset;
  clear.label = "clear";
  clear.buffer = 2;
  clear.bytes = 4;
  Launch kernel;
  kernel.label = "quantize";
  Variant fast, slow;
  fast.when = Expr::binary(Expr::Kind::Equal, mod(d1, 64), 0);
  fast.kernel = "quantize_fast";
  fast.grid = {ceilDiv(d0, 128), 1, 1};
  fast.block = {256, 1, 1};
  fast.sharedBytes = 65536;
  slow.kernel = "quantize_slow";
  slow.block = {32, 4, 1};
  kernel.variants = {fast, slow};
  Argument pointer, null, size, scalar;
  pointer.buffer = 1;
  pointer.value = d1 * 2;
  null.buffer = -1;
  size.kind = Argument::Kind::I64;
  size.value = d0;
  scalar.kind = Argument::Kind::F32;
  scalar.scalar = 0.5f;
  kernel.args = {pointer, null, size, scalar};
  plan.launches = {clear, kernel};
  return plan;
}

/// The same in two phases, with a buffer between them and a reduction over ranks.
static Plan makePhasedPlan() {
  Plan plan = makePlan();
  plan.phases = {"forward", "backward"};
  plan.buffers[1].kind = Buffer::Kind::Saved;
  plan.launches[1].phase = 1;
  Launch reduce;
  reduce.kind = Launch::Kind::Reduce;
  reduce.label = "all ranks";
  reduce.buffer = 2;
  reduce.offset = 0;
  reduce.bytes = 4;
  reduce.reduction = Launch::Reduction::Max;
  plan.launches.insert(plan.launches.begin() + 1, reduce);
  return plan;
}

static std::string readError(const Json &json) {
  Plan plan;
  std::string error;
  bool read = Plan::fromJson(json.dump(), &plan, &error);
  EXPECT_EQ(read, error.empty());
  return error;
}

TEST(Plan, TheTwinOfAllBrokenPlansIsValid) {
  EXPECT_EQ(makePlan().validate(), "");
  EXPECT_EQ(readError(Json::parse(makePlan().toJson())), "");
}

TEST(Plan, RoundTripsToTheSameBytes) {
  std::string json = makePlan().toJson(), error;
  Plan plan;
  ASSERT_TRUE(Plan::fromJson(json, &plan, &error)) << error;
  EXPECT_EQ(plan.toJson(), json);
  EXPECT_EQ(json.back(), '\n');
  EXPECT_EQ(plan.launches[1].args[3].scalar, 0.5f);
  EXPECT_EQ(plan.launches[1].args[0].value.str(), "d1 * 2");
  EXPECT_EQ(plan.launches[1].variants[0].sharedBytes, 65536);
}

TEST(Plan, PhasesRoundTrip) {
  std::string json = makePhasedPlan().toJson(), error;
  Plan plan;
  ASSERT_TRUE(Plan::fromJson(json, &plan, &error)) << error;
  EXPECT_EQ(plan.toJson(), json);
  EXPECT_EQ(plan.phases.size(), 2u);
  EXPECT_EQ(plan.launches[2].phase, 1);
  EXPECT_EQ(plan.launches[1].reduction, Launch::Reduction::Max);
  EXPECT_EQ(plan.buffers[1].kind, Buffer::Kind::Saved);
  for (const char *part : {"backward", "max over ranks of q.amax (4 bytes from 0)", "saved"})
    EXPECT_NE(plan.str().find(part), std::string::npos) << part;
  plan.launches[2].phase = 2;
  EXPECT_NE(plan.validate().find("phase 2 does not exist, the plan has 2"), std::string::npos) << plan.validate();
  Plan without = makePhasedPlan();
  without.phases.clear();
  EXPECT_NE(without.validate(), "");
}

TEST(Plan, PrintsBuffersAndLaunches) {
  std::string text = makePlan().str();
  for (const char *part :
       {"plan f for sm_120a", "d1  x dimension 1", "memset q.amax (4 bytes)", "quantize_fast", "null"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

/// Removes each field in turn, and gives each a value of another type: all must be refused.
static void breakEachField(const Json &root, const Json::json_pointer &path, int *broken) {
  const Json node = root[path];
  size_t index = 0;
  for (const auto &item : node.items()) {
    Json::json_pointer child = node.is_array() ? path / index++ : path / item.key();
    // A pointer's offset may be left out: it is 0.
    bool optional = item.key() == "value" && node.is_object() && node.contains("kind") && node["kind"] == "pointer";
    if (node.is_object() && !optional) {
      Json without = root;
      without[path].erase(item.key());
      EXPECT_NE(readError(without).find(item.key()), std::string::npos) << "without " << child.to_string();
      ++*broken;
    }
    Json other = root;
    other[child] = item.value().is_structured() ? Json(7) : Json::object();
    EXPECT_NE(readError(other), "") << "another type at " << child.to_string();
    ++*broken;
    if (item.value().is_structured())
      breakEachField(root, child, broken);
  }
}

TEST(Plan, EveryFieldIsNeededAndTyped) {
  int broken = 0;
  breakEachField(Json::parse(makePhasedPlan().toJson()), Json::json_pointer(), &broken);
  breakEachField(Json::parse(makePlan().toJson()), Json::json_pointer(), &broken);
  EXPECT_GT(broken, 120);
}

TEST(Plan, WrongValuesAreNamed) {
  struct Case {
    const char *pointer;
    Json value;
    const char *message;
  };
  const Case cases[] = {
      {"/version", 2, "version 2"},
      {"/buffers/0/kind", "inputs", "one of input, output, workspace"},
      {"/buffers/0/bytes", "d0 * d7", "dimension d7"},
      {"/buffers/0/bytes", "d0 *", "position"},
      {"/buffers/0/alignment", 24, "24 is not a power of two"},
      {"/buffers/0/alignment", 0, "0 is not a power of two"},
      {"/buffers/1/contents/format", "fp4", "'fp4' is not nvfp4 or mxfp4"},
      {"/buffers/1/contents/blockSize", 8, "8 is not 16 or 32"},
      {"/buffers/1/contents/blockRows", 2, "2 rows a block"},
      {"/inputs/0/buffer", 4, "buffer 4 does not exist, the plan has 4"},
      {"/inputs/0/buffer", 3, "another kind"},
      {"/inputs/0/type", "f64", "one of f32"},
      {"/inputs/0/shape/0", "d0 + 1", "neither a number nor a dimension"},
      {"/inputs/0/name", "", "without a name"},
      {"/launches/0/buffer", -1, "buffer -1 does not exist"},
      {"/launches/1/variants", Json::array(), "no kernel"},
      {"/launches/1/variants/0/kernel", "a;b", "not an identifier"},
      {"/launches/1/variants/0/block/0", 2048, "1 to 1024"},
      {"/launches/1/variants/1/block/0", 512, "2048 threads"},
      {"/launches/1/variants/0/grid", Json::array({"1"}), "three expressions"},
      {"/launches/1/variants/0/sharedBytes", -4, "-4 bytes"},
      {"/launches/1/args/0/buffer", 9, "buffer 9 does not exist"},
      {"/launches/1/args/2/value", "d2", "dimension d2"},
      {"/launches/1/args/0/buffer", int64_t{1} << 40, "32-bit integer"},
  };
  for (const Case &test : cases) {
    Json json = Json::parse(makePlan().toJson());
    json[Json::json_pointer(test.pointer)] = test.value;
    EXPECT_NE(readError(json).find(test.message), std::string::npos) << test.pointer << ": " << readError(json);
  }
}

TEST(Plan, ArbitraryBytesAreRefused) {
  Plan plan;
  std::string error, json = makePlan().toJson();
  for (size_t length = 0; length + 2 < json.size(); length += 7)
    EXPECT_FALSE(Plan::fromJson(json.substr(0, length), &plan, &error)) << length;
  for (const char *text : {"", "null", "[]", "3", "{}", "\xff\xfe"})
    EXPECT_FALSE(Plan::fromJson(text, &plan, &error)) << text;
}
