// __assertfail, which a failed assert() of CUDA C++ calls: a finding with the text of the assertion.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "Decoder.h"
#include "Warp.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr size_t kLongestText = 512;

/// The zero-terminated text at a device address, as far as it is there.
std::string text(const Warp &warp, uint64_t address) {
  std::string result;
  while (result.size() < kLongestText) {
    const Allocation *allocation = warp.launch->memory->find(address, 1);
    if (!allocation || !*allocation->at(address))
      break;
    result += static_cast<char>(*allocation->at(address++));
  }
  return result;
}

} // namespace

void failAssertion(Warp &warp, const Instr &in, uint32_t mask) {
  if (!mask)
    return;
  int lane = __builtin_ctz(mask);
  // The arguments are .param variables of the call; those lie in the thread's local memory.
  auto argument = [&](size_t i, auto value) {
    std::memcpy(&value, warp.local.data() + static_cast<uint64_t>(lane) * warp.kernel->localBytes + in.list[i],
                sizeof(value));
    return value;
  };
  report(warp, in, lane, device::kErrorAssert,
         fmt::format("assertion `{}` failed at {}:{} in {}", text(warp, argument(0, uint64_t{})),
                     text(warp, argument(1, uint64_t{})), argument(2, uint32_t{}),
                     text(warp, argument(3, uint64_t{}))));
}

} // namespace emulator
} // namespace fourfold
