// The layer's own small kernels, which no spec describes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/linear/StreamKernels.h"

#include <fmt/format.h>

namespace fourfold {

using namespace device;

// By hand, for the oldest target: PTX of sm_80 runs on all later devices. One thread advances the offset, so that a captured graph
// draws new random bits at each replay; the addition gives db, which has no epilogue, what dw has: to be written or added to.
static constexpr const char kPtx[] = R"(.version 7.0
.target sm_80
.address_size 64

.visible .entry fourfold_advance_offset(.param .u64 address, .param .u64 by)
{
  .reg .b64 %rd<5>;
  ld.param.u64 %rd1, [address];
  ld.param.u64 %rd2, [by];
  ld.global.u64 %rd3, [%rd1];
  add.s64 %rd4, %rd3, %rd2;
  st.global.u64 [%rd1], %rd4;
  ret;
}

.visible .entry fourfold_add_f32(.param .u64 to, .param .u64 from, .param .u32 count, .param .u32 keep)
{
  .reg .pred %p<3>;
  .reg .b32 %r<7>;
  .reg .f32 %f<3>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [to];
  ld.param.u64 %rd2, [from];
  ld.param.u32 %r1, [count];
  ld.param.u32 %r6, [keep];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra DONE;
  mul.wide.u32 %rd3, %r5, 4;
  add.s64 %rd4, %rd1, %rd3;
  add.s64 %rd5, %rd2, %rd3;
  ld.global.f32 %f2, [%rd5];
  setp.eq.u32 %p2, %r6, 0;
  @%p2 bra STORE;
  ld.global.f32 %f1, [%rd4];
  add.rn.f32 %f2, %f1, %f2;
STORE:
  st.global.f32 [%rd4], %f2;
DONE:
  ret;
}
)";

StreamKernels::~StreamKernels() {
  if (!module)
    return;
  CurrentContext current(*device);
  device->driver->moduleUnload(module);
}

Status StreamKernels::load(const Device &opened) {
  device = DeviceAccess::of(opened);
  CurrentContext current(*device);
  if (Status status = device->check(current.status(), "cannot use the context"); !status.ok())
    return status;
  CUresult result = device->driver->moduleLoadDataEx(&module, kPtx, 0, nullptr, nullptr);
  if (result != kSuccess)
    module = nullptr;
  if (result == kSuccess)
    result = device->driver->moduleGetFunction(&advanceFunction, module, "fourfold_advance_offset");
  if (result == kSuccess)
    result = device->driver->moduleGetFunction(&addFunction, module, "fourfold_add_f32");
  return device->check(result, "cannot load the linear layer's own kernels");
}

Status StreamKernels::launch(const char *what, CUfunction function, unsigned blocks, unsigned threads, void *stream,
                             void **params) const {
  CurrentContext current(*device);
  CUresult result = current.status();
  if (result == kSuccess)
    result = device->driver->launchKernel(function, blocks, 1, 1, threads, 1, 1, 0, static_cast<CUstream>(stream),
                                          params, nullptr);
  return result == kSuccess ? Status() : device->check(result, fmt::format("cannot {}", what));
}

Status StreamKernels::advance(void *stream, uint64_t address, uint64_t by) const {
  void *params[] = {&address, &by};
  return launch("advance the offset", advanceFunction, 1, 1, stream, params);
}

Status StreamKernels::add(void *stream, uint64_t to, uint64_t from, uint64_t count, bool keep) const {
  constexpr unsigned kThreads = 256;
  unsigned number = static_cast<unsigned>(count);
  unsigned keepOld = keep;
  void *params[] = {&to, &from, &number, &keepOld};
  return launch("accumulate", addFunction, (number + kThreads - 1) / kThreads, kThreads, stream, params);
}

Status StreamKernels::clear(void *stream, uint64_t address, uint64_t bytes) const {
  CurrentContext current(*device);
  CUresult result = current.status();
  if (result == kSuccess)
    result = device->driver->memsetD8Async(address, 0, bytes, static_cast<CUstream>(stream));
  return result == kSuccess ? Status() : device->check(result, "cannot clear a gradient");
}

} // namespace fourfold
