#!/usr/bin/env python3
# Programs of the CUDA driver API, compiled against NVIDIA's cuda.h, run unchanged on the emulated libcuda.so.1.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import argparse
import os
import re
import subprocess
import sys
import tempfile
import unittest

ARGS = None

# Everything that has no kernel in it: CHECK(call) ends the program with the call's text.
CALLS = r"""
#include <cuda.h>
#include <stdio.h>
#include <string.h>
#define CHECK(call) do { CUresult r = (call); if (r) { printf("%s gives %d\n", #call, (int)r); return 1; } } while (0)
#define EXPECT(what) do { if (!(what)) { printf("not %s\n", #what); return 1; } } while (0)
static const char ptx[] =
  ".version 7.0\n.target sm_80\n.address_size 64\n.visible .global .align 4 .u32 number = 5;\n"
  ".visible .entry put(.param .u64 to, .param .u32 value) {\n.reg .b64 %rd1; .reg .b32 %r1; .reg .b32 %r2; .reg .b64 %rd2;\n"
  "ld.param.u64 %rd1, [to]; ld.param.u32 %r1, [value]; mov.u32 %r2, %tid.x; mul.wide.u32 %rd2, %r2, 4; add.u64 %rd1, %rd1, %rd2;\n"
  "st.global.u32 [%rd1], %r1; ret; }\n";
static int called;
static void call(void *data) { called += *(int *)data; }
int main(void) {
  CUdevice device; CUcontext context, current; CUmodule module; CUfunction put; CUlibrary library; CUkernel kernel; CUstream stream;
  CUevent start, end; CUdeviceptr memory, base, variable; size_t bytes, pitch; int count, value, major, minor, three = 3; unsigned type;
  unsigned words[64]; float time; const char *text; char *host; void *address; CUdriverProcAddressQueryResult status;
  CHECK(cuInit(0));
  CHECK(cuDeviceGetCount(&count)); EXPECT(count == 1);
  CHECK(cuDeviceGet(&device, 0));
  EXPECT(cuDeviceGet(&device, 1) == CUDA_ERROR_INVALID_DEVICE);
  CHECK(cuDeviceGet(&device, 0));
  CHECK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
  CHECK(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)); EXPECT(major == 9 && minor == 0);
  CHECK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device)); EXPECT(value == 32);
  CHECK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, device)); EXPECT(value == 65536);
  CHECK(cuCtxCreate(&context, NULL, 0, device));
  CHECK(cuCtxGetCurrent(&current)); EXPECT(current == context);
  CHECK(cuModuleLoadData(&module, ptx));
  CHECK(cuModuleGetFunction(&put, module, "put"));
  EXPECT(cuModuleGetFunction(&put, module, "nothing") == CUDA_ERROR_NOT_FOUND);
  CHECK(cuModuleGetFunction(&put, module, "put"));
  CHECK(cuModuleGetGlobal(&variable, &bytes, module, "number")); EXPECT(bytes == 4);
  CHECK(cuMemcpyDtoH(words, variable, 4)); EXPECT(words[0] == 5);
  CHECK(cuMemAlloc(&memory, 256));
  CHECK(cuMemGetAddressRange(&base, &bytes, memory + 100)); EXPECT(base == memory && bytes == 256);
  CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory)); EXPECT(type == CU_MEMORYTYPE_DEVICE);
  CHECK(cuMemsetD32(memory, 0x01020304, 64));
  CHECK(cuMemsetD16(memory + 4, 0x0506, 2));
  CHECK(cuMemsetD8(memory + 8, 7, 4));
  CHECK(cuMemcpy((CUdeviceptr)words, memory, 16));
  EXPECT(words[0] == 0x01020304 && words[1] == 0x05060506 && words[2] == 0x07070707 && words[3] == 0x01020304);
  EXPECT(cuMemsetD32(memory + 2, 0, 1) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK(cuEventCreate(&start, CU_EVENT_DEFAULT)); CHECK(cuEventCreate(&end, CU_EVENT_DEFAULT));
  CHECK(cuEventRecord(start, stream));
  value = 41;
  { void *params[] = {&memory, &value}; CHECK(cuLaunchKernel(put, 1, 1, 1, 32, 1, 1, 0, stream, params, NULL)); }
  CHECK(cuEventRecord(end, stream)); CHECK(cuStreamWaitEvent(stream, end, 0)); CHECK(cuEventSynchronize(end));
  CHECK(cuEventElapsedTime(&time, start, end)); EXPECT(time >= 0);
  CHECK(cuLaunchHostFunc(stream, call, &three)); CHECK(cuStreamSynchronize(stream)); EXPECT(called == 3);
  CHECK(cuMemcpyDtoH(words, memory, 256)); EXPECT(words[31] == 41 && words[32] == 0x01020304);
  { /* parameters packed, by the extra argument */
    struct { CUdeviceptr to; unsigned value; } packed = {memory, 43};
    size_t size = 12; void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    CUresult result = cuLaunchKernel(put, 1, 1, 1, 32, 1, 1, 0, stream, NULL, extra);
    CHECK(cuMemcpyDtoH(words, memory, 256)); EXPECT(result == CUDA_SUCCESS ? words[0] == 43 : words[0] == 41); }
  CHECK(cuLibraryLoadData(&library, ptx, NULL, NULL, 0, NULL, NULL, 0));
  CHECK(cuLibraryGetKernel(&kernel, library, "put"));
  { CUlaunchConfig config; CUlaunchAttribute attribute; void *params[] = {&memory, &value};
    memset(&config, 0, sizeof(config)); memset(&attribute, 0, sizeof(attribute));
    config.gridDimX = config.gridDimY = config.gridDimZ = 1; config.blockDimX = 64; config.blockDimY = config.blockDimZ = 1;
    config.hStream = stream; config.attrs = &attribute; config.numAttrs = 1;
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim.x = attribute.value.clusterDim.y = attribute.value.clusterDim.z = 1;
    value = 42; CHECK(cuLaunchKernelEx(&config, (CUfunction)kernel, params, NULL)); }
  CHECK(cuMemcpyDtoH(words, memory, 256)); EXPECT(words[63] == 42);
  CHECK(cuMemAllocPitch(&base, &pitch, 20, 3, 4)); EXPECT(pitch >= 20 && pitch % 16 == 0);
  { CUDA_MEMCPY2D rows; memset(&rows, 0, sizeof(rows)); for (int i = 0; i < 15; ++i) words[i] = (unsigned)i;
    rows.srcMemoryType = CU_MEMORYTYPE_HOST; rows.srcHost = words; rows.srcPitch = 20; rows.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    rows.dstDevice = base; rows.dstPitch = pitch; rows.WidthInBytes = 20; rows.Height = 3; CHECK(cuMemcpy2D(&rows));
    CHECK(cuMemcpyDtoH(words, base + 2 * pitch, 20)); EXPECT(words[4] == 14); }
  CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&count, put, 256, 0)); EXPECT(count == 8);
  CHECK(cuOccupancyMaxPotentialBlockSize(&count, &value, put, NULL, 0, 0)); EXPECT(value == 1024 && count == 2 * 132);
  CHECK(cuMemHostAlloc((void **)&host, 64, 0)); CHECK(cuMemcpyDtoH(host, memory, 64)); CHECK(cuMemFreeHost(host));
  CHECK(cuGetProcAddress("cuMemAlloc", &address, 13000, CU_GET_PROC_ADDRESS_DEFAULT, &status)); EXPECT(address == (void *)cuMemAlloc);
  EXPECT(cuGetProcAddress("cuNothing", &address, 13000, 0, &status) == CUDA_ERROR_NOT_FOUND && !address);
  CHECK(cuGetErrorName(CUDA_ERROR_LAUNCH_FAILED, &text)); EXPECT(strcmp(text, "CUDA_ERROR_LAUNCH_FAILED") == 0);
  EXPECT(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_ERROR_NOT_SUPPORTED);
  CHECK(cuMemFree(memory)); EXPECT(cuMemFree(memory) != CUDA_SUCCESS); CHECK(cuMemFree(base));
  CHECK(cuEventDestroy(start)); CHECK(cuEventDestroy(end)); CHECK(cuStreamDestroy(stream));
  CHECK(cuLibraryUnload(library)); CHECK(cuModuleUnload(module)); CHECK(cuCtxDestroy(context));
  printf("all is well\n");
  return 0;
}
"""


