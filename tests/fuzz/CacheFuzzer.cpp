// Fuzzes the reader of cache entries: bytes as they are, and as the payload of a header that fits them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Check.h"

#include "runtime/jit/CacheEntry.h"

#include <cstring>

using namespace fourfold;

/// What is accepted is written and read again as the same texts.
static void check(std::string_view bytes, const CacheKey &key, bool isOurs) {
  CacheTexts texts;
  std::string wrong = decodeEntry(bytes, key, &texts);
  if (!wrong.empty()) {
    FUZZ_CHECK(!isOurs, "what was written can be read");
    return;
  }
  CacheTexts again;
  std::string written = encodeEntry(key, texts);
  FUZZ_CHECK(decodeEntry(written, key, &again).empty(), "what was written can be read");
  FUZZ_CHECK(again == texts, "writing and reading keep the texts");
  FUZZ_CHECK(!decodeEntry(written, {key.high, key.low + 1}, &again).empty(), "an entry of another key is refused");
  written.pop_back();
  FUZZ_CHECK(!decodeEntry(written, key, &again).empty(), "an entry without its last byte is refused");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char *>(data), size);
  // The key that the file claims, or nothing would get past the key's check.
  constexpr size_t kKeyAt = 16;
  CacheKey key;
  if (size >= kKeyAt + sizeof(key))
    std::memcpy(&key, data + kKeyAt, sizeof(key));
  check(bytes, key, /*isOurs=*/false);

  // Behind the checksum, which no chance gets right: lengths that reach past the end, names without texts, names given twice.
  std::string framed = encodeEntry(key, {});
  constexpr size_t kBytesAt = 32, kChecksumAt = 40;
  uint64_t payload = size;
  CacheKey checksum = hashBytes(data, size);
  std::memcpy(&framed[kBytesAt], &payload, sizeof(payload));
  std::memcpy(&framed[kChecksumAt], &checksum, sizeof(checksum));
  framed.append(bytes);
  check(framed, key, /*isOurs=*/false);

  std::string name(bytes.substr(0, size / 2)), text(bytes.substr(size / 2));
  check(encodeEntry(key, {{name, text}, {"about", name}}), key, /*isOurs=*/true);
  return 0;
}
