// What of the programs of clusters (corpus/clusters.cu) would be missed: each barrier, wait, fence and arrival is taken out in turn.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ClusterLaunch.h"
#include "TensorMaps.h"

#include <algorithm>
#include <functional>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// Launches one kernel of the program with what it needs; the result is what it wrote.
using Launcher = std::function<CUresult(Device &, std::vector<int> *)>;

template <class... Args>
Launcher runner(const char *name, Shape shape, size_t words, Args... args) {
  return [=](Device &device, std::vector<int> *found) {
    CUdeviceptr out = device.upload(std::vector<int>(words));
    CUresult code = launchShape(device, name, shape, out, args...);
    if (code == kSuccess)
      *found = device.download<int>(out, words);
    return code;
  };
}

/// The text with what stands from `at` to the end of the statement replaced.
std::string without(std::string ptx, size_t at, const std::string &instead = "") {
  return ptx.replace(at, ptx.find(';', at) + 1 - at, instead);
}

struct Outcome {
  size_t made = 0, found = 0;
  std::string missed;
};

/// Takes out each place of `word` in the kernel; for barriers also the wait that follows.
void ablate(const std::string &ptx, const std::string &kernel, const std::string &word, const Launcher &run, Outcome *outcome) {
  size_t start = ptx.find(".entry " + kernel + "("), end = ptx.find(".entry ", start + 1);
  ASSERT_NE(start, std::string::npos) << kernel;
  Options quick;
  quick.maxInstructions = 2000000;
  Device whole("sm_90a");
  setOptions(quick);
  ASSERT_EQ(whole.load(ptx), kSuccess) << lastFinding();
  std::vector<int> right;
  ASSERT_EQ(run(whole, &right), kSuccess) << kernel << ": " << lastFinding();
  for (size_t at = start; (at = ptx.find(word, at)) < end; ++at) {
    std::string spoiled = ptx;
    if (word == "mbarrier.try_wait")
      spoiled = without(spoiled, at, "setp.eq.u32 p, 0, 0;");
    else
      spoiled = without(spoiled, at);
    if (word == "barrier.cluster.arrive")
      spoiled = without(spoiled, spoiled.find("barrier.cluster.wait", at));
    Device device("sm_90a");
    setOptions(quick);
    ASSERT_EQ(device.load(spoiled), kSuccess) << lastFinding();
    std::vector<int> result;
    ++outcome->made;
    if (run(device, &result) != kSuccess)
      ++outcome->found;
    else
      outcome->missed += kernel + ": " + word + " at line " + std::to_string(1 + std::count(ptx.begin(), ptx.begin() + static_cast<long>(at), '\n')) +
                         (result == right ? "\n" : ", other results\n");
  }
}

TEST(ClusterAblation, WhatIsTakenOutIsMissed) {
  std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/clusters_O3_sm_90a.ptx");
  Outcome outcome;
  auto each = [&](const std::string &kernel, const Launcher &run, const std::vector<std::string> &words) {
    for (const std::string &word : words)
      ablate(ptx, kernel, word, run, &outcome);
  };
  Dims two = {2, 1, 1}, warp = {32, 1, 1};
  each("cluster_sum", [](Device &device, std::vector<int> *found) {
    CUdeviceptr in = device.upload(std::vector<int>(600, 3)), out = device.upload(std::vector<int>(1));
    CUresult code = launchShape(device, "cluster_sum", {{2, 1, 1}, {64, 1, 1}, {2, 1, 1}}, in, out, 300);
    if (code == kSuccess)
      *found = device.download<int>(out, 1);
    return code;
  }, {"barrier.cluster.arrive", "bar.sync"});
  each("cluster_ring", runner("cluster_ring", {two, {64, 1, 1}, two}, 128, 7), {"barrier.cluster.arrive"});
  each("cluster_exchange", runner("cluster_exchange", {two, warp, two}, 64, 11),
       {"barrier.cluster.arrive", "mbarrier.try_wait", "fence.mbarrier_init", "mbarrier.arrive.release.cluster"});
  each("cluster_count", runner("cluster_count", {two, warp, two}, 1), {"barrier.cluster.arrive", "mbarrier.try_wait"});
  each("cluster_copy", [](Device &device, std::vector<int> *found) {
    CUdeviceptr in = device.upload(std::vector<int>(256, 3)), out = device.upload(std::vector<int>(256));
    CUresult code = launchShape(device, "cluster_copy", {{2, 1, 1}, {128, 1, 1}, {2, 1, 1}}, in, out);
    if (code == kSuccess)
      *found = device.download<int>(out, 256);
    return code;
  }, {"barrier.cluster.arrive", "mbarrier.try_wait", "fence.proxy.async"});
  each("multicast_matmul", [](Device &device, std::vector<int> *found) {
    uint64_t n = 96;
    Map a, b;
    CUdeviceptr from = device.upload(std::vector<float>(n * n, 1.0f)), c = device.upload(std::vector<int>(n * n));
    a.encode(device, {kFloat32, from, {n, n}, {4 * n}, {16, 8}});
    b.encode(device, {kFloat32, from, {n, n}, {4 * n}, {16, 8}});
    CUresult code = launchShape(device, "multicast_matmul", {{2, 2, 1}, {256, 1, 1}, {2, 2, 1}}, a, b, c, static_cast<int>(n));
    if (code == kSuccess)
      *found = device.download<int>(c, n * n);
    return code;
  }, {"barrier.cluster.arrive", "mbarrier.try_wait", "mbarrier.arrive.release.cluster", "bar.sync"});
  EXPECT_EQ(outcome.missed, "");
  EXPECT_EQ(outcome.found, outcome.made);
  EXPECT_GE(outcome.made, 30u);
}

} // namespace
