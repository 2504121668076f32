/* Specs and linear layers on this machine's processor, without a device, in C: the bits of the reference evaluator, fast. Plain C11.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

   As fourfold/HostProgram.h, which says more. Codes, messages and handles are as device.h says. A program may be used by many threads at
   once, a state by one call at a time; states of one program run beside each other. */

#ifndef FOURFOLD_C_HOST_H
#define FOURFOLD_C_HOST_H

#include "fourfold/c/linear.h"
#include "fourfold/c/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct FourfoldHost FourfoldHost;           /* a spec, prepared once */
typedef struct FourfoldHostState FourfoldHostState; /* what one run leaves for the next */

/* Bit p is phase p: of a linear layer 0 is weights, 1 forward, 2 gradient, 3 dgrad, 4 wgrad. */
#define FOURFOLD_HOST_ALL_PHASES 0xffffffffu

/* `mode` is not used: products have the bits of the evaluator. */
FOURFOLD_C_API int fourfoldHostPrepare(const FourfoldSpecDescriptor *descriptor, FourfoldHost **host);
/* A linear layer: inputs and results have the names of FourfoldLinearTensors, with accumulate also `dw_in`, which is added to dw. Features
   come with the tensors and are not read here. A hook is an error: there is one rank. */
FOURFOLD_C_API int fourfoldHostPrepareLinear(const FourfoldLinearDescriptor *descriptor, FourfoldHost **host);
FOURFOLD_C_API void fourfoldHostDestroy(FourfoldHost *host);

/* Names, in the order of the spec; "" where there is none. Valid as long as the handle. */
FOURFOLD_C_API size_t fourfoldHostInputCount(const FourfoldHost *host);
FOURFOLD_C_API const char *fourfoldHostInputName(const FourfoldHost *host, size_t input);
FOURFOLD_C_API size_t fourfoldHostResultCount(const FourfoldHost *host);
FOURFOLD_C_API const char *fourfoldHostResultName(const FourfoldHost *host, size_t result);
FOURFOLD_C_API size_t fourfoldHostPhaseCount(const FourfoldHost *host);
FOURFOLD_C_API const char *fourfoldHostPhaseName(const FourfoldHost *host, size_t phase);

/* Runs everything once. */
FOURFOLD_C_API int fourfoldHostRun(const FourfoldHost *host, const FourfoldTensor *inputs, size_t count,
                                   FourfoldTensors **results);

/* `weights` may be null, or a state whose values of phase 0 this one reads: it must not run or be reset meanwhile. */
FOURFOLD_C_API int fourfoldHostStateCreate(const FourfoldHost *host, const FourfoldHostState *weights,
                                           FourfoldHostState **state);
FOURFOLD_C_API void fourfoldHostStateDestroy(FourfoldHostState *state);
/* Runs some phases: `inputs` are those that their steps use (more do no harm), `outputs` any of their results, of exactly the result's type
   and shape, into memory of the caller. On failure nothing has been written to it. */
FOURFOLD_C_API int fourfoldHostStateRun(FourfoldHostState *state, uint32_t phases, const FourfoldTensor *inputs,
                                        size_t inputCount, const FourfoldTensor *outputs, size_t outputCount);
/* Bytes of the values that are kept. */
FOURFOLD_C_API uint64_t fourfoldHostStateBytes(const FourfoldHostState *state);

#ifdef __cplusplus
}
#endif

#endif /* FOURFOLD_C_HOST_H */
