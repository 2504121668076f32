// The C interface between the runtime and the compiler plug-in libfourfold_jit.so. Neither side sees the other's headers or libraries.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_PLAN_COMPILERPLUGIN_H
#define FOURFOLD_PLAN_COMPILERPLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FOURFOLD_COMPILER_ABI 2

/* Receives one named result; the bytes are valid during the call only. */
typedef void (*FourfoldSink)(void *user, const char *name, const void *bytes, size_t size);

/* What to compile. Strings are NUL-terminated; `text` may hold MLIR text or bytecode. */
typedef struct FourfoldCompileRequest {
  size_t structSize;
  const char *text;
  size_t textSize;
  const char *fileName; /* for diagnostics */
  const char *function; /* NULL: the only function of the module */
  const char *target;   /* "sm_120a", ... */
  const char *emit;     /* "ptx" (manifest and PTX), "plan", "kernels", "llvm", or "signature": a manifest
                           without launches, for specs that are only evaluated */
  const char *const *absent; /* optional arguments that are left out */
  size_t numAbsent;
} FourfoldCompileRequest;

/* A host tensor: row-major, contiguous. */
typedef struct FourfoldHostTensor {
  const char *name;
  const char *elementType; /* "f32", "bf16", "f16", "i64", "i32", "i8"; results also "codes" and "scales": one byte an element */
  int32_t rank;
  const int64_t *shape;
  const void *data;
} FourfoldHostTensor;

/* Receives one evaluated value. `part` is "tensor", "codes", "scales" or "amax"; codes are rows x K, scales rows x K-blocks, not
   padded and not tiled. `bound` is NULL, or one f32 an element: how far a device's result may be from `tensor`, given that
   tensor-core accumulation order and rounding are the device's; NULL means bit-equal. Valid during the call only. */
typedef void (*FourfoldTensorSink)(void *user, const char *part, const FourfoldHostTensor *tensor, const float *bound);

typedef struct FourfoldEvaluateRequest {
  size_t structSize;
  const char *text;
  size_t textSize;
  const char *fileName;
  const char *function;
  const FourfoldHostTensor *inputs; /* by name, in any order */
  size_t numInputs;
  int32_t intermediates; /* non-zero: also report every named value inside the function */
  const char *const *absent; /* optional arguments that are left out */
  size_t numAbsent;
} FourfoldEvaluateRequest;

/* The three specs of a recipe: linear_forward, linear_dgrad, linear_wgrad. */
typedef struct FourfoldLinkRequest {
  size_t structSize;
  struct {
    const char *text;
    size_t textSize;
    const char *fileName;
  } specs[3];
  const char *const *absent; /* optional arguments, and the result "db", that are left out */
  size_t numAbsent;
  int32_t distributed; /* non-zero: statistics are reduced over ranks */
} FourfoldLinkRequest;

/* The plug-in's functions. Every call is thread-safe, returns 0 for success and, on failure, has sent one or more complete
   diagnostics (file:line:column: error: text) as "error". Nothing prints, aborts or throws. */
typedef struct FourfoldCompilerApi {
  uint32_t abi;        /* FOURFOLD_COMPILER_ABI */
  const char *version; /* of the compiler and of LLVM, part of cache keys */
  /* Sends "manifest" and "ptx"; or "plan", "kernels", "llvm", "signature" as asked. Warnings are sent as "warning". */
  int32_t (*compile)(const FourfoldCompileRequest *request, FourfoldSink sink, void *user);
  /* Checks names, types and shapes of the inputs, then sends each function result under its name and, with `intermediates`, the
     values inside. */
  int32_t (*evaluate)(const FourfoldEvaluateRequest *request, FourfoldTensorSink tensors, FourfoldSink sink, void *user);
  /* Sends one "target" for each target, as "name<TAB>yes|no<TAB>why not". */
  int32_t (*targets)(FourfoldSink sink, void *user);
  /* Merges a recipe's specs into one, sent as "spec": MLIR text with locations, to be compiled or evaluated like any other. Its plan
     has phases. */
  int32_t (*link)(const FourfoldLinkRequest *request, FourfoldSink sink, void *user);
} FourfoldCompilerApi;

/* The only exported symbol. */
const FourfoldCompilerApi *fourfoldCompilerApi(void);

#ifdef __cplusplus
}
#endif

#endif /* FOURFOLD_PLAN_COMPILERPLUGIN_H */
