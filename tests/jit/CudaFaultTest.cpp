// cuda:N over a libcuda that is not NVIDIA's: what works, and what is said when something does not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "../runtime/AddSpec.h"
#include "JitHarness.h"
#include "fourfold/Fourfold.h"
#include "runtime/device/PtxVersion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <sys/wait.h>
#include <thread>

using namespace fourfold;
using namespace fourfold::tests;

static Tensor ones(const std::string &name, std::vector<int64_t> shape) {
  Tensor tensor{name, ElementType::F32, shape, {}};
  float one = 1;
  for (int64_t i = 0; i < countElements(shape); ++i)
    tensor.bytes.insert(tensor.bytes.end(), reinterpret_cast<uint8_t *>(&one), reinterpret_cast<uint8_t *>(&one) + 4);
  return tensor;
}

static bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

struct CudaFault : testing::Test {
  void SetUp() override {
    Status status = Device::open("cuda:0", &device);
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_EQ(device.description(), "Fake GPU 0") << "this test needs the fake libcuda on LD_LIBRARY_PATH";
  }
  Status load(Executable *executable) {
    return Executable::load(device, addPlan(device.target()).toJson(), addPtx(device.target()), executable);
  }
  Status run(std::vector<LaunchRecord> *records = nullptr, int64_t rows = 3) {
    Executable executable;
    if (Status status = load(&executable); !status.ok())
      return status;
    std::vector<Tensor> outputs;
    RunOptions options;
    options.records = records;
    Status status = executable.run({ones("x", {rows, 5}), ones("w", {5, rows})}, &outputs, options);
    if (status.ok()) {
      float sum;
      std::memcpy(&sum, outputs[0].bytes.data(), 4);
      EXPECT_EQ(sum, 2.0f);
    }
    return status;
  }
  std::vector<std::string> modules() const {
    std::ifstream file(folder.path + "/modules");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);)
      lines.push_back(line);
    return lines;
  }
  Folder folder;
  Setting place{"FOURFOLD_CACHE_DIR", folder.path + "/cache"};
  Setting log{"FAKE_CUDA_LOG", folder.path + "/modules"};
  Setting home{"CUDA_HOME", FOURFOLD_BINARY_DIR "/tests/fake_cuda"};
  Setting assembled{"FAKE_NVJITLINK_LOG", folder.path + "/assembled"};
  Messages messages;
  Device device;
};

TEST_F(CudaFault, RunsMachineCodeAndTimesItByEvents) {
  std::vector<LaunchRecord> records;
  ASSERT_EQ(run(&records).message(), "");
  size_t parts = std::min(2u, std::max(1u, std::thread::hardware_concurrency())); // two kernels, shared out over the cores
  EXPECT_EQ(modules(), std::vector<std::string>(parts, "cubin"));
  ASSERT_EQ(records.size(), 2u);
  for (const LaunchRecord &record : records)
    EXPECT_EQ(record.milliseconds, 0.125) << "the fake events' answer";
  EXPECT_EQ(records[0].bufferBytes, 3u * 5 * 4);
  EXPECT_EQ(records[1].bufferBytes, 4u * 3 * 5 * 4);
  ASSERT_EQ(run().message(), "");
  EXPECT_EQ(countLines(folder.path + "/assembled"), parts) << "machine code is kept";
  EXPECT_EQ(messages.count(), 0u) << messages.text();
}

TEST_F(CudaFault, WithoutNvJitLinkTheDriverAssembles) {
  Setting nowhere("FOURFOLD_NVJITLINK", "off");
  ASSERT_EQ(run().message(), "");
  ASSERT_EQ(run().message(), "");
  EXPECT_EQ(modules(), (std::vector<std::string>{"ptx", "ptx"}));
  EXPECT_EQ(messages.count(), 1u);
  EXPECT_TRUE(contains(messages.text(), "note: the driver assembles the kernels for cuda:0")) << messages.text();
  EXPECT_TRUE(contains(messages.text(), "FOURFOLD_NVJITLINK is 'off'")) << messages.text();
}

