// The host program behind the C interface of plan/CompilerPlugin.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_HOST_API_H
#define FOURFOLD_COMPILER_HOST_API_H

#include "compiler/host/Program.h"

/// Wraps of the opaque types.
struct FourfoldHostProgram {
  std::shared_ptr<const fourfold::host::Program> program;
};
struct FourfoldHostEnvironment {
  std::shared_ptr<fourfold::host::Environment> environment;
};

namespace fourfold {
namespace host {

/// Takes over a lowered program and sends its names.
int32_t apiAdopt(std::shared_ptr<const Program> program, FourfoldHostProgram **result, FourfoldSink sink, void *user);
void apiRelease(FourfoldHostProgram *program);
int32_t apiCreate(const FourfoldHostProgram *program, const FourfoldHostEnvironment *weights,
                  FourfoldHostEnvironment **environment, FourfoldSink sink, void *user);
void apiDestroy(FourfoldHostEnvironment *environment);
void apiReset(FourfoldHostEnvironment *environment);
uint64_t apiBytesHeld(const FourfoldHostEnvironment *environment);
int32_t apiRun(const FourfoldHostRunRequest *request, FourfoldTensorSink tensors, FourfoldSink sink, void *user);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_API_H
