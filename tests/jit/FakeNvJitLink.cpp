// A libnvJitLink.so whose machine code is the PTX behind an ELF file's letters, for the fake libcuda.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FAKE_NVJITLINK_OLD   no target is known
// FAKE_NVJITLINK_FAIL  assembling fails, with a log
// FAKE_NVJITLINK_LOG   a file that gets a line for each assembly

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define FAKE extern "C" __attribute__((visibility("default"))) int

struct nvJitLink {
  std::string text;
};

FAKE nvJitLinkVersion(unsigned *major, unsigned *minor) {
  *major = 13;
  *minor = 5;
  return 0;
}
FAKE nvJitLinkCreate(nvJitLink **handle, uint32_t, const char **) {
  constexpr int kUnrecognizedOption = 1;
  if (std::getenv("FAKE_NVJITLINK_OLD"))
    return kUnrecognizedOption;
  *handle = new nvJitLink;
  return 0;
}
FAKE nvJitLinkDestroy(nvJitLink **handle) {
  delete *handle;
  *handle = nullptr;
  return 0;
}
FAKE nvJitLinkAddData(nvJitLink *handle, int, const void *data, size_t size, const char *) {
  handle->text = std::string("\177ELFfake", 8) + std::string(static_cast<const char *>(data), size);
  return 0;
}
FAKE nvJitLinkComplete(nvJitLink *) {
  if (const char *log = std::getenv("FAKE_NVJITLINK_LOG"))
    if (std::FILE *file = std::fopen(log, "a")) {
      std::fputs("assembled\n", file);
      std::fclose(file);
    }
  constexpr int kPtxCompileError = 5;
  return std::getenv("FAKE_NVJITLINK_FAIL") ? kPtxCompileError : 0;
}
FAKE nvJitLinkGetLinkedCubinSize(nvJitLink *handle, size_t *size) {
  *size = handle->text.size();
  return 0;
}
FAKE nvJitLinkGetLinkedCubin(nvJitLink *handle, void *cubin) {
  std::memcpy(cubin, handle->text.data(), handle->text.size());
  return 0;
}
static constexpr char kLog[] = "line 7; error: the fake assembler fails\n";
FAKE nvJitLinkGetErrorLogSize(nvJitLink *, size_t *size) {
  *size = sizeof(kLog);
  return 0;
}
FAKE nvJitLinkGetErrorLog(nvJitLink *, char *log) {
  std::memcpy(log, kLog, sizeof(kLog));
  return 0;
}
