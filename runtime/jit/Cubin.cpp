// Assembles PTX by nvJitLink or by ptxas, unless the cache has the machine code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/Cubin.h"

#include "runtime/core/Environment.h"
#include "runtime/jit/FileIdentity.h"
#include "runtime/jit/NvJitLink.h"
#include "runtime/jit/SplitPtx.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <thread>

extern char **environ;

namespace fourfold {

namespace fs = std::filesystem;

namespace {

//===----------------------------------------------------------------------===//
// ptxas
//===----------------------------------------------------------------------===//

/// A folder of its own, removed with everything in it.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::error_code error;
    std::string pattern = (fs::temp_directory_path(error) / "fourfold-XXXXXX").string();
    if (!error && mkdtemp(pattern.data()))
      path = pattern;
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    if (!path.empty())
      fs::remove_all(path, error);
  }
  std::string path;
};

std::string readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs a program with both outputs in a file; returns its exit status, or -1.
int runProgram(const std::vector<std::string> &arguments, const std::string &outputPath) {
  std::vector<char *> argv;
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, outputPath.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child;
  int failed = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status;
  if (failed || waitpid(child, &status, 0) != child || !WIFEXITED(status))
    return -1;
  return WEXITSTATUS(status);
}

std::string findPtxas() {
  std::vector<std::string> folders = {environment::cudaHome() + "/bin"};
  std::string path = environment::read("PATH");
  for (size_t start = 0; start <= path.size();) {
    size_t end = std::min(path.find(':', start), path.size());
    folders.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  for (const std::string &folder : folders)
    if (!folder.empty() && access((folder + "/ptxas").c_str(), X_OK) == 0)
      return folder + "/ptxas";
  return "";
}

/// `verboseLog`, where there is one, gets what ptxas says with -v.
Status assembleByPtxas(const std::string &ptxas, const std::string &ptx, const std::string &target,
                       std::string *cubin, std::string *verboseLog = nullptr) {
  TemporaryFolder folder;
  if (folder.path.empty())
    return {StatusCode::IoError, "cannot make a temporary folder for ptxas"};
  std::string input = folder.path + "/kernels.ptx", output = folder.path + "/kernels.cubin", log = folder.path + "/log";
  std::ofstream(input, std::ios::binary) << ptx;
  std::vector<std::string> arguments = {ptxas, "-arch=" + target, input, "-o", output};
  if (verboseLog)
    arguments.push_back("-v");
  int status = runProgram(arguments, log);
  if (status != 0)
    return {StatusCode::CompileError, fmt::format("{} cannot assemble the PTX for {} (exit status {}):\n{}", ptxas,
                                                  target, status, readAll(log))};
  *cubin = readAll(output);
  if (verboseLog)
    *verboseLog = readAll(log);
  return cubin->empty() ? Status(StatusCode::IoError, fmt::format("{} wrote no machine code", ptxas)) : Status();
}

} // namespace

CudaTools findCudaTools() {
  CudaTools tools;
  if (auto linker = NvJitLink::find()) {
    tools.nvJitLink = linker->path();
    tools.nvJitLinkVersion = linker->version();
  }
  tools.ptxas = findPtxas();
  if (tools.ptxas.empty())
    return tools;
  TemporaryFolder folder;
  std::string log = folder.path + "/log";
  if (!folder.path.empty() && runProgram({tools.ptxas, "--version"}, log) == 0) {
    std::smatch match;
    std::string text = readAll(log);
    if (std::regex_search(text, match, std::regex("release ([0-9.]+)")))
      tools.ptxasVersion = match[1];
  }
  return tools;
}

