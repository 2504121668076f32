/* The linear layer for trainers in C, and for bindings of other languages. Plain C11. Devices and memory are in device.h.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

   The same layer as fourfold/linear.h, which says how calls follow each other and what they need. Codes, messages, handles, addresses and
   streams are as device.h says. */

#ifndef FOURFOLD_C_LINEAR_H
#define FOURFOLD_C_LINEAR_H

#include "fourfold/c/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct FourfoldLinear FourfoldLinear;
typedef struct FourfoldLinearPlan FourfoldLinearPlan;

/* As fourfold::LinearDescriptor. Zero it, set structSize, then what is wanted. */
typedef struct FourfoldLinearDescriptor {
  size_t structSize; /* sizeof(FourfoldLinearDescriptor) */
  int64_t inFeatures;
  int64_t outFeatures;
  const char *recipe;            /* "averis", or the folder of a recipe, with a slash in it */
  int32_t hasBias;               /* y = x w^T + bias, and db is written */
  int32_t hasMask;               /* a byte a token, 0 for padding */
  int32_t accumulate;            /* wgrad can add to dw and db */
  FourfoldReduceHook reduceHook; /* null: one rank */
  void *reduceUser;
  const char *mode; /* null or "fast", or "faithful": how GPUs without FP4 tensor cores sum products */
} FourfoldLinearDescriptor;

/* As fourfold::LinearTensors: device addresses; 0 for what a call does not need. */
typedef struct FourfoldLinearTensors {
  size_t structSize; /* sizeof(FourfoldLinearTensors) */
  uint64_t x;        /* tokens x inFeatures, bf16 */
  uint64_t w;        /* outFeatures x inFeatures, bf16 */
  uint64_t bias;     /* outFeatures, f32 */
  uint64_t mask;     /* tokens, i8 */
  uint64_t y;        /* tokens x outFeatures, bf16; written */
  uint64_t d;        /* tokens x outFeatures, bf16 */
  uint64_t dx;       /* tokens x inFeatures, bf16; written */
  uint64_t dw;       /* outFeatures x inFeatures, f32; written or added to */
  uint64_t db;       /* outFeatures, f32; written or added to */
  uint64_t seed;     /* one i64 */
  uint64_t offset;   /* one i64 */
  uint64_t weights;  /* areas of the sizes below, aligned to 256 */
  uint64_t saved;
  uint64_t gradient;
  uint64_t workspace;
} FourfoldLinearTensors;

/* As fourfold::LinearPlan. */
typedef struct FourfoldLinearSizes {
  size_t structSize; /* sizeof(FourfoldLinearSizes), set by the caller */
  uint64_t weightsBytes;
  uint64_t savedBytes;
  uint64_t gradientBytes;
  uint64_t workspaceBytes;
  uint64_t activationBytesBF16; /* what a layer in bf16 keeps for backward */
  int32_t forwardReadsW;        /* whether a call reads the unquantized tensor */
  int32_t backwardReadsX;
  int32_t backwardReadsW;
} FourfoldLinearSizes;

/* The recipes that can be named, sorted, one a line: name, tabulator, folder. */
FOURFOLD_C_API int fourfoldRecipeList(FourfoldText **recipes);

/* Opens the compiler plug-in (FOURFOLD_JIT, or libfourfold_jit.so next to the library) and compiles the recipe. */
FOURFOLD_C_API int fourfoldLinearCreate(const FourfoldDevice *device, const FourfoldLinearDescriptor *descriptor,
                                        FourfoldLinear **linear);
/* From a manifest and PTX that were compiled before with the same options; the plug-in is not needed. */
FOURFOLD_C_API int fourfoldLinearCreateFromPack(const FourfoldDevice *device, const char *manifest, const char *ptx,
                                                const FourfoldLinearDescriptor *descriptor, FourfoldLinear **linear);
FOURFOLD_C_API void fourfoldLinearDestroy(FourfoldLinear *linear);

FOURFOLD_C_API int fourfoldLinearPrepare(const FourfoldLinear *linear, int64_t tokens, FourfoldLinearPlan **plan);
FOURFOLD_C_API void fourfoldLinearPlanRelease(FourfoldLinearPlan *plan);
FOURFOLD_C_API int fourfoldLinearPlanSizes(const FourfoldLinearPlan *plan, FourfoldLinearSizes *sizes);
/* Of the quantized weight, which no token count changes. */
FOURFOLD_C_API uint64_t fourfoldLinearWeightsBytes(const FourfoldLinear *linear);

/* w [, seed, offset] -> weights */
FOURFOLD_C_API int fourfoldLinearQuantizeWeights(const FourfoldLinear *linear, void *stream,
                                                 const FourfoldLinearTensors *tensors);
/* x, weights [, w, bias, mask, seed, offset] -> y, saved */
FOURFOLD_C_API int fourfoldLinearForward(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                                         const FourfoldLinearTensors *tensors);
/* d [, mask, seed, offset] -> gradient [, db] */
FOURFOLD_C_API int fourfoldLinearPrepareGradient(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                                                 const FourfoldLinearTensors *tensors);
/* gradient, weights [, d, w, mask] -> dx */
FOURFOLD_C_API int fourfoldLinearDgrad(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                                       const FourfoldLinearTensors *tensors);
/* gradient, saved [, d, x, mask] -> dw [, db] */
FOURFOLD_C_API int fourfoldLinearWgrad(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                                       const FourfoldLinearTensors *tensors, int32_t accumulate);
/* The three above. */
FOURFOLD_C_API int fourfoldLinearBackward(const FourfoldLinear *linear, const FourfoldLinearPlan *plan, void *stream,
                                          const FourfoldLinearTensors *tensors, int32_t accumulate);
/* Adds `by` to the 64-bit number at `offset` in stream order. */
FOURFOLD_C_API int fourfoldLinearAdvanceOffset(const FourfoldLinear *linear, void *stream, uint64_t offset, uint64_t by);

#ifdef __cplusplus
}
#endif

#endif /* FOURFOLD_C_LINEAR_H */
