/* What all C interfaces share, and what they run on: codes and messages, devices, memory. Plain C11.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

   - Every call but those that return a size, a number or a text returns a FourfoldCode: FOURFOLD_OK, 0, or what kind of thing went
     wrong. The message is then fourfoldLastMessage() of the same thread. Nothing throws, prints or aborts.
   - Handles are made by ...Open, ...Create, ...Compile, ...Load, ...Bind and ...Prepare and given back once by ...Close, ...Destroy and
     ...Release; null is nothing to give back. A handle that others were made from may be given back before them. A null handle
     elsewhere is an error, or 0 or "" where a number or a text is returned.
   - Structs begin with structSize: sizeof of the caller, so that later versions can append. Structs without it stay as they are.
   - Addresses are CUdeviceptr values, streams CUstream values; a null stream is the default stream. */

#ifndef FOURFOLD_C_DEVICE_H
#define FOURFOLD_C_DEVICE_H

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

/* What was asked, what was found and what to do, of the thread's last call that failed; "" if none did. Valid until the next one
   fails. */
FOURFOLD_C_API const char *fourfoldLastMessage(void);

/* Of the library: "0.1.0". Versions of one major and minor number have one interface, except that later ones may append. */
FOURFOLD_C_API const char *fourfoldVersion(void);

/* Texts that a call gives, which the caller destroys. */
typedef struct FourfoldText FourfoldText;
/* NUL-terminated; valid as long as the handle. */
FOURFOLD_C_API const char *fourfoldTextData(const FourfoldText *text);
FOURFOLD_C_API void fourfoldTextDestroy(FourfoldText *text);

/* Devices and memory ----------------------------------------------------------------------------------------------------- */

/* "cuda:N", "emulated:sm_120a", or "auto": the first GPU if there is one, else emulated. */
FOURFOLD_C_API int fourfoldDeviceOpen(const char *name, FourfoldDevice **device);
FOURFOLD_C_API void fourfoldDeviceClose(FourfoldDevice *device);
/* "emulated:sm_120a"; valid as long as the handle. */
FOURFOLD_C_API const char *fourfoldDeviceName(const FourfoldDevice *device);
/* For people: "NVIDIA GeForce RTX 5090"; and what kernels are compiled for: "sm_120a". */
FOURFOLD_C_API const char *fourfoldDeviceDescription(const FourfoldDevice *device);
FOURFOLD_C_API const char *fourfoldDeviceTarget(const FourfoldDevice *device);
/* The names of the devices that exist here, one a line. */
FOURFOLD_C_API int fourfoldDeviceList(FourfoldText **names);

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

/* Ranks ---------------------------------------------------------------------------------------------------------------- */

/* How ranks combine values. */
enum { FOURFOLD_REDUCE_SUM = 0, FOURFOLD_REDUCE_MAX = 1 };

/* Combines `count` f32 values at `address` over all ranks in stream order, as ncclAllReduce does. Returns 0, or an error number. */
typedef int (*FourfoldReduceHook)(void *user, void *stream, uint64_t address, uint64_t count, int operation);

#ifdef __cplusplus
}
#endif

#endif /* FOURFOLD_C_DEVICE_H */
