// Encodes and decodes entries of the cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/CacheEntry.h"

#include <fmt/format.h>

#include <cstring>

namespace fourfold {

namespace {

constexpr char kMagic[8] = {'F', 'O', 'U', 'R', 'F', 'O', 'L', 'D'};
/// Grows when the layout changes; entries of other versions are compiled anew.
constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t headerBytes;
  CacheKey key;
  uint64_t payloadBytes;
  CacheKey checksum;
};
static_assert(sizeof(Header) == 56, "the layout is a file format");

void addText(std::string *bytes, const std::string &text) {
  uint64_t size = text.size();
  bytes->append(reinterpret_cast<const char *>(&size), sizeof(size));
  bytes->append(text);
}

bool takeText(std::string_view *bytes, std::string *text) {
  uint64_t size;
  if (bytes->size() < sizeof(size))
    return false;
  std::memcpy(&size, bytes->data(), sizeof(size));
  bytes->remove_prefix(sizeof(size));
  if (bytes->size() < size)
    return false;
  text->assign(bytes->data(), size);
  bytes->remove_prefix(size);
  return true;
}

} // namespace

std::string encodeEntry(const CacheKey &key, const CacheTexts &texts) {
  std::string payload;
  for (const auto &[name, text] : texts) {
    addText(&payload, name);
    addText(&payload, text);
  }
  Header header;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.headerBytes = sizeof(Header);
  header.key = key;
  header.payloadBytes = payload.size();
  header.checksum = hashBytes(payload.data(), payload.size());
  return std::string(reinterpret_cast<const char *>(&header), sizeof(header)) + payload;
}

std::string decodeEntry(std::string_view bytes, const CacheKey &key, CacheTexts *texts) {
  Header header;
  if (bytes.size() < sizeof(header))
    return fmt::format("it has {} bytes, less than a header", bytes.size());
  std::memcpy(&header, bytes.data(), sizeof(header));
  bytes.remove_prefix(sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return "it is not an entry of the cache";
  if (header.version != kVersion || header.headerBytes != sizeof(Header))
    return fmt::format("it is of version {}, not {}", header.version, kVersion);
  if (!(header.key == key))
    return fmt::format("it holds {}", header.key.hex());
  if (header.payloadBytes != bytes.size())
    return fmt::format("it has {} bytes after the header, which says {}", bytes.size(), header.payloadBytes);
  if (!(hashBytes(bytes.data(), bytes.size()) == header.checksum))
    return "its checksum is wrong";
  texts->clear();
  while (!bytes.empty()) {
    std::string name, text;
    if (!takeText(&bytes, &name) || !takeText(&bytes, &text))
      return "its texts are not whole";
    (*texts)[name] = std::move(text);
  }
  return "";
}

} // namespace fourfold
