// What the CUDA driver supplies to programs: __assertfail, a finding with the text of the assertion; vprintf; malloc and free.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "Decoder.h"
#include "Warp.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstdio>
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

/// The arguments of a vprintf, one after the other, each at a multiple of its size, as the caller of a C function lays them out.
class PrintArguments {
public:
  PrintArguments(Warp &warp, const Instr &in, int lane, uint64_t address) : warp(warp), in(in), lane(lane), address(address) {}

  template <class T>
  T next() {
    address = (address + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    uint64_t place = address;
    Space space = splitGeneric(place);
    T value;
    LanePointer pointer = checkedPointer(warp, in, lane, space, place, sizeof(T), AccessKind::Read);
    std::memcpy(&value, pointer.data, sizeof(T));
    address += sizeof(T);
    return value;
  }

private:
  Warp &warp;
  const Instr &in;
  int lane;
  uint64_t address;
};

/// Appends one conversion: `flags` is what stands between '%' and the letter, without length modifiers.
template <class T>
void appendAs(std::string &out, const std::string &flags, const char *length, char letter, T value) {
  char buffer[512];
  std::string form = "%" + flags + length + letter;
  int count = std::snprintf(buffer, sizeof(buffer), form.c_str(), value);
  out.append(buffer, static_cast<size_t>(std::min<int>(std::max(count, 0), sizeof(buffer) - 1)));
}

/// printf's format on a thread's arguments. A conversion that printf() of CUDA C++ does not have stands as it is.
int formatLane(Warp &warp, const std::string &format, PrintArguments arguments, std::string &out) {
  int converted = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    size_t end = format.find_first_not_of("-+ #0123456789.*", i + 1);
    size_t letterAt = end == std::string::npos ? end : format.find_first_not_of("lhzjt", end);
    if (letterAt == std::string::npos) {
      out += format.substr(i);
      break;
    }
    std::string flags, length = format.substr(end, letterAt - end);
    for (char c : format.substr(i + 1, end - i - 1))
      flags += c == '*' ? std::to_string(arguments.next<int32_t>()) : std::string(1, c);
    char letter = format[letterAt];
    bool isWide = length == "l" || length == "ll" || length == "z" || length == "j" || length == "t";
    if (letter == '%') {
      out += '%';
      --converted;
    } else if (std::strchr("dic", letter)) {
      if (isWide)
        appendAs(out, flags, "ll", letter, static_cast<long long>(arguments.next<int64_t>()));
      else
        appendAs(out, flags, length == "h" ? "h" : length == "hh" ? "hh" : "", letter, arguments.next<int32_t>());
    } else if (std::strchr("uxXo", letter)) {
      if (isWide)
        appendAs(out, flags, "ll", letter, static_cast<unsigned long long>(arguments.next<uint64_t>()));
      else
        appendAs(out, flags, length == "h" ? "h" : length == "hh" ? "hh" : "", letter, arguments.next<uint32_t>());
    } else if (std::strchr("fFeEgGaA", letter)) {
      appendAs(out, flags, "", letter, arguments.next<double>());
    } else if (letter == 'p') {
      out += fmt::format("{:#x}", arguments.next<uint64_t>());
    } else if (letter == 's') {
      appendAs(out, flags, "", letter, text(warp, arguments.next<uint64_t>()).c_str());
    } else {
      out += format.substr(i, letterAt + 1 - i);
      --converted;
    }
    ++converted;
    i = letterAt;
  }
  return converted;
}

} // namespace

uint8_t *callVariable(Warp &warp, const Instr &in, int lane, uint32_t offset) {
  return warp.local.data() + static_cast<uint64_t>(lane) * warp.kernel->localBytes + warp.reg<uint32_t>(in.src[2])[lane] + offset;
}

void allocateInKernel(Warp &warp, const Instr &in, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    int lane = __builtin_ctz(mask);
    uint64_t bytes;
    std::memcpy(&bytes, callVariable(warp, in, lane, in.list[0]), 8);
    uint64_t address = warp.launch->memory->heap()->allocate(bytes);
    std::memcpy(callVariable(warp, in, lane, in.list[1]), &address, 8);
  }
}

void freeInKernel(Warp &warp, const Instr &in, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    int lane = __builtin_ctz(mask);
    uint64_t address;
    std::memcpy(&address, callVariable(warp, in, lane, in.list[0]), 8);
    DeviceHeap *heap = warp.launch->memory->heap();
    if (address && (!heap || !heap->release(address)))
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("free of {:#x}, which malloc has not given or which was freed before", address));
  }
}

void printFormatted(Warp &warp, const Instr &in, uint32_t mask) {
  std::string out;
  for (; mask; mask &= mask - 1) {
    int lane = __builtin_ctz(mask);
    uint64_t format, arguments;
    std::memcpy(&format, callVariable(warp, in, lane, in.list[0]), 8);
    std::memcpy(&arguments, callVariable(warp, in, lane, in.list[1]), 8);
    int32_t count = formatLane(warp, text(warp, format), PrintArguments(warp, in, lane, arguments), out);
    std::memcpy(callVariable(warp, in, lane, in.list[2]), &count, 4);
  }
  // One call, so that lines of different blocks do not mix.
  std::fwrite(out.data(), 1, out.size(), stdout);
  std::fflush(stdout);
}

void failAssertion(Warp &warp, const Instr &in, uint32_t mask) {
  if (!mask)
    return;
  int lane = __builtin_ctz(mask);
  // The arguments are .param variables of the call; those lie in the thread's local memory.
  auto argument = [&](size_t i, auto value) {
    std::memcpy(&value, callVariable(warp, in, lane, in.list[i]), sizeof(value));
    return value;
  };
  report(warp, in, lane, device::kErrorAssert,
         fmt::format("assertion `{}` failed at {}:{} in {}", text(warp, argument(0, uint64_t{})),
                     text(warp, argument(1, uint64_t{})), argument(2, uint32_t{}),
                     text(warp, argument(3, uint64_t{}))));
}

} // namespace emulator
} // namespace fourfold
