// Finds nvJitLink and assembles PTX with it, in process.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/jit/NvJitLink.h"

#include "runtime/core/Environment.h"
#include "runtime/core/SharedLibrary.h"
#include "runtime/jit/FileIdentity.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <vector>

namespace fourfold {

/// The entry points used, as in nvJitLink.h; results are 0 for success.
struct NvJitLink::Impl {
  using Handle = struct nvJitLink *;
  static constexpr int kInputPtx = 2;

  std::string path, identity;
  std::mutex mutex;
  SharedLibrary library;
  std::string problem;
  bool ready = false;
  int (*version)(unsigned *, unsigned *) = nullptr;
  int (*create)(Handle *, uint32_t, const char **) = nullptr;
  int (*destroy)(Handle *) = nullptr;
  int (*addData)(Handle, int, const void *, size_t, const char *) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*cubinSize)(Handle, size_t *) = nullptr;
  int (*cubin)(Handle, void *) = nullptr;
  int (*errorLogSize)(Handle, size_t *) = nullptr;
  int (*errorLog)(Handle, char *) = nullptr;

  bool load() {
    std::lock_guard<std::mutex> lock(mutex);
    if (ready || !problem.empty())
      return ready;
    if (!library && !library.open(path, &problem))
      return false;
    ready = library.find("nvJitLinkVersion", &version) && library.find("nvJitLinkCreate", &create) &&
            library.find("nvJitLinkDestroy", &destroy) && library.find("nvJitLinkAddData", &addData) &&
            library.find("nvJitLinkComplete", &complete) && library.find("nvJitLinkGetLinkedCubinSize", &cubinSize) &&
            library.find("nvJitLinkGetLinkedCubin", &cubin) &&
            library.find("nvJitLinkGetErrorLogSize", &errorLogSize) && library.find("nvJitLinkGetErrorLog", &errorLog);
    if (!ready)
      problem = "it lacks functions of nvJitLink 12";
    return ready;
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

NvJitLink::NvJitLink(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
NvJitLink::~NvJitLink() = default;
const std::string &NvJitLink::path() const { return impl->path; }
const std::string &NvJitLink::identity() const { return impl->identity; }

std::shared_ptr<const NvJitLink> NvJitLink::find() {
  static std::mutex mutex;
  static auto *known = new std::map<std::string, std::shared_ptr<const NvJitLink>>; // libraries stay open
  std::string home = environment::cudaHome(), given = environment::nvJitLink(), error;
  if (given == "off")
    return nullptr;
  std::lock_guard<std::mutex> lock(mutex);
  auto [entry, isNew] = known->try_emplace(given.empty() ? home : given);
  if (!isNew)
    return entry->second;
  auto impl = std::make_unique<Impl>();
  for (const std::string &path : given.empty() ? std::vector<std::string>{home + "/lib64/libnvJitLink.so", home + "/lib/libnvJitLink.so"}
                                               : std::vector<std::string>{given}) {
    impl->path = path;
    impl->identity = identityOf(impl->path).text;
    if (!impl->identity.empty())
      return entry->second = std::shared_ptr<NvJitLink>(new NvJitLink(std::move(impl)));
  }
  if (!given.empty())
    return nullptr;
  // Where the loader finds it is known once it is loaded.
  for (const char *name : {"libnvJitLink.so.13", "libnvJitLink.so.12", "libnvJitLink.so"}) {
    impl->path = name;
    if (!impl->library.open(name, &error))
      continue;
    Dl_info info;
    if (impl->load() && dladdr(reinterpret_cast<void *>(impl->create), &info) && info.dli_fname)
      impl->path = info.dli_fname;
    impl->identity = identityOf(impl->path).text;
    return entry->second = std::shared_ptr<NvJitLink>(new NvJitLink(std::move(impl)));
  }
  return nullptr;
}

std::string NvJitLink::version() const {
  unsigned major = 0, minor = 0;
  return impl->load() && impl->version(&major, &minor) == 0 ? fmt::format("{}.{}", major, minor) : "";
}

Status NvJitLink::assemble(const std::string &ptx, const std::string &target, std::string *cubin) const {
  if (!impl->load())
    return {StatusCode::Unsupported, fmt::format("nvJitLink ({}) cannot be used: {}", path(), impl->problem)};
  std::string arch = "-arch=" + target;
  const char *options[] = {arch.c_str()};
  Impl::Handle handle = nullptr;
  if (int result = impl->create(&handle, 1, options); result != 0)
    return {StatusCode::Unsupported, fmt::format("nvJitLink {} ({}) does not know target '{}' (error {})", version(),
                                                 path(), target, result)};
  int result = impl->addData(handle, Impl::kInputPtx, ptx.c_str(), ptx.size() + 1, "kernels.ptx");
  if (result == 0)
    result = impl->complete(handle);
  size_t size = 0;
  if (result == 0)
    result = impl->cubinSize(handle, &size);
  if (result == 0) {
    cubin->resize(size);
    result = impl->cubin(handle, cubin->data());
  }
  std::string log = result ? impl->log(handle) : "";
  impl->destroy(&handle);
  if (result == 0)
    return {};
  return {StatusCode::CompileError, fmt::format("nvJitLink {} ({}) cannot assemble the PTX for {} (error {}){}{}",
                                                version(), path(), target, result, log.empty() ? "" : ":\n", log)};
}

} // namespace fourfold
