// fourfold-device-check: the kernels built ahead of time on a device, against the emulated device and against twins in CUDA C++.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/twins/Twin.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <set>

using namespace fourfold;
using namespace fourfold::twins;

namespace {

struct Options {
  std::string device = "auto", root = FOURFOLD_SOURCE_DIR, filter, json, kernelTarget;
  bool quick = false;
};

enum ExitStatus { kPassed = 0, kFailed = 1, kSkipped = 77 };

/// One run of one spec.
struct Case {
  const Kernels *kernels;
  Size size;
  Values values;
  std::string label;
};

class Check {
public:
  explicit Check(const Options &options) : options(options) {}

  int images() {
    return all([this] {
      Device reference;
      if (!opened(Device::open("emulated:" + device.target(), &reference)))
        return;
      for (const Case &one : cases()) {
        Images here, there;
        if (!run(device, one, &here) || !run(reference, one, &there))
          continue;
        record(one, compareImages(*one.kernels, here, there));
      }
    });
  }

  int twins() {
    return all([this] {
      Twins twins;
      if (!openTwins(&twins))
        return;
      for (const Case &one : cases()) {
        Images here;
        std::vector<Comparison> results;
        if (!run(device, one, &here))
          continue;
        if (Status status = twins.compare(*one.kernels, here, one.values == Values::Exact, &results); !status.ok())
          fail(one.label, status.message());
        record(one, results);
      }
    });
  }

  int layout() {
    if (!opened(Device::open(options.device, &device)))
      return finish();
    Twins twins;
    std::vector<Comparison> results;
    if (!openTwins(&twins))
      return finish();
    if (Status status = twins.compareLayout(&results); !status.ok())
      fail("layout", status.message());
    record({nullptr, {}, Values::Random, "layout_s4"}, results);
    return finish();
  }

  /// Runs specs until every kernel has run, and compares nothing: for a checker of memory.
  int run() {
    return all([this] {
      std::set<std::string> seen;
      for (const Kernels &one : kernels) {
        bool isNew = false;
        for (const plan::Launch &launch : one.plan.launches)
          isNew |= launch.kind == plan::Launch::Kind::Kernel && seen.insert(launch.variants.back().kernel).second;
        if (!isNew)
          continue;
        Images images;
        Case small = {&one, {70, 96, 80}, Values::Random, one.name};
        if (run(device, small, &images)) {
          ++comparisons;
          for (const LaunchRecord &launch : images.records)
            if (!launch.kernel.empty())
              entries.push_back({{"case", one.name}, {"kernel", launch.kernel}, {"passed", true}});
        }
      }
    });
  }

private:
  template <typename Body>
  int all(Body body) {
    if (!opened(Device::open(options.device, &device)))
      return finish();
    std::string target = options.kernelTarget.empty() ? device.target() : options.kernelTarget;
    if (Status status = readKernels(options.root, target, &kernels); !status.ok()) {
      skipped = status.code() == StatusCode::NotFound ? status.message() : "";
      if (skipped.empty())
        fail("generated", status.message());
      return finish();
    }
    body();
    return finish();
  }

  bool opened(const Status &status) {
    if (!status.ok())
      fail("device", status.message());
    return status.ok();
  }

  bool openTwins(Twins *twins) {
    Status status = twins->open(options.root, device);
    if (status.code() == StatusCode::NotFound)
      skipped = status.message();
    else if (!status.ok())
      fail("twins", status.message());
    return status.ok();
  }

  std::vector<Case> cases() const {
    std::vector<Case> list;
    for (const Kernels &one : kernels) {
      if (one.name.find(options.filter) == std::string::npos)
        continue;
      auto add = [&](const Size &size, Values values, const char *text) {
        list.push_back({&one, size, values, one.name + text});
      };
      add({45, 72, 40}, Values::Random, " 45x72x40");
      if (one.name.find("mxfp4/") == 0)
        add({64, 128, 96}, Values::Exact, " 64x128x96 exact");
      if (!options.quick || one.name.find("nvfp4/") == 0 || one.name.find("mxfp4/") == 0)
        add({80, 96, 64}, Values::Special, " 80x96x64 with NaN, infinities, zeros, subnormals");
      if (options.quick)
        continue;
      add({131, 384, 200}, Values::Captured, " 131x384x200 captured");
      add({8, 256, 136}, Values::Random, " 8x256x136");
    }
    return list;
  }

