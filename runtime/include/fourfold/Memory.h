// Device memory for programs that have no CUDA runtime of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_MEMORY_H
#define FOURFOLD_MEMORY_H

#include "fourfold/Device.h"

#include <cstdint>

namespace fourfold {

// Addresses are CUdeviceptr values; streams are CUstream, null for the default stream. Memory that a program allocates
// with CUDA itself serves as well: nothing here is needed then.

/// Allocates device memory, aligned to 256 bytes. Its contents are undefined. 0 bytes give an address that must not be
/// read or written, but freed.
FOURFOLD_API Status allocateMemory(const Device &device, uint64_t bytes, uint64_t *address);
/// Frees what `allocateMemory` gave; 0 is nothing. No work that uses it may be under way.
FOURFOLD_API Status freeMemory(const Device &device, uint64_t address);
/// Copies host memory to the device in stream order, and waits until the host memory may be changed again.
FOURFOLD_API Status copyIn(const Device &device, uint64_t to, const void *from, uint64_t bytes, void *stream = nullptr);
/// Copies device memory to the host in stream order, and waits for it.
FOURFOLD_API Status copyOut(const Device &device, void *to, uint64_t from, uint64_t bytes, void *stream = nullptr);
/// Sets device memory to zero in stream order.
FOURFOLD_API Status clearMemory(const Device &device, uint64_t address, uint64_t bytes, void *stream = nullptr);
/// Waits for all work of a stream; an error of an earlier launch shows here at the latest.
FOURFOLD_API Status synchronize(const Device &device, void *stream = nullptr);

} // namespace fourfold

#endif // FOURFOLD_MEMORY_H
