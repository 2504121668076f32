/* The C interface of specs and host programs, as a C program of somebody else sees it: one spec on the emulated device
   by run and by launch, by the evaluator and on the host, all of one result; a linear layer on the host; every mistake
   beside a call that is right. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "fourfold/c/host.h"
#include "fourfold/c/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 32, IN = 64, OUT = 48, X = TOKENS * IN, W = OUT * IN, Y = TOKENS * OUT };
static const int64_t xShape[] = {TOKENS, IN}, wShape[] = {OUT, IN}, yShape[] = {TOKENS, OUT};
static uint16_t x[X], w[W], d[Y];
static int failures;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      printf("line %d: %s is false; last message: %s\n", __LINE__, #condition, fourfoldLastMessage());                 \
      ++failures;                                                                                                      \
    }                                                                                                                  \
  } while (0)
#define OK(call) CHECK((call) == FOURFOLD_OK)
/* The code, and words that the message must have. */
#define FAILS(call, code, words) CHECK((call) == (code) && strstr(fourfoldLastMessage(), words))

static void fill(uint16_t *values, int count, unsigned seed) {
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    float value = (float)(seed >> 16) / 65536.0f - 0.25f;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    values[i] = (uint16_t)(bits >> 16);
  }
}

static double widened(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

static char *readText(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = calloc(1, 1 << 16);
  if (!file || !text || !fread(text, 1, (1 << 16) - 1, file)) {
    printf("cannot read '%s'\n", path);
    exit(1);
  }
  fclose(file);
  return text;
}

/* The only result, which must be y, as bytes of the caller. */
static void take(FourfoldTensors *results, uint16_t *y) {
  FourfoldTensor tensor;
  CHECK(fourfoldTensorsCount(results) == 1);
  FAILS(fourfoldTensorsGet(results, 1, &tensor), FOURFOLD_INVALID_ARGUMENT, "there is no tensor 1: there are 1");
  OK(fourfoldTensorsGet(results, 0, &tensor));
  CHECK(!strcmp(tensor.name, "y") && tensor.elementType == FOURFOLD_BF16 && tensor.rank == 2);
  CHECK(tensor.extents[0] == TOKENS && tensor.extents[1] == OUT);
  memcpy(y, tensor.data, 2 * Y);
  fourfoldTensorsDestroy(results);
}

static uint64_t upload(const FourfoldDevice *device, const void *from, uint64_t bytes) {
  uint64_t address = 0;
  OK(fourfoldAllocate(device, bytes, &address));
  if (from)
    OK(fourfoldCopyIn(device, address, from, bytes, NULL));
  return address;
}

/* What a spec says of itself. */
static void asks(const FourfoldSpec *spec) {
  FourfoldParameter parameter = {.structSize = sizeof(parameter)};
  CHECK(fourfoldSpecInputCount(spec) == 2 && fourfoldSpecOutputCount(spec) == 1 && fourfoldSpecPhaseCount(spec) == 0);
  OK(fourfoldSpecInput(spec, 1, &parameter));
  CHECK(!strcmp(parameter.name, "w") && parameter.elementType == FOURFOLD_BF16 && parameter.rank == 2);
  CHECK(!strcmp(parameter.extents[0], "d2") && !strcmp(parameter.extents[1], "d1"));
  OK(fourfoldSpecOutput(spec, 0, &parameter));
  CHECK(!strcmp(parameter.name, "y"));
  FAILS(fourfoldSpecInput(spec, 2, &parameter), FOURFOLD_INVALID_ARGUMENT, "there is no input 2: the spec has 2");
  parameter.structSize = 0;
  FAILS(fourfoldSpecInput(spec, 0, &parameter), FOURFOLD_INVALID_ARGUMENT, "FourfoldParameter.structSize is 0");
  /* A caller of a version whose struct ended before the extents. */
  parameter.structSize = offsetof(FourfoldParameter, extents);
  parameter.extents = NULL;
  OK(fourfoldSpecInput(spec, 0, &parameter));
  CHECK(!strcmp(parameter.name, "x") && !parameter.extents);
  CHECK(!strcmp(fourfoldSpecPhaseName(spec, 0), "") && !fourfoldSpecPhaseUsesInput(spec, 0, 0));
  CHECK(fourfoldSpecInputCount(NULL) == 0);
}

/* Bind and launch on memory of the caller. */
static void launches(const FourfoldDevice *device, const FourfoldSpec *spec, uint16_t *y) {
  FourfoldBinding *binding = NULL;
  const FourfoldShape shapes[] = {{2, xShape}, {2, wShape}}, wrong[] = {{2, xShape}, {2, yShape}};
  FourfoldBindingSizes sizes = {.structSize = sizeof(sizes)};
  FourfoldShape shape;
  FAILS(fourfoldSpecBind(spec, shapes, 1, &binding), FOURFOLD_INVALID_ARGUMENT, "expects 2 input shapes, got 1");
  FAILS(fourfoldSpecBind(spec, wrong, 2, &binding), FOURFOLD_INVALID_ARGUMENT, "input 'w' has 48 in dimension 1");
  FAILS(fourfoldSpecBind(spec, NULL, 2, &binding), FOURFOLD_INVALID_ARGUMENT, "argument 'inputShapes' is null");
  CHECK(binding == NULL);
  OK(fourfoldSpecBind(spec, shapes, 2, &binding));
  OK(fourfoldBindingSizes(binding, &sizes));
  OK(fourfoldBindingOutputShape(binding, 0, &shape));
  CHECK(shape.rank == 2 && shape.extents[0] == TOKENS && shape.extents[1] == OUT);
  CHECK(fourfoldBindingInputBytes(binding, 0) == 2 * X && fourfoldBindingOutputBytes(binding, 0) == 2 * Y);
  CHECK(fourfoldBindingInputBytes(binding, 2) == 0 && sizes.workspaceBytes > 0 && sizes.weightsBytes == 0);
  FAILS(fourfoldBindingOutputShape(binding, 1, &shape), FOURFOLD_INVALID_ARGUMENT, "there is no output 1");

  uint64_t inputs[] = {upload(device, x, 2 * X), upload(device, w, 2 * W)}, outputs[] = {upload(device, NULL, 2 * Y)};
  FourfoldLaunchBuffers buffers = {
      .structSize = sizeof(buffers), .inputs = inputs, .inputCount = 2, .outputs = outputs, .outputCount = 1};
  FAILS(fourfoldSpecLaunch(spec, binding, &buffers), FOURFOLD_INVALID_ARGUMENT, "expects a workspace of");
  buffers.workspace = upload(device, NULL, sizes.workspaceBytes);
  FAILS(fourfoldSpecLaunch(spec, NULL, &buffers), FOURFOLD_INVALID_ARGUMENT, "argument 'binding' is null");
  FAILS(fourfoldSpecLaunchPhase(spec, binding, 0, &buffers), FOURFOLD_INVALID_ARGUMENT, "has 0 phases");
  buffers.inputCount = 1;
  FAILS(fourfoldSpecLaunch(spec, binding, &buffers), FOURFOLD_INVALID_ARGUMENT,
        "the buffers have 1 inputs and 1 outputs, the spec 2 and 1");
  buffers.inputCount = 2;
  OK(fourfoldSpecLaunch(spec, binding, &buffers));
  OK(fourfoldCopyOut(device, y, outputs[0], 2 * Y, NULL));
  fourfoldBindingRelease(binding);
}

/* A linear layer on the host: forward is the forward spec, dW that of bf16 is the plain product. */
static void layerOnTheHost(void) {
  FourfoldLinearDescriptor descriptor = {.structSize = sizeof(descriptor), .recipe = "nothing"};
  FourfoldHost *host = NULL;
  FourfoldHostState *weights = NULL, *batch = NULL;
  static uint16_t y[Y];
  static float dw[W];
  FourfoldTensor inputs[] = {
      {"x", FOURFOLD_BF16, 2, xShape, x}, {"w", FOURFOLD_BF16, 2, wShape, w}, {"d", FOURFOLD_BF16, 2, yShape, d}};
  FourfoldTensor yOut = {"y", FOURFOLD_BF16, 2, yShape, y}, dwOut = {"dw", FOURFOLD_F32, 2, wShape, dw};
  FAILS(fourfoldHostPrepareLinear(&descriptor, &host), FOURFOLD_NOT_FOUND, "there is no recipe 'nothing'");
  descriptor.recipe = "bf16";
  OK(fourfoldHostPrepareLinear(&descriptor, &host));
  CHECK(fourfoldHostPhaseCount(host) == 5 && !strcmp(fourfoldHostPhaseName(host, 1), "forward"));
  CHECK(fourfoldHostInputCount(host) == 3 && fourfoldHostResultCount(host) == 3 &&
        !strcmp(fourfoldHostInputName(host, 9), ""));
  OK(fourfoldHostStateCreate(host, NULL, &weights));
  OK(fourfoldHostStateRun(weights, 1u << 0, inputs, 3, NULL, 0));
  OK(fourfoldHostStateCreate(host, weights, &batch));
  OK(fourfoldHostStateRun(batch, 1u << 1, inputs, 3, &yOut, 1));
  yOut.rank = 1;
  FAILS(fourfoldHostStateRun(batch, 1u << 1, inputs, 3, &yOut, 1), FOURFOLD_INVALID_ARGUMENT, "y");
  OK(fourfoldHostStateRun(batch, 7u << 2, inputs, 3, &dwOut, 1));
  for (int i = 0; i < W; ++i) {
    double sum = 0;
    for (int t = 0; t < TOKENS; ++t)
      sum += widened(d[t * OUT + i / IN]) * widened(x[t * IN + i % IN]);
    CHECK(dw[i] - sum < 1e-4 && sum - dw[i] < 1e-4);
  }
  for (int i = 0; i < Y; ++i) {
    double sum = 0;
    for (int k = 0; k < IN; ++k)
      sum += widened(x[i / OUT * IN + k]) * widened(w[i % OUT * IN + k]);
    CHECK(widened(y[i]) - sum <= 0.0625 && sum - widened(y[i]) <= 0.0625); /* half a step of bf16 from 16 to 32 */
  }
  fourfoldHostDestroy(host); /* states live by themselves */
  OK(fourfoldHostStateRun(batch, 1u << 1, inputs, 3, NULL, 0));
  fourfoldHostStateDestroy(batch);
  fourfoldHostStateDestroy(weights);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    printf("usage: spec_test SPEC\n");
    return 2;
  }
  char *source = readText(argv[1]);
  const char *const absent[] = {"bias"}, *const misspelt[] = {"bais"};
  FourfoldSpecDescriptor descriptor = {
      .structSize = sizeof(descriptor), .text = source, .absent = absent, .absentCount = 1};
  FourfoldDevice *device = NULL;
  FourfoldSpec *spec = NULL, *loaded = NULL;
  FourfoldText *warnings = NULL, *manifest = NULL, *ptx = NULL, *nothing = NULL;
  FourfoldTensors *results = NULL;
  FourfoldHost *host = NULL;
  static uint16_t run[Y], launched[Y], evaluated[Y], hosted[Y];
  fill(x, X, 1), fill(w, W, 2), fill(d, Y, 3);
  FourfoldTensor inputs[] = {{"w", FOURFOLD_BF16, 2, wShape, w}, {"x", FOURFOLD_BF16, 2, xShape, x}};

  CHECK(!strncmp(fourfoldVersion(), "0.1.", 4));
  OK(fourfoldDeviceOpen("emulated:sm_120a", &device));
  CHECK(!strcmp(fourfoldDeviceTarget(device), "sm_120a") && strlen(fourfoldDeviceDescription(device)));
  OK(fourfoldDeviceList(&nothing));
  CHECK(strstr(fourfoldTextData(nothing), "emulated:sm_120a\n"));
  fourfoldTextDestroy(nothing);
  OK(fourfoldRecipeList(&nothing));
  CHECK(strstr(fourfoldTextData(nothing), "averis\t"));
  fourfoldTextDestroy(nothing);

  /* Compiling: each mistake differs from what is right in one thing. */
  FAILS(fourfoldSpecCompile(NULL, &descriptor, &spec, NULL), FOURFOLD_INVALID_ARGUMENT, "argument 'device' is null");
  FAILS(fourfoldSpecCompile(device, NULL, &spec, NULL), FOURFOLD_INVALID_ARGUMENT, "argument 'descriptor' is null");
  FAILS(fourfoldSpecCompile(device, &descriptor, NULL, NULL), FOURFOLD_INVALID_ARGUMENT, "argument 'spec' is null");
  descriptor.structSize = 4096;
  FAILS(fourfoldSpecCompile(device, &descriptor, &spec, NULL), FOURFOLD_INVALID_ARGUMENT,
        "FourfoldSpecDescriptor.structSize is 4096");
  descriptor.structSize = sizeof(descriptor);
  descriptor.text = NULL;
  FAILS(fourfoldSpecCompile(device, &descriptor, &spec, NULL), FOURFOLD_INVALID_ARGUMENT,
        "FourfoldSpecDescriptor.text is null");
  descriptor.text = "func.func @broken(";
  FAILS(fourfoldSpecCompile(device, &descriptor, &spec, NULL), FOURFOLD_COMPILE_ERROR, "<spec>:1:");
  descriptor.text = source;
  descriptor.absent = NULL;
  FAILS(fourfoldSpecCompile(device, &descriptor, &spec, NULL), FOURFOLD_INVALID_ARGUMENT,
        "absent is null, but absentCount is 1");
  descriptor.absent = misspelt;
  FAILS(fourfoldSpecCompile(device, &descriptor, &spec, NULL), FOURFOLD_COMPILE_ERROR,
        "has no argument 'bais' to leave out; optional: bias");
  descriptor.absent = absent;
  descriptor.mode = "quick";
  FAILS(fourfoldSpecCompile(device, &descriptor, &spec, NULL), FOURFOLD_INVALID_ARGUMENT,
        "FourfoldSpecDescriptor.mode is 'quick': expected fast or faithful");
  descriptor.mode = NULL;
  CHECK(spec == NULL);
  OK(fourfoldSpecCompile(device, &descriptor, &spec, &warnings));
  CHECK(!strcmp(fourfoldTextData(warnings), ""));
  fourfoldTextDestroy(warnings);
  asks(spec);

  /* The same four ways. */
  OK(fourfoldSpecRun(spec, inputs, 2, &results));
  take(results, run);
  FAILS(fourfoldSpecRun(spec, inputs, 1, &results), FOURFOLD_INVALID_ARGUMENT, "input 'x' is missing");
  inputs[1].elementType = 17;
  FAILS(fourfoldSpecRun(spec, inputs, 2, &results), FOURFOLD_INVALID_ARGUMENT, "input 1 'x' has the element type 17");
  inputs[1].elementType = FOURFOLD_F16;
  FAILS(fourfoldSpecRun(spec, inputs, 2, &results), FOURFOLD_INVALID_ARGUMENT,
        "input 'x' is of type f16, but the spec expects bf16");
  inputs[1].elementType = FOURFOLD_BF16;
  inputs[1].data = NULL;
  FAILS(fourfoldSpecRun(spec, inputs, 2, &results), FOURFOLD_INVALID_ARGUMENT, "input 1 'x' has no data");
  inputs[1].data = x;
  inputs[1].rank = -1;
  FAILS(fourfoldSpecRun(spec, inputs, 2, &results), FOURFOLD_INVALID_ARGUMENT, "input 1 'x' has rank -1");
  inputs[1].rank = 2;
  CHECK(results == NULL);
  launches(device, spec, launched);
  OK(fourfoldSpecEvaluate(&descriptor, inputs, 2, &results));
  take(results, evaluated);
  OK(fourfoldHostPrepare(&descriptor, &host));
  OK(fourfoldHostRun(host, inputs, 2, &results));
  take(results, hosted);
  FAILS(fourfoldHostRun(host, inputs, 1, &results), FOURFOLD_INVALID_ARGUMENT, "x");
  fourfoldHostDestroy(host);
  CHECK(!memcmp(run, launched, sizeof(run)));
  /* A bf16 matmul on a device is within rounding of the evaluator's; that of FP4 with these inputs is equal to it or
   * one bit off. */
  int off = 0;
  for (int i = 0; i < Y; ++i)
    off += abs((int)run[i] - (int)evaluated[i]) > 1;
  CHECK(off == 0);
  CHECK(!memcmp(evaluated, hosted, sizeof(hosted)));

  /* Ahead of time. */
  FAILS(fourfoldSpecEmit(&descriptor, "sm_120a", "text", &nothing), FOURFOLD_INVALID_ARGUMENT, "unknown stage 'text'");
  FAILS(fourfoldSpecEmit(&descriptor, "sm_1", "ptx", &nothing), FOURFOLD_COMPILE_ERROR, "sm_1");
  OK(fourfoldSpecEmit(&descriptor, "sm_120a", "manifest", &manifest));
  OK(fourfoldSpecEmit(&descriptor, "sm_120a", "ptx", &ptx));
  FAILS(fourfoldSpecLoad(device, "{}", fourfoldTextData(ptx), &loaded), FOURFOLD_INVALID_ARGUMENT, "");
  OK(fourfoldSpecLoad(device, fourfoldTextData(manifest), fourfoldTextData(ptx), &loaded));
  fourfoldDeviceClose(device); /* specs live by themselves */
  OK(fourfoldSpecRun(loaded, inputs, 2, &results));
  take(results, launched);
  CHECK(!memcmp(run, launched, sizeof(run)));
  layerOnTheHost();

  fourfoldTextDestroy(manifest), fourfoldTextDestroy(ptx);
  fourfoldSpecDestroy(spec), fourfoldSpecDestroy(loaded);
  fourfoldSpecDestroy(NULL), fourfoldTextDestroy(NULL), fourfoldTensorsDestroy(NULL), fourfoldHostDestroy(NULL);
  fourfoldHostStateDestroy(NULL), fourfoldBindingRelease(NULL);
  CHECK(!strcmp(fourfoldTextData(NULL), "") && fourfoldTensorsCount(NULL) == 0 && fourfoldHostStateBytes(NULL) == 0);
  free(source);
  printf("%d failures\n", failures);
  return failures != 0;
}
