/* Specs of your own in C: compile or load, ask for arguments and sizes, launch on memory and a stream of the caller. Plain C11.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

   As fourfold/Compiler.h and fourfold/Executable.h, which say more. Codes, messages, handles, addresses and streams are as device.h says.
   Handles may be used by many threads at once; launches that overlap need workspaces of their own. */

#ifndef FOURFOLD_C_SPEC_H
#define FOURFOLD_C_SPEC_H

#include "fourfold/c/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct FourfoldSpec FourfoldSpec;       /* compiled, and loaded on a device */
typedef struct FourfoldBinding FourfoldBinding; /* every size for given input shapes */
typedef struct FourfoldTensors FourfoldTensors; /* results in host memory */

/* As fourfold::ElementType. */
typedef enum FourfoldElementType {
  FOURFOLD_F32 = 0,
  FOURFOLD_BF16 = 1,
  FOURFOLD_F16 = 2,
  FOURFOLD_I64 = 3,
  FOURFOLD_I32 = 4,
  FOURFOLD_I8 = 5
} FourfoldElementType;

/* What to compile, as fourfold::Spec. Zero it, set structSize, then what is wanted. */
typedef struct FourfoldSpecDescriptor {
  size_t structSize;         /* sizeof(FourfoldSpecDescriptor) */
  const char *text;          /* MLIR text */
  const char *fileName;      /* for diagnostics; null: "<spec>" */
  const char *function;      /* null: the only function */
  const char *const *absent; /* arguments marked fp4.optional that are left out */
  size_t absentCount;
  const char *mode; /* null or "fast", or "faithful": how GPUs without FP4 tensor cores sum products */
} FourfoldSpecDescriptor;

/* An input or output. Its texts are valid as long as the spec. */
typedef struct FourfoldParameter {
  size_t structSize; /* sizeof(FourfoldParameter), set by the caller */
  const char *name;
  int32_t elementType; /* a FourfoldElementType */
  int32_t rank;
  const char *const *extents; /* "384", or a dimension that is known at run time, such as "d0" */
} FourfoldParameter;

typedef struct FourfoldShape {
  int32_t rank;
  const int64_t *extents;
} FourfoldShape;

/* A tensor in host memory: row-major, contiguous, native byte order. A rank of 0 is a scalar. */
typedef struct FourfoldTensor {
  const char *name;
  int32_t elementType;
  int32_t rank;
  const int64_t *extents;
  void *data; /* of an input only read */
} FourfoldTensor;

/* Device memory that a launch needs; each area begins at a multiple of 256. */
typedef struct FourfoldBindingSizes {
  size_t structSize; /* sizeof(FourfoldBindingSizes), set by the caller */
  uint64_t workspaceBytes;
  uint64_t weightsBytes; /* of a plan with phases: what one phase leaves for later ones */
  uint64_t savedBytes;
  uint64_t gradientBytes;
} FourfoldBindingSizes;

/* As fourfold::LaunchBuffers: device addresses, in the order of the spec's inputs and outputs. */
typedef struct FourfoldLaunchBuffers {
  size_t structSize; /* sizeof(FourfoldLaunchBuffers) */
  const uint64_t *inputs;
  size_t inputCount;
  const uint64_t *outputs;
  size_t outputCount;
  uint64_t workspace; /* may be 0 if its size is 0, as the three areas */
  void *stream;
  uint64_t weights;
  uint64_t saved;
  uint64_t gradient;
  FourfoldReduceHook reduceHook; /* null: one rank */
  void *reduceUser;
} FourfoldLaunchBuffers;

/* Compiling -------------------------------------------------------------------------------------------------------------- */

/* Compiles for a device and loads, or finds it loaded or in the cache. `warnings` may be null; else it gets one diagnostic a line, and what
   is loaded is not shared. Opens the compiler plug-in (FOURFOLD_JIT, or libfourfold_jit.so next to the library). */
FOURFOLD_C_API int fourfoldSpecCompile(const FourfoldDevice *device, const FourfoldSpecDescriptor *descriptor,
                                       FourfoldSpec **spec, FourfoldText **warnings);
