/* A program of the CUDA driver API, as for any GPU: copies a matrix tile by tile with tensor maps, and scales it.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *   nvcc -ptx -arch=sm_90a scale_tiles.cu -o scale_tiles.ptx
 *   cc tile_copy.c -I/usr/local/cuda/include -L/usr/local/cuda/lib64/stubs -lcuda -o tile_copy
 *   ./tile_copy scale_tiles.ptx
 */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 50, COLUMNS = 72, TILE_ROWS = 16, TILE_COLUMNS = 32 };

static void check(CUresult result, const char *what) {
  const char *name = "unknown";
  if (result == CUDA_SUCCESS)
    return;
  cuGetErrorName(result, &name);
  fprintf(stderr, "%s: %s\n", what, name);
  exit(1);
}
#define CHECK(call) check(call, #call)

static CUtensorMap tiles_of(CUdeviceptr matrix) {
  CUtensorMap map;
  cuuint64_t dims[2] = {COLUMNS, ROWS}, strides[1] = {COLUMNS * sizeof(float)};
  cuuint32_t box[2] = {TILE_COLUMNS, TILE_ROWS}, steps[2] = {1, 1};
  CHECK(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)matrix, dims, strides, box, steps,
                               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return map;
}

int main(int argc, char **argv) {
  static float from[ROWS][COLUMNS], to[ROWS][COLUMNS];
  CUdevice device;
  CUcontext context;
  CUmodule module;
  CUfunction kernel;
  CUdeviceptr source, target;
  char name[64];
  if (argc != 2) {
    fprintf(stderr, "usage: %s scale_tiles.ptx\n", argv[0]);
    return 2;
  }
  CHECK(cuInit(0));
  CHECK(cuDeviceGet(&device, 0));
  CHECK(cuDeviceGetName(name, sizeof(name), device));
  CHECK(cuDevicePrimaryCtxRetain(&context, device));
  CHECK(cuCtxSetCurrent(context));
  CHECK(cuModuleLoad(&module, argv[1]));
  CHECK(cuModuleGetFunction(&kernel, module, "scale_tiles"));
  for (int i = 0; i < ROWS * COLUMNS; ++i)
    from[0][i] = (float)i;
  CHECK(cuMemAlloc(&source, sizeof(from)));
  CHECK(cuMemAlloc(&target, sizeof(to)));
  CHECK(cuMemcpyHtoD(source, from, sizeof(from)));
  CUtensorMap in = tiles_of(source), out = tiles_of(target);
  void *params[] = {&in, &out};
  CHECK(cuLaunchKernel(kernel, (COLUMNS + TILE_COLUMNS - 1) / TILE_COLUMNS, (ROWS + TILE_ROWS - 1) / TILE_ROWS, 1, 128, 1, 1, 0, NULL, params,
                       NULL));
  CHECK(cuCtxSynchronize());
  CHECK(cuMemcpyDtoH(to, target, sizeof(to)));
  int wrong = 0;
  for (int i = 0; i < ROWS * COLUMNS; ++i)
    wrong += to[0][i] != 2 * from[0][i];
  printf("%s: %d of %d elements are wrong\n", name, wrong, ROWS * COLUMNS);
  CHECK(cuMemFree(source));
  CHECK(cuMemFree(target));
  CHECK(cuModuleUnload(module));
  CHECK(cuDevicePrimaryCtxRelease(device));
  return wrong != 0;
}