def symbols(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line}


class LibCuda(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def compile(self, source, name):
        include, stubs = os.path.join(ARGS.toolkit, "include"), os.path.join(ARGS.toolkit, "lib64/stubs")
        subprocess.run([ARGS.cc, "-std=c11", "-Wall", "-Werror", source, "-I" + include, "-L" + stubs, "-lcuda", "-o", self.path(name)], check=True)
        return self.path(name)

    def nvcc(self, *arguments):
        subprocess.run([os.path.join(ARGS.toolkit, "bin/nvcc"), *arguments], check=True)

    def run_program(self, *command, **environment):
        env = dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(ARGS.library), **environment)
        # A library with sanitizers wants them in the process before anything else.
        if sanitizers := re.findall(r"=> (\S*lib(?:a|ub)san\S*)", subprocess.run(["ldd", ARGS.library], capture_output=True, text=True).stdout):
            env["LD_PRELOAD"] = ":".join(sanitizers)
        return subprocess.run(command, capture_output=True, text=True, env=env)

    def test_every_entry_point_is_one_of_the_driver(self):
        stub = os.path.join(ARGS.toolkit, "lib64/stubs/libcuda.so")
        own = {name for name in symbols(ARGS.library) if name.startswith("cu")}
        self.assertGreater(len(own), 100)
        # The stub has the newest of each; programs of older toolkits ask for these.
        self.assertEqual(own - symbols(stub), set())

    def test_calls(self):
        with open(self.path("calls.c"), "w") as file:
            file.write(CALLS)
        run = self.run_program(self.compile(self.path("calls.c"), "calls"))
        self.assertEqual((run.returncode, run.stdout), (0, "all is well\n"), run.stderr)
        self.assertIn("fourfold: cuDeviceGet: device 1 was asked for; the emulated device is 0, the only one", run.stderr)
        self.assertIn("the module has no kernel 'nothing'", run.stderr)
        self.assertIn("graphs are not emulated", run.stderr)

    def test_tile_copy(self):
        example = os.path.join(ARGS.source, "examples/emulate")
        program = self.compile(os.path.join(example, "tile_copy.c"), "tile_copy")
        kernel, ptx = os.path.join(example, "scale_tiles.cu"), self.path("scale_tiles.ptx")
        self.nvcc("-ptx", "-arch=sm_90a", kernel, "-o", ptx)
        run = self.run_program(program, ptx)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "Fourfold emulated sm_90a: 0 of 3600 elements are wrong\n", ""))
        # As fat binaries: as it is, and compressed in both ways.
        for option in ("-no-compress", "--compress-mode=speed", "--compress-mode=size"):
            fat = self.path("scale_tiles.fatbin")
            self.nvcc("-fatbin", option, "-gencode", "arch=compute_90a,code=compute_90a", "-gencode", "arch=compute_90a,code=sm_90a", kernel, "-o", fat)
            run = self.run_program(program, fat)
            self.assertEqual((run.returncode, run.stderr), (0, ""), option)
        self.nvcc("-ptx", "-DFORGET_FENCE", "-arch=sm_90a", kernel, "-o", ptx)
        run = self.run_program(program, ptx)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"fourfold: cuLaunchKernel: kernel 'scale_tiles', line \d+: .*fence.proxy.async is missing")
        self.assertEqual(len(re.findall("fence.proxy.async is missing", run.stderr)), 1, "said once, whatever fails after it")
        run = self.run_program(program, ptx, FOURFOLD_EMULATED_TARGET="sm_120a")
        self.assertIn("the module is for 'sm_90a' and cannot run on the emulated sm_120a", run.stderr)
        run = self.run_program(program, ptx, FOURFOLD_EMULATED_TARGET="sm_75")
        self.assertIn("FOURFOLD_EMULATED_TARGET=sm_75 is not a device", run.stderr)
        self.nvcc("-cubin", "-arch=sm_90a", kernel, "-o", self.path("scale_tiles.cubin"))
        run = self.run_program(program, self.path("scale_tiles.cubin"))
        self.assertIn("the image is machine code (a cubin); the emulated device runs PTX: compile with nvcc -ptx", run.stderr)
        with open(self.path("damaged.fatbin"), "wb") as damaged, open(fat, "rb") as whole:
            data = bytearray(whole.read())
            data[-200:] = bytes(200)
            damaged.write(data)
        run = self.run_program(program, self.path("damaged.fatbin"))
        self.assertEqual(run.returncode, 1)
        self.assertIn("fourfold: cuModuleLoad: ", run.stderr)

    def test_programs_of_the_runtime_api_are_told(self):
        source = self.path("runtime.cu")
        with open(source, "w") as file:
            file.write('#include <cstdio>\nint main() { void *p; return cudaMalloc(&p, 4) == cudaSuccess ? 0 : 3; }\n')
        self.nvcc(source, "-o", self.path("runtime"))
        run = self.run_program(self.path("runtime"))
        self.assertEqual(run.returncode, 3)
        self.assertIn("use the driver API (cuda.h), or run the kernels' PTX with fourfold-emulate", run.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("library", "cc", "toolkit", "source"):
        parser.add_argument("--" + name, required=True)
    ARGS, rest = parser.parse_known_args()
    if not ARGS.toolkit or not os.path.exists(os.path.join(ARGS.toolkit, "include/cuda.h")):
        print("skipped: there is no cuda.h")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *rest])