namespace {

/// Finds the machine code that an assembler made of the PTX, or has it made. `assembler` tells it from other versions, `kind` one module
/// from several.
template <typename Assemble>
Status cached(const std::string &kind, const std::string &assembler, const std::string &ptx, const std::string &target,
              CachedTexts *texts, Assemble assemble) {
  CacheKey key = CacheKeyBuilder(kind).add(assembler).add(target).add(ptx).key();
  auto make = [&](CacheTexts *made) -> Status {
    if (Status status = assemble(made); !status.ok())
      return status;
    (*made)["about"] = fmt::format("{} for {}", kind, target);
    return {};
  };
  return Cache::current()->find(key, make, texts);
}

Status findNvJitLink(std::shared_ptr<const NvJitLink> *linker) {
  *linker = NvJitLink::find();
  if (*linker)
    return {};
  return {StatusCode::NotFound,
          environment::nvJitLink().empty()
              ? fmt::format("there is no nvJitLink in '{}' or where the system looks", environment::cudaHome())
              : fmt::format("FOURFOLD_NVJITLINK is '{}'", environment::nvJitLink())};
}

/// Each part on a thread; the first failure in their order.
Status assembleParts(const NvJitLink &linker, const std::string &ptx, const std::string &target, CacheTexts *made) {
  std::vector<std::string> parts = splitPtx(ptx, std::max(1u, std::thread::hardware_concurrency())), cubins(parts.size());
  std::vector<Status> statuses(parts.size());
  std::vector<std::thread> threads;
  auto work = [&](size_t i) { statuses[i] = linker.assemble(parts[i], target, &cubins[i]); };
  for (size_t i = 1; i < parts.size(); ++i)
    threads.emplace_back(work, i);
  work(0);
  for (std::thread &thread : threads)
    thread.join();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!statuses[i].ok())
      return statuses[i];
    (*made)[fmt::format("cubin.{}", i)] = std::move(cubins[i]);
  }
  return {};
}

} // namespace

Status linkCubins(const std::string &ptx, const std::string &target, CachedTexts *texts) {
  std::shared_ptr<const NvJitLink> linker;
  if (Status status = findNvJitLink(&linker); !status.ok())
    return status;
  return cached("cubins", "nvJitLink " + linker->identity(), ptx, target, texts,
                [&](CacheTexts *made) { return assembleParts(*linker, ptx, target, made); });
}

Status assembleVerbosely(const std::string &ptx, const std::string &target, CachedTexts *texts) {
  std::string ptxas = findPtxas();
  if (ptxas.empty())
    return {StatusCode::NotFound, "there is no ptxas"};
  CacheKey key = CacheKeyBuilder("cubin and log").add("ptxas " + identityOf(ptxas).text).add(target).add(ptx).key();
  auto make = [&](CacheTexts *made) -> Status {
    if (Status status = assembleByPtxas(ptxas, ptx, target, &(*made)["cubin"], &(*made)["log"]); !status.ok())
      return status;
    (*made)["about"] = fmt::format("cubin for {}, with ptxas -v", target);
    return {};
  };
  return Cache::current()->find(key, make, texts);
}

Status assembleCubin(const std::string &ptx, const std::string &target, std::vector<uint8_t> *cubin) {
  CachedTexts texts;
  std::shared_ptr<const NvJitLink> linker;
  Status status = findNvJitLink(&linker);
  if (status.ok())
    status = cached("cubin", "nvJitLink " + linker->identity(), ptx, target, &texts,
                    [&](CacheTexts *made) { return linker->assemble(ptx, target, &(*made)["cubin"]); });
  // An nvJitLink of another toolkit may be too old for the target where ptxas is not.
  if (std::string ptxas = status.ok() ? "" : findPtxas(); !ptxas.empty())
    status = cached("cubin", "ptxas " + identityOf(ptxas).text, ptx, target, &texts,
                    [&](CacheTexts *made) { return assembleByPtxas(ptxas, ptx, target, &(*made)["cubin"]); });
  if (status.code() == StatusCode::NotFound)
    return {StatusCode::NotFound,
            fmt::format("machine code needs nvJitLink or ptxas, and '{}' has neither: install the CUDA toolkit (packages "
                        "cuda-nvcc or libnvjitlink, 12.8 or later for sm_120a), or set CUDA_HOME to where it is",
                        environment::cudaHome())};
  if (!status.ok())
    return status;
  const std::string &bytes = texts->at("cubin");
  cubin->assign(bytes.begin(), bytes.end());
  return {};
}

} // namespace fourfold
