// What names an entry of the cache: a hash over everything that changes the entry's contents.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_CACHEKEY_H
#define FOURFOLD_RUNTIME_JIT_CACHEKEY_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fourfold {

/// 128 bits of XXH3. Chance collisions are out of the question; whoever can write to the folder is trusted.
struct CacheKey {
  uint64_t high = 0, low = 0;

  /// 32 hexadecimal digits: the entry's file name.
  std::string hex() const;
  /// The reverse; false for anything that `hex` does not write.
  static bool parse(const std::string &hex, CacheKey *key);
  bool operator==(const CacheKey &other) const { return high == other.high && low == other.low; }
  bool operator<(const CacheKey &other) const { return high != other.high ? high < other.high : low < other.low; }
};

struct CacheKeyHash {
  size_t operator()(const CacheKey &key) const { return static_cast<size_t>(key.low); }
};

/// The hash of plain bytes: checksums of entries.
CacheKey hashBytes(const void *bytes, size_t size);

/// Fields, each with its length, so that no two lists of fields look alike.
class CacheKeyBuilder {
public:
  explicit CacheKeyBuilder(std::string_view kind) { add(kind); }
  CacheKeyBuilder &add(std::string_view field) {
    addNumber(field.size());
    bytes.append(field.data(), field.size());
    return *this;
  }
  CacheKeyBuilder &add(const std::vector<std::string> &fields) {
    addNumber(fields.size());
    for (const std::string &field : fields)
      add(std::string_view(field));
    return *this;
  }
  CacheKeyBuilder &addNumber(uint64_t number) {
    bytes.append(reinterpret_cast<const char *>(&number), sizeof(number));
    return *this;
  }
  CacheKey key() const { return hashBytes(bytes.data(), bytes.size()); }

private:
  std::string bytes;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_CACHEKEY_H
