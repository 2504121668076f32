/* Forward and backward of a linear layer in C, with W, X and the gradient in 4 bits; the weight gradient against the plain product.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "fourfold/c/linear.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 96, IN = 128, OUT = 80, X = TOKENS * IN, W = OUT * IN, Y = TOKENS * OUT };
static FourfoldDevice *device;

static void check(int code) {
  if (code != FOURFOLD_OK && fprintf(stderr, "linear_layer: error: %s\n", fourfoldLastMessage()))
    exit(1);
}

/* Device memory: of `count` floats around `mean`, rounded down to bf16 (the upper half of a float), or of `count` bytes. */
static uint64_t memory(uint64_t count, float *values, float mean) {
  uint64_t address = 0;
  check(fourfoldAllocate(device, values ? 2 * count : count, &address));
  for (uint64_t i = 0; values && i < count; ++i) {
    uint32_t bits;
    values[i] = mean + (float)rand() / (float)RAND_MAX - 0.5f;
    memcpy(&bits, &values[i], 4);
    uint16_t half = (uint16_t)(bits >> 16);
    memcpy(&values[i], &(uint32_t){bits & 0xffff0000u}, 4);
    check(fourfoldCopyIn(device, address + 2 * i, &half, 2, NULL));
  }
  return address;
}

int main(int argc, char **argv) {
  static float x[X], w[W], d[Y], dw[W];
  FourfoldLinearDescriptor descriptor = {sizeof(descriptor), IN, OUT, argc > 2 ? argv[2] : "averis", 0, 0, 0, NULL, NULL, NULL};
  FourfoldLinearSizes sizes = {.structSize = sizeof(sizes)};
  FourfoldLinearTensors t = {.structSize = sizeof(t)};
  FourfoldLinear *layer;
  FourfoldLinearPlan *plan;

  check(fourfoldDeviceOpen(argc > 1 ? argv[1] : "auto", &device));
  check(fourfoldLinearCreate(device, &descriptor, &layer));
  check(fourfoldLinearPrepare(layer, TOKENS, &plan));
  check(fourfoldLinearPlanSizes(plan, &sizes));
  t.x = memory(X, x, 1.0f), t.w = memory(W, w, 0.0f), t.d = memory(Y, d, 0.1f);
  t.y = memory(2 * Y, NULL, 0), t.dx = memory(2 * X, NULL, 0), t.dw = memory(4 * W, NULL, 0);
  t.weights = memory(sizes.weightsBytes, NULL, 0), t.saved = memory(sizes.savedBytes, NULL, 0);
  t.gradient = memory(sizes.gradientBytes, NULL, 0), t.workspace = memory(sizes.workspaceBytes, NULL, 0);
  t.seed = memory(8, NULL, 0), t.offset = memory(8, NULL, 0);
  check(fourfoldCopyIn(device, t.seed, &(int64_t){42}, 8, NULL));
  check(fourfoldCopyIn(device, t.offset, &(int64_t){0}, 8, NULL));

  check(fourfoldLinearQuantizeWeights(layer, NULL, &t)); /* once an optimizer step */
  check(fourfoldLinearForward(layer, plan, NULL, &t));
  check(fourfoldLinearBackward(layer, plan, NULL, &t, 0));
  check(fourfoldLinearAdvanceOffset(layer, NULL, t.offset, 1)); /* new random bits in the next step */
  check(fourfoldCopyOut(device, dw, t.dw, sizeof(dw), NULL));

  double off = 0, all = 0;
  for (int i = 0; i < W; ++i) {
    double sum = 0;
    for (int k = 0; k < TOKENS; ++k)
      sum += (double)d[k * OUT + i / IN] * x[k * IN + i % IN];
    off += (dw[i] - sum) * (dw[i] - sum), all += sum * sum;
  }
  double error = sqrt(off / all), kept = (double)sizes.savedBytes + (sizes.backwardReadsX ? 2.0 * X : 0.0);
  printf("%s on %s: weight gradient off by %.4f; keeps %.0f%% of a bf16 layer's bytes for backward\n", descriptor.recipe,
         fourfoldDeviceName(device), error, 100.0 * kept / (double)sizes.activationBytesBF16);
  fourfoldLinearPlanRelease(plan);
  fourfoldLinearDestroy(layer);
  fourfoldDeviceClose(device);
  return error < 0.1 ? 0 : 1;
}