  bool run(const Device &on, const Case &one, Images *images) {
    std::vector<Tensor> inputs;
    Status status = makeInputs(*one.kernels, one.size, one.values, options.root + "/tests/data", &inputs);
    if (status.ok())
      status = runKernels(on, *one.kernels, inputs, images);
    if (!status.ok())
      fail(one.label + " on " + on.name(), status.message());
    return status.ok();
  }

  void fail(const std::string &what, const std::string &why) {
    ++failures;
    entries.push_back({{"case", what}, {"passed", false}, {"error", why}});
    std::printf("FAIL %s: %s\n", what.c_str(), why.c_str());
  }

  void record(const Case &one, const std::vector<Comparison> &results) {
    int64_t bad = 0;
    for (const Comparison &result : results) {
      ++comparisons;
      nlohmann::ordered_json entry = {{"case", one.label},           {"buffer", result.buffer},
                                      {"elements", result.elements}, {"different", result.different},
                                      {"bounded", result.bounded},   {"passed", result.passed()}};
      if (result.bounded) {
        entry["outside"] = result.outside;
        entry["maxError"] = result.maxError;
        entry["maxBound"] = result.maxBound;
        inBound += result.different;
      }
      if (!result.passed()) {
        ++bad;
        ++failures;
        entry["detail"] = result.detail;
        std::printf("FAIL %s: %s: %lld of %lld differ: %s\n", one.label.c_str(), result.buffer.c_str(),
                    static_cast<long long>(result.different), static_cast<long long>(result.elements), result.detail.c_str());
      }
      entries.push_back(std::move(entry));
    }
    std::printf("%s %s: %zu buffers\n", bad ? "FAIL" : "ok  ", one.label.c_str(), results.size());
    std::fflush(stdout);
  }

  int finish() {
    bool nothing = skipped.empty() && failures == 0 && comparisons == 0;
    if (nothing)
      fail("nothing", "nothing was compared; --filter may fit no spec");
    if (!options.json.empty()) {
      nlohmann::ordered_json report = {{"device", device.isOpen() ? device.name() : options.device},
                                       {"description", device.isOpen() ? device.description() : ""},
                                       {"target", device.isOpen() ? device.target() : ""},
                                       {"compared", comparisons},
                                       {"failed", failures},
                                       {"differentInsideBounds", inBound},
                                       {"skipped", skipped},
                                       {"entries", entries}};
      std::ofstream file(options.json);
      file << report.dump(1) << "\n";
      if (!file) {
        std::fprintf(stderr, "fourfold-device-check: error: cannot write '%s'\n", options.json.c_str());
        return kFailed;
      }
    }
    if (!skipped.empty())
      std::printf("SKIPPED: %s\n", skipped.c_str());
    std::printf("%lld buffers compared, %lld failures, %lld elements differ inside their bounds\n",
                static_cast<long long>(comparisons), static_cast<long long>(failures), static_cast<long long>(inBound));
    return failures ? kFailed : !skipped.empty() ? kSkipped : kPassed;
  }

  const Options &options;
  Device device;
  std::vector<Kernels> kernels;
  std::vector<nlohmann::ordered_json> entries;
  std::string skipped;
  int64_t comparisons = 0, failures = 0, inBound = 0;
};

} // namespace

int main(int argc, char **argv) {
  Options options;
  CLI::App app("Checks the kernels of generated/ on a device");
  app.require_subcommand(1);
  int result = kPassed;
  auto command = [&](const char *name, const char *text, int (Check::*method)()) {
    CLI::App *sub = app.add_subcommand(name, text);
    sub->add_option("--device", options.device, "cuda:N, emulated:TARGET or auto")->capture_default_str();
    sub->add_option("--root", options.root, "The source tree, with generated/ and tests/")->capture_default_str();
    sub->add_option("--target", options.kernelTarget, "Folder of generated/ to take; default: the device's target");
    sub->add_option("--filter", options.filter, "Only specs with this in RECIPE/NAME");
    sub->add_option("--json", options.json, "Write every comparison to this file");
    sub->add_flag("--quick", options.quick, "One small size of each spec");
    sub->callback([&options, &result, method] { result = (Check(options).*method)(); });
  };
  command("images", "Every buffer of every spec against the emulated device's", &Check::images);
  command("twins", "Quantizations and products against CUDA C++ that NVRTC compiles", &Check::twins);
  command("layout", "The FP4 fragment layout, on s4 integers", &Check::layout);
  command("run", "Runs one of each kernel, for compute-sanitizer", &Check::run);
  app.footer("Exit status: 0 passed; 1 failed; 77 skipped (no kernels for this device, or no NVRTC); 2 wrong usage.\n"
             "Example: fourfold-device-check twins --device emulated:sm_120a --quick");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return result;
}