/* From a manifest and PTX that were compiled before; the plug-in is not needed. */
FOURFOLD_C_API int fourfoldSpecLoad(const FourfoldDevice *device, const char *manifest, const char *ptx, FourfoldSpec **spec);
FOURFOLD_C_API void fourfoldSpecDestroy(FourfoldSpec *spec);
/* Compiles for a target such as "sm_120a" up to a stage: "plan", "kernels", "llvm", "ptx", or "manifest", which with the PTX is what Load
   takes; or "signature", which needs no kernels: a manifest with the inputs, those that are optional marked, and the outputs alone. */
FOURFOLD_C_API int fourfoldSpecEmit(const FourfoldSpecDescriptor *descriptor, const char *target, const char *stage,
                                    FourfoldText **text);

/* What a spec has -------------------------------------------------------------------------------------------------------- */

FOURFOLD_C_API size_t fourfoldSpecInputCount(const FourfoldSpec *spec);
FOURFOLD_C_API size_t fourfoldSpecOutputCount(const FourfoldSpec *spec);
FOURFOLD_C_API int fourfoldSpecInput(const FourfoldSpec *spec, size_t input, FourfoldParameter *parameter);
FOURFOLD_C_API int fourfoldSpecOutput(const FourfoldSpec *spec, size_t output, FourfoldParameter *parameter);
/* 0 for a plan that is launched as a whole. Names are "" where there is no such phase. */
FOURFOLD_C_API size_t fourfoldSpecPhaseCount(const FourfoldSpec *spec);
FOURFOLD_C_API const char *fourfoldSpecPhaseName(const FourfoldSpec *spec, size_t phase);
/* 1 if the phase reads or writes the input or output, else 0. */
FOURFOLD_C_API int32_t fourfoldSpecPhaseUsesInput(const FourfoldSpec *spec, size_t phase, size_t input);
FOURFOLD_C_API int32_t fourfoldSpecPhaseUsesOutput(const FourfoldSpec *spec, size_t phase, size_t output);

/* Sizes ------------------------------------------------------------------------------------------------------------------ */

/* One shape for each input, in order. Host work only. */
FOURFOLD_C_API int fourfoldSpecBind(const FourfoldSpec *spec, const FourfoldShape *inputShapes, size_t count,
                                    FourfoldBinding **binding);
FOURFOLD_C_API void fourfoldBindingRelease(FourfoldBinding *binding);
FOURFOLD_C_API int fourfoldBindingSizes(const FourfoldBinding *binding, FourfoldBindingSizes *sizes);
FOURFOLD_C_API uint64_t fourfoldBindingInputBytes(const FourfoldBinding *binding, size_t input);
FOURFOLD_C_API uint64_t fourfoldBindingOutputBytes(const FourfoldBinding *binding, size_t output);
/* Its extents are valid as long as the binding. */
FOURFOLD_C_API int fourfoldBindingOutputShape(const FourfoldBinding *binding, size_t output, FourfoldShape *shape);

/* Running ---------------------------------------------------------------------------------------------------------------- */

/* Enqueues all launches. Allocates nothing, waits for nothing and changes no state of the host. */
FOURFOLD_C_API int fourfoldSpecLaunch(const FourfoldSpec *spec, const FourfoldBinding *binding,
                                      const FourfoldLaunchBuffers *buffers);
/* Those of one phase. Inputs, outputs and areas that it does not use may be 0. */
FOURFOLD_C_API int fourfoldSpecLaunchPhase(const FourfoldSpec *spec, const FourfoldBinding *binding, size_t phase,
                                           const FourfoldLaunchBuffers *buffers);
/* Copies the inputs, by name and in any order, to the device, runs, and copies the outputs back. */
FOURFOLD_C_API int fourfoldSpecRun(const FourfoldSpec *spec, const FourfoldTensor *inputs, size_t count,
                                   FourfoldTensors **results);
/* The reference evaluator: the results on the host, without a device. */
FOURFOLD_C_API int fourfoldSpecEvaluate(const FourfoldSpecDescriptor *descriptor, const FourfoldTensor *inputs, size_t count,
                                        FourfoldTensors **results);

FOURFOLD_C_API size_t fourfoldTensorsCount(const FourfoldTensors *tensors);
/* What it points to is valid as long as the handle, and must not be written. */
FOURFOLD_C_API int fourfoldTensorsGet(const FourfoldTensors *tensors, size_t index, FourfoldTensor *tensor);
FOURFOLD_C_API void fourfoldTensorsDestroy(FourfoldTensors *tensors);

#ifdef __cplusplus
}
#endif

#endif /* FOURFOLD_C_SPEC_H */
