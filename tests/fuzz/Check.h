// What a fuzzer asserts, also in builds without assertions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_FUZZ_CHECK_H
#define FOURFOLD_TESTS_FUZZ_CHECK_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define FUZZ_CHECK(condition, promise)                                                                                 \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      std::fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, promise);                                \
      std::abort();                                                                                                    \
    }                                                                                                                  \
  } while (false)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif // FOURFOLD_TESTS_FUZZ_CHECK_H
