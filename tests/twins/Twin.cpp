// Loading, launching and comparing the twins.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/twins/Twin.h"

#include "cuda/Nvrtc.h"
#include "dialect/Numerics.h"
#include "runtime/device/DeviceImpl.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

namespace fourfold {
namespace twins {

using namespace device;
using plan::Contents;

namespace {

/// As in quantize.cu.
struct Matrix {
  uint64_t source, mean;
  uint64_t rowStride, kStride;
  int rows, k, sourceK;
  int isBF16, meanAlongK;
  int hadamard;
};

/// As in matmul.cu.
struct Quantized {
  uint64_t codes, scales, amax;
};

/// Memory of one comparison, freed together.
class Memory {
public:
  explicit Memory(const Device &device) : device(device) {}
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() {
    for (uint64_t address : held)
      (void)freeMemory(device, address);
  }
  /// 0 after a failure, which `status` then has.
  uint64_t zeros(uint64_t bytes) {
    uint64_t address = take(bytes);
    if (status.ok())
      status = clearMemory(device, address, bytes);
    return address;
  }
  uint64_t copy(const void *data, uint64_t bytes) {
    uint64_t address = take(bytes);
    if (status.ok())
      status = copyIn(device, address, data, bytes);
    return address;
  }
  uint64_t copy(const std::vector<uint8_t> &bytes) { return copy(bytes.data(), bytes.size()); }
  std::vector<uint8_t> read(uint64_t address, uint64_t bytes) {
    std::vector<uint8_t> result(bytes);
    if (status.ok())
      status = copyOut(device, result.data(), address, bytes);
    if (status.ok())
      status = synchronize(device);
    return result;
  }
  Status status;

private:
  uint64_t take(uint64_t bytes) {
    uint64_t address = 0;
    if (status.ok())
      status = allocateMemory(device, bytes, &address);
    if (address)
      held.push_back(address);
    return address;
  }
  const Device &device;
  std::vector<uint64_t> held;
};

bool contains(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

Comparison sameBytes(const std::string &kernels, const std::string &buffer, const std::vector<uint8_t> &have,
                     const std::vector<uint8_t> &want) {
  Comparison result;
  result.kernels = kernels;
  result.buffer = buffer;
  result.elements = static_cast<int64_t>(want.size());
  if (have.size() != want.size()) {
    result.different = 1;
    result.detail = "sizes differ";
  }
  for (size_t i = 0; i < want.size() && have.size() == want.size(); ++i)
    if (have[i] != want[i] && result.different++ == 0)
      result.detail = "first at byte " + std::to_string(i) + ": " + std::to_string(have[i]) + ", twin " + std::to_string(want[i]);
  return result;
}

} // namespace

Twins::~Twins() {
  for (void *module : {quantize, matmul, layout})
    if (module)
      device.driver().moduleUnload(static_cast<CUmodule>(module));
}

Status Twins::load(const std::string &root, const std::string &file, void **module) const {
  cuda::Nvrtc nvrtc;
  std::string error, ptx, path = root + "/tests/twins/" + file;
  if (!cuda::Nvrtc::open(&nvrtc, &error))
    return {StatusCode::NotFound, error};
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  if (!stream)
    return {StatusCode::InvalidArgument, "cannot read '" + path + "'"};
  if (!nvrtc.compile(text.str(), path, device.target(), {"--fmad=false"}, &ptx, &error))
    return {StatusCode::CompileError, error};
  const Device::Impl &impl = *DeviceAccess::of(device);
  CurrentContext current(impl);
  CUmodule loaded = nullptr;
  if (Status status = impl.check(impl.driver->moduleLoadDataEx(&loaded, ptx.c_str(), 0, nullptr, nullptr), "cannot load " + file);
      !status.ok())
    return status;
  *module = loaded;
  return {};
}

Status Twins::open(const std::string &root, const Device &opened) {
  device = opened;
  for (auto [file, module] : {std::make_pair("quantize.cu", &quantize), std::make_pair("matmul.cu", &matmul),
                              std::make_pair("layout_s4.cu", &layout)})
    if (Status status = load(root, file, module); !status.ok())
      return status;
  return {};
}

Status Twins::launch(void *module, const char *kernel, int64_t threads, unsigned block, std::vector<void *> arguments) const {
  const Device::Impl &impl = *DeviceAccess::of(device);
  CurrentContext current(impl);
  CUfunction function = nullptr;
  if (Status status = impl.check(impl.driver->moduleGetFunction(&function, static_cast<CUmodule>(module), kernel), kernel);
      !status.ok())
    return status;
  auto blocks = static_cast<unsigned>((threads + block - 1) / block);
  if (Status status = impl.check(impl.driver->launchKernel(function, blocks, 1, 1, block, 1, 1, 0, nullptr, arguments.data(), nullptr),
                                 std::string("launch of ") + kernel);
      !status.ok())
    return status;
  return impl.check(impl.driver->ctxSynchronize(), kernel);
}

Status Twins::compare(const Kernels &kernels, const Images &images, bool exact, std::vector<Comparison> *results) const {
  const plan::Plan &plan = kernels.plan;
  std::string problem;
  auto evaluate = [&](const plan::Expr &expression) { return expression.evaluate(images.dims, &problem); };
  for (const plan::Launch &step : plan.launches) {
    if (step.kind != plan::Launch::Kind::Kernel)
      continue;
    const std::string &kernel = step.variants.back().kernel;
    Memory memory(device);
    std::vector<int> pointers;
    for (const plan::Argument &argument : step.args)
      if (argument.kind == plan::Argument::Kind::Pointer && argument.buffer >= 0)
        pointers.push_back(argument.buffer);
    auto contents = [&](size_t p) -> const Contents & { return plan.buffers[static_cast<size_t>(pointers[p])].contents; };
    auto image = [&](size_t p) -> const std::vector<uint8_t> & { return images.buffers[static_cast<size_t>(pointers[p])]; };
    auto nameOf = [&](size_t p) { return plan.buffers[static_cast<size_t>(pointers[p])].name; };

    if (kernel.compare(0, 8, "quantize") == 0) {
      // Arguments: source, [mean,] codes, scales, [amax,] [seed, offset].
      bool centred = contains(kernel, "_centred"), isNVFP4 = contains(kernel, "nvfp4"), columns = contains(kernel, "_columns");
      size_t codes = centred ? 2 : 1, amax = codes + 2, seed = amax + (isNVFP4 ? 1 : 0);
      bool stochastic = contains(kernel, "stochastic");
      const Contents &source = contents(0), &quantized = contents(codes);
      int64_t columnsOfSource = evaluate(source.shape.back());
      int64_t rowsOfSource = source.shape.size() == 1 ? 1 : evaluate(source.shape[0]);
      Matrix matrix = {};
      matrix.source = memory.copy(image(0));
      matrix.mean = centred ? memory.copy(image(1)) : 0;
      matrix.rowStride = columns ? 1 : static_cast<uint64_t>(columnsOfSource);
      matrix.kStride = columns ? static_cast<uint64_t>(columnsOfSource) : 1;
      matrix.rows = static_cast<int>(evaluate(quantized.rows));
      matrix.k = static_cast<int>(evaluate(quantized.k));
      matrix.sourceK = static_cast<int>(columns ? rowsOfSource : columnsOfSource);
      matrix.isBF16 = source.type == plan::ElementType::BF16;
      matrix.meanAlongK = !columns;
      matrix.hadamard = -1;
      if (size_t at = kernel.find("hadamard"); at != std::string::npos)
        matrix.hadamard = static_cast<int>(std::stoul(kernel.substr(at + 8, 4), nullptr, 16));
      unsigned stream = 0;
      if (size_t at = kernel.find("stochastic"); at != std::string::npos)
        stream = static_cast<unsigned>(std::strtoul(kernel.c_str() + at + 10, nullptr, 10));
      uint64_t amaxAt = 0;
      if (isNVFP4) {
        uint64_t own = memory.zeros(4);
        if (!memory.status.ok())
          return memory.status;
        if (Status status = launch(quantize, "twinAmax", int64_t{matrix.rows} * ((matrix.k + 15) / 16), 128, {&matrix, &own});
            !status.ok())
          return status;
        results->push_back(sameBytes(kernels.name, nameOf(amax), image(amax), memory.read(own, 4)));
        amaxAt = own;
      }
      uint64_t seedAt = stochastic ? memory.copy(image(seed)) : 0, offsetAt = stochastic ? memory.copy(image(seed + 1)) : 0;
      uint64_t codesAt = memory.zeros(image(codes).size()), scalesAt = memory.zeros(image(codes + 1).size());
      int blockRows = static_cast<int>(quantized.blockRows);
      if (!memory.status.ok())
        return memory.status;
      int64_t blocks = numerics::ceilDiv(matrix.k, quantized.blockSize);
      if (Status status = launch(quantize, "twinQuantize", matrix.rows * blocks, 128,
                                 {&matrix, &amaxAt, &blockRows, &seedAt, &offsetAt, &stream, &codesAt, &scalesAt});
          !status.ok())
        return status;
      results->push_back(sameBytes(kernels.name, nameOf(codes), image(codes), memory.read(codesAt, image(codes).size())));
      results->push_back(
          sameBytes(kernels.name, nameOf(codes + 1), image(codes + 1), memory.read(scalesAt, image(codes + 1).size())));
      if (!memory.status.ok())
        return memory.status;
    } else if (kernel.compare(0, 6, "matmul") == 0 && contents(0).part == Contents::Part::Codes) {
      // Arguments: codes, scales of both, [both amaxes,] result, [operands of the epilogue].
      bool isNVFP4 = contains(kernel, "nvfp4");
      size_t result = isNVFP4 ? 6 : 4;
      if (pointers.size() != result + 1)
        continue; // the epilogue has operands: images are compared on the emulated device
      Quantized lhs = {memory.copy(image(0)), memory.copy(image(1)), isNVFP4 ? memory.copy(image(4)) : 0};
      Quantized rhs = {memory.copy(image(2)), memory.copy(image(3)), isNVFP4 ? memory.copy(image(5)) : 0};
      int rows = static_cast<int>(evaluate(contents(0).rows)), columns = static_cast<int>(evaluate(contents(2).rows)),
          k = static_cast<int>(evaluate(contents(0).k));
      auto count = static_cast<size_t>(rows) * static_cast<size_t>(columns);
      uint64_t valueAt = memory.zeros(count * 4), boundAt = memory.zeros(count * 4);
      if (!memory.status.ok())
        return memory.status;
      if (Status status = launch(matmul, "twinMatmul", rows * static_cast<int64_t>(columns), 128,
                                 {&lhs, &rhs, &rows, &columns, &k, &valueAt, &boundAt});
          !status.ok())
        return status;
      std::vector<uint8_t> values = memory.read(valueAt, count * 4), bounds = memory.read(boundAt, count * 4);
      if (!memory.status.ok())
        return memory.status;
      Comparison comparison;
      comparison.kernels = kernels.name;
      comparison.buffer = nameOf(result);
      comparison.elements = static_cast<int64_t>(count);
      comparison.bounded = !exact;
      bool isBF16 = contents(result).type == plan::ElementType::BF16;
      for (size_t i = 0; i < count; ++i) {
        float value, bound, have;
        std::memcpy(&value, &values[i * 4], 4);
        std::memcpy(&bound, &bounds[i * 4], 4);
        if (isBF16) {
          uint16_t bits;
          std::memcpy(&bits, &image(result)[i * 2], 2);
          have = numerics::decodeBF16(bits);
        } else {
          std::memcpy(&have, &image(result)[i * 4], 4);
        }
        float want = isBF16 ? numerics::decodeBF16(numerics::encodeBF16(value)) : value;
        if (have == want || (std::isnan(have) && std::isnan(want)))
          continue;
        double error = std::fabs(static_cast<double>(have) - value);
        double allowed = bound + (isBF16 ? 0x1p-8 * (std::fabs(static_cast<double>(value)) + bound) : 0.0);
        comparison.maxError = std::max(comparison.maxError, error);
        comparison.maxBound = std::max(comparison.maxBound, allowed);
        bool isOutside = !(error <= allowed);
        if (comparison.different++ == 0 || (isOutside && comparison.outside == 0))
          comparison.detail = "element " + std::to_string(i) + ": " + std::to_string(have) + ", twin " + std::to_string(value) +
                              " +- " + std::to_string(allowed);
        comparison.outside += isOutside;
      }
      if (comparison.passed())
        comparison.detail.clear();
      results->push_back(comparison);
    }
  }
  return problem.empty() ? Status() : Status(StatusCode::InvalidArgument, problem);
}

Status Twins::compareLayout(std::vector<Comparison> *results) const {
  for (unsigned k : {64u, 128u, 1024u}) {
    constexpr unsigned kBlocks = 3;
    uint32_t state = k;
    auto packed = [&](size_t bytes) {
      std::vector<uint8_t> result(bytes);
      for (uint8_t &byte : result) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(state >> 16);
      }
      return result;
    };
    std::vector<uint8_t> a = packed(kBlocks * 16 * k / 2), b = packed(kBlocks * 8 * k / 2);
    auto at = [](const std::vector<uint8_t> &bytes, size_t index) {
      int nibble = index % 2 ? bytes[index / 2] >> 4 : bytes[index / 2] & 15;
      return nibble < 8 ? nibble : nibble - 16;
    };
    std::vector<int32_t> want;
    for (size_t block = 0; block < kBlocks; ++block)
      for (size_t i = 0; i < 16; ++i)
        for (size_t j = 0; j < 8; ++j) {
          int32_t sum = 0;
          for (size_t x = 0; x < k; ++x)
            sum += at(a, (block * 16 + i) * k + x) * at(b, (block * 8 + j) * k + x);
          want.push_back(sum);
        }
    Memory memory(device);
    uint64_t aAt = memory.copy(a), bAt = memory.copy(b), cAt = memory.zeros(want.size() * 4);
    if (!memory.status.ok())
      return memory.status;
    if (Status status = launch(layout, "layoutS4", kBlocks * 32, 32, {&aAt, &bAt, &cAt, &k}); !status.ok())
      return status;
    std::vector<uint8_t> expected(want.size() * 4);
    std::memcpy(expected.data(), want.data(), expected.size());
    results->push_back(sameBytes("layout_s4", "k = " + std::to_string(k), memory.read(cAt, expected.size()), expected));
    if (!memory.status.ok())
      return memory.status;
  }
  return {};
}

} // namespace twins
} // namespace fourfold
