// A compiler plug-in that knows one spec, the text "add", written by hand. It stands in for the real one where the tool
// is tested. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AddSpec.h"
#include "plan/CompilerPlugin.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace fourfold::tests;

static void send(FourfoldSink sink, void *user, const char *name, const std::string &text) {
  sink(user, name, text.data(), text.size());
}

static bool isKnown(const char *text, size_t size) { return std::string(text, size).rfind("add", 0) == 0; }

/// For tests that count: FAKE_JIT_COUNTER is a file that gets a line a call, FAKE_JIT_SLEEP the milliseconds that one takes.
static void count() {
  if (const char *path = std::getenv("FAKE_JIT_COUNTER"))
    if (std::FILE *file = std::fopen(path, "a")) {
      std::fputs("compiled\n", file);
      std::fclose(file);
    }
  if (const char *milliseconds = std::getenv("FAKE_JIT_SLEEP"))
    usleep(static_cast<useconds_t>(std::atoi(milliseconds)) * 1000);
}

static int32_t compile(const FourfoldCompileRequest *request, FourfoldSink sink, void *user) {
  count();
  if (!isKnown(request->text, request->textSize)) {
    send(sink, user, "error", std::string(request->fileName) + ":1:1: error: expected 'add'");
    return 1;
  }
  if (std::string(request->text, request->textSize) == "add volatile")
    send(sink, user, "volatile", "a file");
  std::string emit = request->emit;
  if (emit == "ptx")
    send(sink, user, "manifest", addPlan(request->target).toJson());
  if (emit == "signature") {
    send(sink, user, "signature", addPlan(request->target).toJson());
    return 0;
  }
  send(sink, user, emit.c_str(), emit == "plan" ? addPlan(request->target).str() : addPtx(request->target));
  return 0;
}

/// y = x + w; a spec that begins with "add wrong" gives sums that are off by one, for tests of mismatches.
static int32_t evaluate(const FourfoldEvaluateRequest *request, FourfoldTensorSink tensors, FourfoldSink sink,
                        void *user) {
  const FourfoldHostTensor *x = nullptr, *w = nullptr;
  for (size_t i = 0; i < request->numInputs; ++i)
    (std::strcmp(request->inputs[i].name, "x") == 0 ? x : w) = &request->inputs[i];
  if (!x || !w) {
    send(sink, user, "error", "inputs x and w are needed");
    return 1;
  }
  float offset = std::string(request->text, request->textSize).rfind("add wrong", 0) == 0 ? 1.0f : 0.0f;
  std::vector<float> y(static_cast<size_t>(x->shape[0] * x->shape[1]));
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = static_cast<const float *>(x->data)[i] + static_cast<const float *>(w->data)[i] + offset;
  FourfoldHostTensor result = {"y", "f32", 2, x->shape, y.data()};
  tensors(user, "tensor", &result, nullptr);
  return 0;
}

static int32_t targets(FourfoldSink sink, void *user) {
  send(sink, user, "target", "sm_120a\tyes\t");
  return 0;
}

extern "C" __attribute__((visibility("default"))) const FourfoldCompilerApi *fourfoldCompilerApi(void) {
  static const FourfoldCompilerApi api = {FOURFOLD_COMPILER_ABI, "fake", compile, evaluate, targets, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
  return &api;
}
