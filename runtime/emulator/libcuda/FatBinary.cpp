// PTX out of what programs pass to cuModuleLoadData.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The layout of fat binaries is not documented; this reads what nvcc of CUDA 12 and 13 writes, and refuses what it does not know.

#include "FatBinary.h"

#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

namespace fourfold {
namespace libcuda {

namespace {

/// In objects that nvcc made: where the fat binary is.
struct Wrapper {
  uint32_t magic, version;
  const void *data;
  void *name;
};

struct Header {
  uint32_t magic;
  uint16_t version, headerBytes;
  uint64_t bytes; // of the entries
};

struct Entry {
  uint16_t kind, version;
  uint32_t headerBytes;
  uint64_t bytes; // of the payload, padded
  uint32_t compressedBytes, optionsOffset;
  uint16_t minor, major;
  uint32_t capability; // 90 for 9.0
  uint32_t nameOffset, nameBytes;
  uint64_t flags, reserved, decompressedBytes;
};

constexpr uint32_t kWrapperMagic = 0x466243b1, kHeaderMagic = 0xba55ed50;
constexpr uint16_t kPtx = 1;
constexpr uint64_t kLz4 = 0x2000, kZstd = 0x8000;
constexpr uint64_t kMostBytes = uint64_t{1} << 32; // of one text: more is a damaged size

bool unpack(const Entry &entry, const char *payload, std::string *ptx, std::string *why) {
  if (!(entry.flags & (kLz4 | kZstd))) {
    ptx->assign(payload, strnlen(payload, entry.bytes));
    return true;
  }
  if (entry.decompressedBytes > kMostBytes || entry.compressedBytes > entry.bytes) {
    *why = "the sizes in the fat binary are damaged";
    return false;
  }
  ptx->resize(entry.decompressedBytes);
  bool done;
  if (entry.flags & kZstd) {
    size_t bytes = ZSTD_decompress(ptx->data(), ptx->size(), payload, entry.compressedBytes);
    done = !ZSTD_isError(bytes) && bytes == ptx->size();
  } else {
    done = LZ4_decompress_safe(payload, ptx->data(), static_cast<int>(entry.compressedBytes), static_cast<int>(ptx->size())) ==
           static_cast<int>(ptx->size());
  }
  if (!done) {
    *why = "the compressed PTX in the fat binary is damaged, or of a compression that is not known; nvcc -no-compress leaves it as it is";
    return false;
  }
  ptx->resize(strnlen(ptx->data(), ptx->size()));
  return true;
}

bool fromFatBinary(const char *image, int capability, std::string *ptx, std::string *why) {
  Header header;
  std::memcpy(&header, image, sizeof(header));
  const char *at = image + header.headerBytes, *end = at + header.bytes, *best = nullptr;
  uint32_t bestCapability = 0;
  std::string found;
  while (at + sizeof(Entry) <= end) {
    Entry entry;
    std::memcpy(&entry, at, sizeof(entry));
    if (entry.headerBytes < sizeof(entry) || entry.bytes > static_cast<uint64_t>(end - at))
      break;
    found += fmt::format("{}{} {}.{}", found.empty() ? "" : ", ", entry.kind == kPtx ? "PTX" : "machine code", entry.capability / 10,
                         entry.capability % 10);
    if (entry.kind == kPtx && entry.capability <= static_cast<uint32_t>(capability) && entry.capability >= bestCapability) {
      best = at;
      bestCapability = entry.capability;
    }
    at += entry.headerBytes + entry.bytes;
  }
  if (!best) {
    *why = fmt::format("the fat binary has no PTX for {}.{} or less, but {}: the emulated device runs PTX; compile with -gencode "
                       "arch=compute_{}{},code=compute_{}{}",
                       capability / 10, capability % 10, found.empty() ? "nothing" : found, capability, capability >= 90 ? "a" : "",
                       capability, capability >= 90 ? "a" : "");
    return false;
  }
  Entry entry;
  std::memcpy(&entry, best, sizeof(entry));
  return unpack(entry, best + entry.headerBytes, ptx, why);
}

} // namespace

bool ptxOfImage(const void *image, int capability, std::string *ptx, std::string *why) {
  uint32_t magic;
  std::memcpy(&magic, image, 4);
  if (magic == kWrapperMagic) {
    Wrapper wrapper;
    std::memcpy(&wrapper, image, sizeof(wrapper));
    image = wrapper.data;
    std::memcpy(&magic, image, 4);
  }
  if (magic == kHeaderMagic)
    return fromFatBinary(static_cast<const char *>(image), capability, ptx, why);
  if (std::memcmp(image, "\177ELF", 4) == 0) {
    *why = "the image is machine code (a cubin); the emulated device runs PTX: compile with nvcc -ptx or -fatbin, or -gencode "
           "arch=compute_90a,code=compute_90a";
    return false;
  }
  *ptx = static_cast<const char *>(image);
  return true;
}

} // namespace libcuda
} // namespace fourfold