TEST_F(CudaFault, AnOldNvJitLinkIsPassedOver) {
  Setting old("FAKE_NVJITLINK_OLD", "1");
  ASSERT_EQ(run().message(), "");
  EXPECT_EQ(modules(), std::vector<std::string>{"ptx"});
  EXPECT_TRUE(contains(messages.text(), "nvJitLink 13.5")) << messages.text();
  EXPECT_TRUE(contains(messages.text(), "does not know target 'sm_120a'")) << messages.text();
}

TEST_F(CudaFault, MachineCodeThatTheDriverRefuses) {
  Setting refused("FAKE_CUDA_CUBIN", "209");
  ASSERT_EQ(run().message(), "");
  EXPECT_EQ(modules(), (std::vector<std::string>{"cubin", "ptx"}));
  EXPECT_TRUE(contains(messages.text(), "CUDA_ERROR_NO_BINARY_FOR_GPU")) << messages.text();
}

TEST_F(CudaFault, ADriverTooOldForThePtxNamesBothVersions) {
  Setting refused("FAKE_CUDA_CUBIN", "222");
  Executable executable;
  for (const char *answer : {"0", "222"}) { // seen before it is asked, and as it says itself
    Setting version("FAKE_CUDA_VERSION", answer[0] == '0' ? "12040" : "12080");
    Setting jit("FAKE_CUDA_JIT", answer);
    Status status = load(&executable);
    EXPECT_EQ(status.code(), StatusCode::Unsupported);
    for (const char *part : {"'add'", "PTX 8.7", "CUDA 12.8 or later", "cuda:0", "update the driver", "emulated:sm_120a"})
      EXPECT_TRUE(contains(status.message(), part)) << part << " in " << status.message();
    EXPECT_TRUE(contains(status.message(), answer[0] == '0' ? "CUDA 12.4, which takes PTX up to 8.4" : "for CUDA 12.8,"))
        << status.message();
  }
}

TEST_F(CudaFault, ErrorsCarryTheLogOfTheJit) {
  Setting fails("FAKE_NVJITLINK_FAIL", "1");
  Setting jit("FAKE_CUDA_JIT", "218");
  Executable executable;
  Status status = load(&executable);
  EXPECT_EQ(status.code(), StatusCode::DeviceError);
  EXPECT_FALSE(executable.isLoaded());
  for (const char *part : {"'add'", "sm_120a", "cuda:0", "CUDA_ERROR_INVALID_PTX", "line 7; error   : Unknown symbol"})
    EXPECT_TRUE(contains(status.message(), part)) << status.message();
  EXPECT_TRUE(contains(messages.text(), "the fake assembler fails")) << messages.text();
}

TEST_F(CudaFault, OutOfMemorySaysWhatWasAskedAndWhatIsFree) {
  Setting free("FAKE_CUDA_FREE", "1000");
  uint64_t address;
  Status status = allocateMemory(device, 4096, &address);
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  for (const char *part : {"4096 bytes", "cuda:0", "CUDA_ERROR_OUT_OF_MEMORY", "1000 of its 8589934592 bytes are free"})
    EXPECT_TRUE(contains(status.message(), part)) << part << " in " << status.message();
  status = run(nullptr, 100);
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  for (const char *part : {"2000 bytes for buffer 'x'", "1000 of its"})
    EXPECT_TRUE(contains(status.message(), part)) << part << " in " << status.message();
  EXPECT_EQ(run().message(), "") << "what fits still runs";
}

