/* One training step of a linear layer in C: W, X and the gradient in 4 bits, against the plain products.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "fourfold/c/linear.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 96, IN = 128, OUT = 80, X = TOKENS * IN, W = OUT * IN, Y = TOKENS * OUT };

static FourfoldDevice *device;

static void check(int code) {
  if (code == FOURFOLD_OK)
    return;
  fprintf(stderr, "linear_layer: error: %s\n", fourfoldLastMessage());
  exit(1);
}

static uint64_t memory(uint64_t bytes) {
  uint64_t address = 0;
  check(fourfoldAllocate(device, bytes, &address));
  return address;
}

/* The upper half of a float is a bf16. */
static float widen(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof(value));
  return value;
}

/* A bf16 matrix of random numbers around a mean, on the host as floats, on the device as bf16. */
static uint64_t matrix(float *values, int count, float mean) {
  uint16_t *bits = malloc(sizeof(uint16_t) * (size_t)count);
  uint64_t address = memory(2u * (uint64_t)count);
  for (int i = 0; i < count; ++i) {
    float value = mean + (float)rand() / (float)RAND_MAX - 0.5f;
    uint32_t wide;
    memcpy(&wide, &value, sizeof(wide));
    bits[i] = (uint16_t)(wide >> 16);
    values[i] = widen(bits[i]);
  }
  check(fourfoldCopyIn(device, address, bits, 2u * (uint64_t)count, NULL));
  free(bits);
  return address;
}

/* |found - a b| / |a b| for a of rows x inner and b of inner x columns, with the distance of neighbours in a row and in a column. */
static double error(const float *found, int rows, int columns, int inner, const float *a, int aRow, int aColumn,
                    const float *b, int bRow, int bColumn) {
  double off = 0, all = 0;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      double sum = 0;
      for (int k = 0; k < inner; ++k)
        sum += (double)a[i * aRow + k * aColumn] * b[k * bRow + j * bColumn];
      off += (found[i * columns + j] - sum) * (found[i * columns + j] - sum);
      all += sum * sum;
    }
  return sqrt(off / all);
}

static const float *fetch(float *values, uint64_t address, int count, int isBF16) {
  check(fourfoldCopyOut(device, values, address, (isBF16 ? 2u : 4u) * (uint64_t)count, NULL));
  for (int i = count - 1; isBF16 && i >= 0; --i) { /* from the end: each float lies over two bf16 values */
    uint16_t bits;
    memcpy(&bits, (const char *)values + 2 * i, sizeof(bits));
    values[i] = widen(bits);
  }
  return values;
}

int main(int argc, char **argv) {
  static float x[X], w[W], d[Y], result[X > W ? X : W];
  const int64_t random[2] = {42, 0};
  FourfoldLinearDescriptor descriptor = {sizeof(descriptor), IN, OUT, argc > 2 ? argv[2] : "averis", 0, 0, 0, NULL, NULL, NULL};
  FourfoldLinearSizes sizes = {.structSize = sizeof(sizes)};
  FourfoldLinear *layer;
  FourfoldLinearPlan *plan;

  check(fourfoldDeviceOpen(argc > 1 ? argv[1] : "auto", &device));
  check(fourfoldLinearCreate(device, &descriptor, &layer));
  check(fourfoldLinearPrepare(layer, TOKENS, &plan));
  check(fourfoldLinearPlanSizes(plan, &sizes));

  FourfoldLinearTensors t = {.structSize = sizeof(t)};
  t.x = matrix(x, X, 1.0f);
  t.w = matrix(w, W, 0.0f);
  t.d = matrix(d, Y, 0.1f);
  t.y = memory(2 * Y), t.dx = memory(2 * X), t.dw = memory(4 * W);
  t.seed = memory(8), t.offset = memory(8);
  t.weights = memory(sizes.weightsBytes), t.saved = memory(sizes.savedBytes);
  t.gradient = memory(sizes.gradientBytes), t.workspace = memory(sizes.workspaceBytes);
  check(fourfoldCopyIn(device, t.seed, &random[0], 8, NULL));
  check(fourfoldCopyIn(device, t.offset, &random[1], 8, NULL));

  check(fourfoldLinearQuantizeWeights(layer, NULL, &t)); /* once an optimizer step */
  check(fourfoldLinearForward(layer, plan, NULL, &t));
  check(fourfoldLinearBackward(layer, plan, NULL, &t, 0));
  check(fourfoldLinearAdvanceOffset(layer, NULL, t.offset, 1)); /* new random bits in the next step */
  check(fourfoldSynchronize(device, NULL));

  double y = error(fetch(result, t.y, Y, 1), TOKENS, OUT, IN, x, IN, 1, w, 1, IN);
  double dx = error(fetch(result, t.dx, X, 1), TOKENS, IN, OUT, d, OUT, 1, w, IN, 1);
  double dw = error(fetch(result, t.dw, W, 0), OUT, IN, TOKENS, d, 1, OUT, x, IN, 1);
  double kept = (double)sizes.savedBytes + (sizes.backwardReadsX ? 2.0 * X : 0.0);
  printf("%s on %s: relative errors y %.4f, dx %.4f, dw %.4f; keeps %.0f%% of a bf16 layer's bytes for backward\n",
         descriptor.recipe, fourfoldDeviceName(device), y, dx, dw, 100.0 * kept / (double)sizes.activationBytesBF16);
  fourfoldLinearPlanRelease(plan);
  fourfoldLinearDestroy(layer);
  fourfoldDeviceClose(device);
  return y < 0.25 && dx < 0.25 && dw < 0.25 ? 0 : 1;
}
