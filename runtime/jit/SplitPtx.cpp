// PTX of several kernels as modules of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/SplitPtx.h"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace fourfold {

namespace {

constexpr char kEntry[] = "\n.visible .entry ";

/// Where the first kernel begins; npos where something before it may not be had twice.
size_t endOfHead(const std::string &ptx) {
  size_t end = ptx.find(kEntry);
  if (end == std::string::npos)
    return end;
  std::istringstream head(ptx.substr(0, end));
  for (std::string line; std::getline(head, line);) {
    bool repeatable = line.empty() || line == "\r";
    for (const char *start : {"//", ".version ", ".target ", ".address_size ", ".extern .shared ", "\t//"})
      repeatable |= line.rfind(start, 0) == 0;
    if (!repeatable)
      return std::string::npos;
  }
  return end + 1;
}

} // namespace

std::vector<KernelPtx> splitKernels(const std::string &ptx) {
  std::vector<KernelPtx> kernels;
  size_t head = endOfHead(ptx);
  if (head == std::string::npos)
    return kernels;
  constexpr size_t kLength = sizeof(kEntry) - 2;
  for (size_t at = head; at != std::string::npos;) {
    size_t next = ptx.find(kEntry, at);
    next = next == std::string::npos ? next : next + 1;
    size_t name = at + kLength;
    // Functions after a kernel are shared too.
    std::string body = ptx.substr(at, next == std::string::npos ? next : next - at);
    if (body.find("\n.func ") != std::string::npos || body.find("\n.visible .func ") != std::string::npos)
      return {};
    kernels.push_back({ptx.substr(name, ptx.find_first_of("( \n", name) - name), ptx.substr(0, head) + body});
    at = next;
  }
  return kernels;
}

std::vector<std::string> splitPtx(const std::string &ptx, size_t parts) {
  std::vector<KernelPtx> kernels = splitKernels(ptx);
  parts = std::min(parts, kernels.size());
  if (parts < 2)
    return {ptx};
  size_t head = endOfHead(ptx);
  std::vector<size_t> order(kernels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return kernels[a].ptx.size() > kernels[b].ptx.size(); });
  // The longest first, each to the part that is shortest so far.
  std::vector<std::string> texts(parts, ptx.substr(0, head));
  for (size_t index : order)
    std::min_element(texts.begin(), texts.end(), [](const std::string &a, const std::string &b) {
      return a.size() < b.size();
    })->append(kernels[index].ptx, head);
  return texts;
}

} // namespace fourfold