TEST_F(CudaFault, AStickyErrorSaysThatTheContextIsLost) {
  // In a process of its own, which is what it costs.
  pid_t child = fork();
  if (child == 0) {
    setenv("FAKE_CUDA_LAUNCH", "700", 1);
    std::string first = run().message();
    unsetenv("FAKE_CUDA_LAUNCH");
    uint64_t address;
    std::string second = allocateMemory(device, 16, &address).message();
    bool good = true;
    for (const std::string &text : {first, second})
      for (const char *part : {"cuda:0", "CUDA_ERROR_ILLEGAL_ADDRESS", "the context of cuda:0 is lost", "start the program again"})
        if (!contains(text, part)) {
          std::fprintf(stderr, "'%s' is not in: %s\n", part, text.c_str());
          good = false;
        }
    good = good && contains(first, "launch 1 ('add')");
    _exit(good ? 0 : 1);
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(CudaFault, TargetsFollowComputeCapability) {
  for (auto [capability, target] : {std::pair{"8.0", "sm_80"}, {"8.6", "sm_80"}, {"8.9", "sm_80"}, {"9.0", "sm_90a"},
                                    {"10.0", "sm_100a"}, {"10.3", "sm_103a"}, {"12.0", "sm_120a"}, {"12.1", "sm_121a"}}) {
    Setting is("FAKE_CUDA_CAPABILITY", capability);
    Device opened;
    Status status = Device::open("cuda:0", &opened);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(opened.target(), target);
  }
  for (const char *capability : {"7.5", "8.10", "9.1", "10.1", "10.2", "11.0", "12.2", "13.0"}) {
    Setting is("FAKE_CUDA_CAPABILITY", capability);
    Device opened;
    Status status = Device::open("cuda:0", &opened);
    EXPECT_EQ(status.code(), StatusCode::Unsupported) << capability;
    for (const char *part : {"cuda:0", "Fake GPU 0", capability, "8.0 to 8.9 (sm_80), 9.0 (sm_90a), 10.0 (sm_100a), 10.3 (sm_103a), 12.0 (sm_120a) and 12.1 (sm_121a)",
                             "emulated:sm_120a"})
      EXPECT_TRUE(contains(status.message(), part)) << part << " in " << status.message();
    EXPECT_FALSE(opened.isOpen());
  }
}

TEST_F(CudaFault, AutoTakesTheFirstGpuWithKernels) {
  Device chosen;
  {
    Setting two("FAKE_CUDA_COUNT", "2");
    Setting kinds("FAKE_CUDA_CAPABILITY", "11.0,12.0");
    ASSERT_TRUE(Device::open("auto", &chosen).ok());
    EXPECT_EQ(chosen.name(), "cuda:1");
    EXPECT_EQ(chosen.choice(), "cuda:1 (Fake GPU 1): the first GPU with kernels (sm_120a)");
    // The compiler's list decides, where it is given.
    ASSERT_TRUE(Device::openAuto({"sm_80"}, &chosen).ok());
    EXPECT_EQ(chosen.name(), "emulated:sm_120a");
    EXPECT_TRUE(contains(chosen.choice(), "compute capability 11.0")) << chosen.choice();
    EXPECT_TRUE(contains(chosen.choice(), "'cuda:1' (Fake GPU 1) needs kernels for sm_120a, and the compiler has those for sm_80"))
        << chosen.choice();
  }
  Setting none("FAKE_CUDA_COUNT", "0");
  ASSERT_TRUE(Device::open("auto", &chosen).ok());
  EXPECT_EQ(chosen.choice(), "emulated:sm_120a: the NVIDIA driver finds no GPU");
  Status status = Device::open("cuda:0", &chosen);
  EXPECT_EQ(status.code(), StatusCode::NotFound);
  EXPECT_TRUE(contains(status.message(), "finds no GPU")) << status.message();
}

TEST(PtxVersions, HistoryOfReleases) {
  using namespace device;
  EXPECT_EQ(cudaForPtx("8.7"), 12080);
  EXPECT_EQ(cudaForPtx("8.8"), 12090);
  EXPECT_EQ(cudaForPtx("7.0"), 11000);
  EXPECT_EQ(cudaForPtx("99.0"), 0);
  EXPECT_EQ(cudaForPtx(""), 0);
  EXPECT_EQ(ptxForCuda(12060), "8.5");
  EXPECT_EQ(ptxForCuda(13020), "9.0");
  EXPECT_EQ(ptxForCuda(10020), "6.5 or older");
}
