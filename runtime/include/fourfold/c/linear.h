/* The linear layer for trainers in C, and for bindings of other languages: devices, memory, layers. Plain C11.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

   The same layer as fourfold/linear.h, which says how calls follow each other and what they need. Differences:

   - Every call but the sizes returns a FourfoldCode: FOURFOLD_OK, 0, or what kind of thing went wrong. The message is then
     fourfoldLastMessage() of the same thread. Nothing throws, prints or aborts.
   - Handles are made by ...Open, ...Create and ...Prepare and given back once by ...Close, ...Destroy and ...Release; null is
     nothing to give back. A handle that others were made from may be given back before them. A null handle elsewhere is an
     error, or 0 where a size is returned.
   - Addresses are CUdeviceptr values, streams CUstream values; a null stream is the default stream. */

#ifndef FOURFOLD_C_LINEAR_H
#define FOURFOLD_C_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FOURFOLD_C_API __attribute__((visibility("default")))

/* As fourfold::StatusCode. */
typedef enum FourfoldCode {
  FOURFOLD_OK = 0,
  FOURFOLD_INVALID_ARGUMENT = 1, /* the caller passed something that does not fit */
  FOURFOLD_NOT_FOUND = 2,        /* a file, device, recipe or library does not exist */
  FOURFOLD_UNSUPPORTED = 3,      /* known, but not built or not possible here */
  FOURFOLD_COMPILE_ERROR = 4,    /* a spec or its kernels were rejected */
  FOURFOLD_DEVICE_ERROR = 5,     /* the device or its driver reported an error */
  FOURFOLD_OUT_OF_MEMORY = 6,    /* the device or the host has not enough memory */
  FOURFOLD_IO_ERROR = 7,         /* a file could not be read or written */
  FOURFOLD_INTERNAL_ERROR = 8    /* an exception inside the library */
} FourfoldCode;

typedef struct FourfoldDevice FourfoldDevice;
typedef struct FourfoldLinear FourfoldLinear;
typedef struct FourfoldLinearPlan FourfoldLinearPlan;

/* What was asked, what was found and what to do, of the thread's last call that failed; "" if none did. Valid until the next one
   fails. */
FOURFOLD_C_API const char *fourfoldLastMessage(void);

/* Devices and memory ----------------------------------------------------------------------------------------------------- */

/* "cuda:N", "emulated:sm_120a", or "auto": the first GPU if there is one, else emulated. */
FOURFOLD_C_API int fourfoldDeviceOpen(const char *name, FourfoldDevice **device);
FOURFOLD_C_API void fourfoldDeviceClose(FourfoldDevice *device);
/* "emulated:sm_120a"; valid as long as the handle. */
FOURFOLD_C_API const char *fourfoldDeviceName(const FourfoldDevice *device);

/* Aligned to 256 bytes, contents undefined. Memory that the program allocates with CUDA itself serves as well. */
FOURFOLD_C_API int fourfoldAllocate(const FourfoldDevice *device, uint64_t bytes, uint64_t *address);
FOURFOLD_C_API int fourfoldFree(const FourfoldDevice *device, uint64_t address);
/* In stream order; both wait until the copy is done. */
FOURFOLD_C_API int fourfoldCopyIn(const FourfoldDevice *device, uint64_t to, const void *from, uint64_t bytes, void *stream);
FOURFOLD_C_API int fourfoldCopyOut(const FourfoldDevice *device, void *to, uint64_t from, uint64_t bytes, void *stream);
/* Sets to zero, in stream order. */
FOURFOLD_C_API int fourfoldClear(const FourfoldDevice *device, uint64_t address, uint64_t bytes, void *stream);
/* Waits for a stream. */
FOURFOLD_C_API int fourfoldSynchronize(const FourfoldDevice *device, void *stream);

/* Layers ----------------------------------------------------------------------------------------------------------------- */

/* How ranks combine values. */
enum { FOURFOLD_REDUCE_SUM = 0, FOURFOLD_REDUCE_MAX = 1 };

/* Combines `count` f32 values at `address` over all ranks in stream order, as ncclAllReduce does. Returns 0, or an error number. */
typedef int (*FourfoldReduceHook)(void *user, void *stream, uint64_t address, uint64_t count, int operation);

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
