// Finds the compiler plug-in, and loads it when something has to be compiled.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/Environment.h"
#include "runtime/jit/CompilerImpl.h"
#include "runtime/jit/FileIdentity.h"

#include <fmt/format.h>

#include <unistd.h>

#include <filesystem>

namespace fourfold {

static constexpr const char *kPluginName = "libfourfold_jit.so";

/// Where the plug-in may be, in the order it is looked for.
static std::vector<std::string> candidates() {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  std::error_code error;
  // Beside this library first: an interpreter that loads it may lie in a prefix with another version.
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&candidates), &info) && info.dli_fname)
    paths.push_back((fs::absolute(info.dli_fname, error).parent_path() / kPluginName).string());
  fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error)
    paths.push_back((executable.parent_path().parent_path() / "lib" / kPluginName).string());
  paths.push_back(kPluginName);
  return paths;
}

static Status wrongInterface(const std::string &path, uint32_t found) {
  return {StatusCode::Unsupported,
          fmt::format("compiler plug-in '{}' has interface version {}, this runtime needs {}: build both from one source",
                      path, found, FOURFOLD_COMPILER_ABI)};
}

bool Compiler::Impl::takeNote(const std::string &file, Status *status) {
  // A name without a folder is looked up by the loader.
  if (file.find('/') == std::string::npos)
    return false;
  FileIdentity found = identityOf(file);
  if (!found.hasNote)
    return false;
  path = file;
  version = found.note.version;
  identity = found.text;
  if (found.note.abi != FOURFOLD_COMPILER_ABI)
    *status = wrongInterface(path, found.note.abi);
  return true;
}

static Status loadApi(SharedLibrary *library, const std::string &path, const FourfoldCompilerApi **api) {
  const FourfoldCompilerApi *(*getApi)() = nullptr;
  if (!library->find("fourfoldCompilerApi", &getApi))
    return {StatusCode::Unsupported,
            fmt::format("'{}' is not a Fourfold compiler: it has no symbol fourfoldCompilerApi", path)};
  const FourfoldCompilerApi *found = getApi();
  if (!found || found->abi != FOURFOLD_COMPILER_ABI)
    return wrongInterface(path, found ? found->abi : 0);
  *api = found;
  return {};
}

Status Compiler::Impl::load(const FourfoldCompilerApi **result) const {
  std::lock_guard<std::mutex> lock(mutex);
  if (!api) {
    std::string error;
    SharedLibrary opened;
    if (!opened.open(path, &error))
      return {StatusCode::NotFound,
              fmt::format("the compiler plug-in {} cannot be opened: {}", kPluginName, error)};
    // Keys were made for the file that was there when the compiler was opened.
    if (identityOf(path).text != identity)
      return {StatusCode::Unsupported,
              fmt::format("the compiler plug-in '{}' was replaced after it was opened: open the compiler again", path)};
    if (Status status = loadApi(&opened, path, &api); !status.ok())
      return status;
    library = std::move(opened);
  }
  *result = api;
  return {};
}

Status Compiler::open(Compiler *compiler, const std::string &path) {
  std::vector<std::string> paths;
  if (!path.empty())
    paths = {path};
  else if (std::string fromEnvironment = environment::compilerPath(); !fromEnvironment.empty())
    paths = {fromEnvironment};
  else
    paths = candidates();

  auto impl = std::make_shared<Impl>();
  impl->cache = Cache::current();
  std::string tried, error;
  for (const std::string &candidate : paths) {
    Status status;
    if (impl->takeNote(candidate, &status)) {
      if (!status.ok())
        return status;
      compiler->impl = std::move(impl);
      return {};
    }
    if (impl->library.open(candidate, &error)) {
      impl->path = candidate;
      break;
    }
    tried += "\n  " + error;
  }
  if (!impl->library)
    return {StatusCode::NotFound,
            fmt::format("the compiler plug-in {} cannot be opened; build it, or set FOURFOLD_JIT to its "
                        "path; tried:{}",
                        kPluginName, tried)};
  if (Status status = loadApi(&impl->library, impl->path, &impl->api); !status.ok())
    return status;
  Dl_info info;
  bool located = dladdr(reinterpret_cast<const void *>(impl->api->compile), &info) && info.dli_fname;
  impl->version = impl->api->version ? impl->api->version : "";
  impl->identity = identityOf(located ? info.dli_fname : impl->path).text;
  // What cannot be told from another build must not be kept: a cache of its own, that keeps nothing.
  if (impl->identity.empty()) {
    CacheSettings none;
    none.memory = none.disk = false;
    impl->cache = std::make_shared<Cache>(none);
  }
  compiler->impl = std::move(impl);
  return {};
}

Status Compiler::load() const {
  if (!impl)
    return {StatusCode::InvalidArgument, "the compiler is not open"};
  const FourfoldCompilerApi *api;
  return impl->load(&api);
}

std::string Compiler::version() const { return impl ? impl->version : ""; }
std::string Compiler::path() const { return impl ? impl->path : ""; }

} // namespace fourfold
