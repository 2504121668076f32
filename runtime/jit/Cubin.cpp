// Assembles PTX by nvJitLink, opened at run time, or by ptxas.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/Cubin.h"

#include "runtime/core/Environment.h"
#include "runtime/core/SharedLibrary.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

extern char **environ;

namespace fourfold {

namespace fs = std::filesystem;

//===----------------------------------------------------------------------===//
// nvJitLink
//===----------------------------------------------------------------------===//

namespace {

/// The entry points used, as in nvJitLink.h; results are 0 for success.
struct NvJitLink {
  using Handle = struct nvJitLink *;
  static constexpr int kInputPtx = 2;

  SharedLibrary library;
  std::string path;
  int (*version)(unsigned *, unsigned *) = nullptr;
  int (*create)(Handle *, uint32_t, const char **) = nullptr;
  int (*destroy)(Handle *) = nullptr;
  int (*addData)(Handle, int, const void *, size_t, const char *) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*cubinSize)(Handle, size_t *) = nullptr;
  int (*cubin)(Handle, void *) = nullptr;
  int (*errorLogSize)(Handle, size_t *) = nullptr;
  int (*errorLog)(Handle, char *) = nullptr;

  bool open() {
    std::string home = environment::cudaHome(), error;
    for (const std::string &candidate :
         {home + "/lib64/libnvJitLink.so", home + "/lib/libnvJitLink.so", std::string("libnvJitLink.so.13"),
          std::string("libnvJitLink.so.12"), std::string("libnvJitLink.so")}) {
      SharedLibrary opened;
      if (!opened.open(candidate, &error))
        continue;
      library = std::move(opened);
      path = candidate;
      return library.find("nvJitLinkVersion", &version) && library.find("nvJitLinkCreate", &create) &&
             library.find("nvJitLinkDestroy", &destroy) && library.find("nvJitLinkAddData", &addData) &&
             library.find("nvJitLinkComplete", &complete) && library.find("nvJitLinkGetLinkedCubinSize", &cubinSize) &&
             library.find("nvJitLinkGetLinkedCubin", &cubin) &&
             library.find("nvJitLinkGetErrorLogSize", &errorLogSize) && library.find("nvJitLinkGetErrorLog", &errorLog);
    }
    return false;
  }

  std::string log(Handle handle) const {
    size_t size = 0;
    if (errorLogSize(handle, &size) != 0 || size == 0)
      return "";
    std::string text(size, '\0');
    if (errorLog(handle, text.data()) != 0)
      return "";
    text.erase(text.find_last_not_of(std::string("\0\n ", 3)) + 1);
    return text;
  }
};

Status assembleInProcess(const NvJitLink &linker, const std::string &ptx, const std::string &target,
                         std::vector<uint8_t> *cubin) {
  std::string arch = "-arch=" + target;
  const char *options[] = {arch.c_str()};
  NvJitLink::Handle handle = nullptr;
  if (int result = linker.create(&handle, 1, options); result != 0)
    return {StatusCode::Unsupported,
            fmt::format("nvJitLink ({}) does not know target '{}' (error {})", linker.path, target, result)};
  int result = linker.addData(handle, NvJitLink::kInputPtx, ptx.c_str(), ptx.size() + 1, "kernels.ptx");
  if (result == 0)
    result = linker.complete(handle);
  size_t size = 0;
  if (result == 0)
    result = linker.cubinSize(handle, &size);
  if (result == 0) {
    cubin->resize(size);
    result = linker.cubin(handle, cubin->data());
  }
  std::string log = result ? linker.log(handle) : "";
  linker.destroy(&handle);
  if (result == 0)
    return {};
  return {StatusCode::CompileError, fmt::format("nvJitLink ({}) cannot assemble the PTX for {} (error {}){}{}",
                                                linker.path, target, result, log.empty() ? "" : ":\n", log)};
}

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

Status assembleByPtxas(const std::string &ptxas, const std::string &ptx, const std::string &target,
                       std::vector<uint8_t> *cubin) {
  TemporaryFolder folder;
  if (folder.path.empty())
    return {StatusCode::IoError, "cannot make a temporary folder for ptxas"};
  std::string input = folder.path + "/kernels.ptx", output = folder.path + "/kernels.cubin", log = folder.path + "/log";
  std::ofstream(input, std::ios::binary) << ptx;
  int status = runProgram({ptxas, "-arch=" + target, input, "-o", output}, log);
  if (status != 0)
    return {StatusCode::CompileError, fmt::format("{} cannot assemble the PTX for {} (exit status {}):\n{}", ptxas,
                                                  target, status, readAll(log))};
  std::string bytes = readAll(output);
  if (bytes.empty())
    return {StatusCode::IoError, fmt::format("{} wrote no machine code", ptxas)};
  cubin->assign(bytes.begin(), bytes.end());
  return {};
}

} // namespace

CudaTools findCudaTools() {
  CudaTools tools;
  NvJitLink linker;
  if (linker.open()) {
    unsigned major = 0, minor = 0;
    tools.nvJitLink = linker.path;
    if (linker.version(&major, &minor) == 0)
      tools.nvJitLinkVersion = fmt::format("{}.{}", major, minor);
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

Status assembleCubin(const std::string &ptx, const std::string &target, std::vector<uint8_t> *cubin) {
  NvJitLink linker;
  Status inProcess;
  if (linker.open()) {
    inProcess = assembleInProcess(linker, ptx, target, cubin);
    if (inProcess.ok())
      return inProcess;
  }
  // An nvJitLink of another toolkit may be too old for the target where ptxas is not.
  if (std::string ptxas = findPtxas(); !ptxas.empty())
    return assembleByPtxas(ptxas, ptx, target, cubin);
  if (!inProcess.ok())
    return inProcess;
  return {StatusCode::NotFound,
          fmt::format("machine code needs nvJitLink or ptxas, and '{}' has neither: install the CUDA toolkit (packages "
                      "cuda-nvcc or libnvjitlink, 12.8 or later for sm_120a), or set CUDA_HOME to where it is",
                      environment::cudaHome())};
}

} // namespace fourfold
