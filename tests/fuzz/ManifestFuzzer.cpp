// Fuzzes the manifest reader: what is accepted is valid and comes back the same from its own text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Check.h"

#include "plan/Plan.h"

using namespace fourfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size), error;
  plan::Plan plan;
  if (!plan::Plan::fromJson(text, &plan, &error)) {
    FUZZ_CHECK(!error.empty(), "a refused manifest has a message");
    return 0;
  }
  FUZZ_CHECK(plan.validate().empty(), "an accepted manifest is valid");
  std::string written = plan.toJson();
  plan::Plan again;
  FUZZ_CHECK(plan::Plan::fromJson(written, &again, &error), "what was written can be read");
  FUZZ_CHECK(again.toJson() == written, "reading and writing keep a manifest");
  plan.str();
  // Any sizes a caller may ask for: an error, never an overflow.
  for (int64_t size : {int64_t{0}, int64_t{1}, int64_t{17}, int64_t{1} << 40, INT64_MAX}) {
    std::vector<int64_t> dims(plan.dims.size(), size);
    for (const plan::Buffer &buffer : plan.buffers) {
      std::string why;
      buffer.bytes.evaluate(dims, &why);
    }
  }
  return 0;
}
