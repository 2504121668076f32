// The release history of PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/device/PtxVersion.h"

#include <fmt/format.h>

#include <cstdio>

namespace fourfold {
namespace device {

namespace {

struct Release {
  int ptx, cuda; // 8070 and 12080 for PTX 8.7 of CUDA 12.8
};

// PTX ISA, Release Notes: the version that came with each CUDA.
constexpr Release kReleases[] = {{7000, 11000}, {7010, 11010}, {7020, 11020}, {7030, 11030}, {7040, 11040},
                                 {7050, 11050}, {7060, 11060}, {7070, 11070}, {7080, 11080}, {8000, 12000},
                                 {8010, 12010}, {8020, 12020}, {8030, 12030}, {8040, 12040}, {8050, 12050},
                                 {8060, 12070}, {8070, 12080}, {8080, 12090}, {9000, 13000}};

} // namespace

int parseVersion(const std::string &text) {
  int major = 0, minor = 0;
  return std::sscanf(text.c_str(), "%d.%d", &major, &minor) == 2 ? major * 1000 + minor * 10 : 0;
}

std::string versionText(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

int cudaForPtx(const std::string &ptx) {
  int wanted = parseVersion(ptx);
  for (const Release &release : kReleases)
    if (wanted > 0 && wanted <= release.ptx)
      return release.cuda;
  return 0;
}

std::string ptxForCuda(int cuda) {
  int newest = 0;
  for (const Release &release : kReleases)
    if (release.cuda <= cuda)
      newest = release.ptx;
  return newest ? versionText(newest) : "6.5 or older";
}

} // namespace device
} // namespace fourfold
