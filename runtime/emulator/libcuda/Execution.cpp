// The emulated libcuda.so.1: streams, events, launches. A launch has run when its call returns, so that all of a stream is always done.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Entry.h"

using namespace fourfold::libcuda;
using namespace fourfold::device;

namespace {
constexpr char kGraphs[] = "graphs are not emulated: leave out the capture of streams, or run it on a GPU";
}

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuStreamCreate(CUstream *stream, unsigned flags) { return told("cuStreamCreate", table().streamCreate(stream, flags)); }
FOURFOLD_ENTRY cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int) {
  return told("cuStreamCreateWithPriority", table().streamCreate(stream, flags));
}
FOURFOLD_ENTRY cuStreamDestroy_v2(CUstream stream) { return told("cuStreamDestroy", table().streamDestroy(stream)); }
FOURFOLD_ENTRY cuStreamSynchronize(CUstream stream) { return told("cuStreamSynchronize", table().streamSynchronize(stream)); }
FOURFOLD_ENTRY cuStreamQuery(CUstream stream) { return told("cuStreamQuery", table().streamSynchronize(stream)); }
FOURFOLD_ENTRY cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  CUresult result = table().streamSynchronize(stream);
  return told("cuStreamWaitEvent", result ? result : table().eventSynchronize(event));
}
FOURFOLD_ENTRY cuStreamAddCallback(CUstream stream, void (*callback)(CUstream, CUresult, void *), void *data, unsigned) {
  if (!callback)
    return refuse("cuStreamAddCallback", kErrorInvalidValue, "callback is null");
  CUresult result = told("cuStreamAddCallback", table().streamSynchronize(stream));
  callback(stream, result, data);
  return result;
}
FOURFOLD_ENTRY cuLaunchHostFunc(CUstream stream, void (*function)(void *), void *data) {
  if (!function)
    return refuse("cuLaunchHostFunc", kErrorInvalidValue, "the function is null");
  if (CUresult wrong = told("cuLaunchHostFunc", table().streamSynchronize(stream)))
    return wrong;
  function(data);
  return kSuccess;
}
FOURFOLD_ENTRY cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  if (least)
    *least = 0;
  if (greatest)
    *greatest = 0;
  return kSuccess;
}
FOURFOLD_ENTRY cuStreamIsCapturing(CUstream, int *status) {
  if (!status)
    return refuse("cuStreamIsCapturing", kErrorInvalidValue, "captureStatus is null");
  *status = 0; // CU_STREAM_CAPTURE_STATUS_NONE
  return kSuccess;
}
FOURFOLD_ENTRY cuStreamBeginCapture_v2(CUstream, int) { return refuse("cuStreamBeginCapture", kErrorNotSupported, kGraphs); }
FOURFOLD_ENTRY cuGraphCreate(void *, unsigned) { return refuse("cuGraphCreate", kErrorNotSupported, kGraphs); }

//===----------------------------------------------------------------------===//
// Events
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuEventCreate(CUevent *event, unsigned flags) { return told("cuEventCreate", table().eventCreate(event, flags)); }
FOURFOLD_ENTRY cuEventDestroy_v2(CUevent event) { return told("cuEventDestroy", table().eventDestroy(event)); }
FOURFOLD_ENTRY cuEventRecord(CUevent event, CUstream stream) { return told("cuEventRecord", table().eventRecord(event, stream)); }
FOURFOLD_ENTRY cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) {
  return told("cuEventRecordWithFlags", table().eventRecord(event, stream));
}
FOURFOLD_ENTRY cuEventQuery(CUevent event) { return told("cuEventQuery", table().eventSynchronize(event)); }
FOURFOLD_ENTRY cuEventSynchronize(CUevent event) { return told("cuEventSynchronize", table().eventSynchronize(event)); }
/// Milliseconds of this machine's processor, not of a GPU.
FOURFOLD_ENTRY cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  return told("cuEventElapsedTime", table().eventElapsedTime(milliseconds, start, end));
}
FOURFOLD_ENTRY cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
  return told("cuEventElapsedTime", table().eventElapsedTime(milliseconds, start, end));
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

FOURFOLD_ENTRY cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                              unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params, void **extra) {
  return told("cuLaunchKernel", table().launchKernel(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, params, extra));
}
FOURFOLD_ENTRY cuLaunchKernelEx(const LaunchConfig *config, CUfunction function, void **params, void **extra) {
  return told("cuLaunchKernelEx", table().launchKernelEx(config, function, params, extra));
}
FOURFOLD_ENTRY cuLaunchCooperativeKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                                         unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params) {
  return told("cuLaunchCooperativeKernel",
              table().launchCooperativeKernel(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, params));
}
FOURFOLD_ENTRY cuTensorMapEncodeTiled(void *map, int dataType, uint32_t rank, void *address, const uint64_t *dims, const uint64_t *strides,
                                      const uint32_t *box, const uint32_t *elementStrides, int interleave, int swizzle, int l2Promotion,
                                      int oobFill) {
  return told("cuTensorMapEncodeTiled", table().tensorMapEncodeTiled(map, dataType, rank, address, dims, strides, box, elementStrides, interleave,
                                                                     swizzle, l2Promotion, oobFill));
}
