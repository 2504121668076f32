// The C interface between the runtime and the compiler plug-in libfourfold_jit.so. Neither side sees the other's headers or libraries.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_PLAN_COMPILERPLUGIN_H
#define FOURFOLD_PLAN_COMPILERPLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FOURFOLD_COMPILER_ABI 5

/* Receives one named result; the bytes are valid during the call only. */
typedef void (*FourfoldSink)(void *user, const char *name, const void *bytes, size_t size);

/* What to compile. Strings are NUL-terminated; `text` is MLIR text. Bytecode is refused, except by "text". */
typedef struct FourfoldCompileRequest {
  size_t structSize;
  const char *text;
  size_t textSize;
  const char *fileName; /* for diagnostics */
  const char *function; /* NULL: the only function of the module */
  const char *target;   /* "sm_120a", ... */
  const char *emit;     /* "ptx" (manifest and PTX), "plan", "kernels", "llvm", "signature": a manifest
                           without launches, for specs that are only evaluated; or "text": of bytecode, which damaged
                           can corrupt this process: only what is trusted, or in a process made for it */
  const char *const *absent; /* optional arguments that are left out */
  size_t numAbsent;
  const char *mode; /* NULL, "fast" or "faithful": how targets without FP4 tensor cores sum products */
  const char *kernel; /* of "kernels", "llvm" and "ptx": this kernel alone, without a manifest; NULL: all of the plan */
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
  const char *mode; /* of the manifest: "fast" bounds products by fp32 sums in any order, NULL and "faithful" by FP4 tensor cores */
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

/* A spec prepared to run on this machine's processor, and what it keeps between runs. Opaque. */
typedef struct FourfoldHostProgram FourfoldHostProgram;
typedef struct FourfoldHostEnvironment FourfoldHostEnvironment;

/* Where a result is written: memory of the caller, of exactly the size that type and shape say. */
typedef struct FourfoldHostOutput {
  const char *name;
  const char *part; /* NULL: "tensor"; or "codes", "scales", "amax" */
  const char *elementType;
  int32_t rank;
  const int64_t *shape;
  void *data;
} FourfoldHostOutput;

typedef struct FourfoldHostRunRequest {
  size_t structSize;
  FourfoldHostEnvironment *environment; /* used by one call at a time */
  uint32_t phases;                      /* bit p for phase p, or 0xffffffff for everything */
  const FourfoldHostTensor *inputs;     /* by name, in any order: those that these phases use */
  size_t numInputs;
  const FourfoldHostOutput *outputs; /* results of these phases; none needs to be taken */
  size_t numOutputs;
  int32_t intermediates; /* non-zero: the tensor sink also gets every named value inside the function */
} FourfoldHostRunRequest;

/* The plug-in's functions. Every call is thread-safe, returns 0 for success and, on failure, has sent one or more complete
   diagnostics (file:line:column: error: text) as "error". Nothing prints, aborts or throws. */
typedef struct FourfoldCompilerApi {
  uint32_t abi;        /* FOURFOLD_COMPILER_ABI */
  const char *version; /* of the compiler and of LLVM, part of cache keys */
  /* Sends "manifest" and "ptx"; or "plan", "kernels", "llvm", "signature", "text" as asked. Warnings are sent as "warning".
     "volatile" says that the result depends on more than the request, such as files that the spec names: it must not be kept. */
  int32_t (*compile)(const FourfoldCompileRequest *request, FourfoldSink sink, void *user);
  /* Checks names, types and shapes of the inputs, then sends each function result under its name and, with `intermediates`, the
     values inside. Values that depend on CUDA C++ have no reference: for each, "unchecked" gets "name<TAB>why" and its tensor means
     nothing; without `intermediates` such a result is an error. */
  int32_t (*evaluate)(const FourfoldEvaluateRequest *request, FourfoldTensorSink tensors, FourfoldSink sink, void *user);
  /* Sends one "target" for each target, as "name<TAB>yes|no<TAB>why not". */
  int32_t (*targets)(FourfoldSink sink, void *user);
  /* Merges a recipe's specs into one, sent as "spec": MLIR text with locations, to be compiled or evaluated like any other. Its plan
     has phases. */
  int32_t (*link)(const FourfoldLinkRequest *request, FourfoldSink sink, void *user);

  /* Specs on the host, fast: every value has the bits of `evaluate`, without bounds. */

  /* Parses and prepares; target and emit are not read. Sends one "input", "result" and "phase" for each name of these. */
  int32_t (*hostPrepare)(const FourfoldCompileRequest *request, FourfoldHostProgram **program, FourfoldSink sink,
                         void *user);
  /* Environments of a program stay usable after it is released. */
  void (*hostRelease)(FourfoldHostProgram *program);
  /* An environment without values. `weights`, which may be NULL, is one of the same program, whose values of phase 0 this one reads
     too; it must not run or be reset at the same time. */
  int32_t (*hostCreate)(const FourfoldHostProgram *program, const FourfoldHostEnvironment *weights,
                        FourfoldHostEnvironment **environment, FourfoldSink sink, void *user);
  void (*hostDestroy)(FourfoldHostEnvironment *environment);
  /* Forgets all values. */
  void (*hostReset)(FourfoldHostEnvironment *environment);
  /* Bytes of the values that are kept. */
  uint64_t (*hostBytesHeld)(const FourfoldHostEnvironment *environment);
  /* Runs phases. Values that a later phase needs are kept until all their uses have run, those of phase 0 until it runs again. Where
     `tensors` is not NULL it gets every result of these phases. On failure nothing has been written to outputs. */
  int32_t (*hostRun)(const FourfoldHostRunRequest *request, FourfoldTensorSink tensors, FourfoldSink sink, void *user);
} FourfoldCompilerApi;

/* The only exported symbol. */
const FourfoldCompilerApi *fourfoldCompilerApi(void);

#ifdef __cplusplus
}
#endif

#endif /* FOURFOLD_PLAN_COMPILERPLUGIN_H */
