// From a spec to a loaded executable: the just-in-time service of programs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/ExecutableImpl.h"
#include "runtime/jit/CompilerImpl.h"

#include <unordered_map>

namespace fourfold {

namespace {

/// What is loaded somewhere in the process. Entries do not keep it loaded.
struct LoadedExecutables {
  struct Name {
    const Device::Impl *device;
    CacheKey key;
    bool operator==(const Name &other) const { return device == other.device && key == other.key; }
  };
  struct NameHash {
    size_t operator()(const Name &name) const {
      return CacheKeyHash()(name.key) ^ std::hash<const void *>()(name.device);
    }
  };
  std::mutex mutex;
  std::unordered_map<Name, std::weak_ptr<const Executable::Impl>, NameHash> loaded;
};

LoadedExecutables &loadedExecutables() {
  static auto *executables = new LoadedExecutables; // never destroyed, as those who ask for them
  return *executables;
}

} // namespace

Status Executable::compile(const Device &device, const Compiler &compiler, const Spec &spec, Executable *executable,
                           std::string *warnings) {
  if (!device.isOpen())
    return {StatusCode::InvalidArgument, "the device is not open"};
  if (!compiler.impl)
    return {StatusCode::InvalidArgument, "the compiler is not open"};
  LoadedExecutables &all = loadedExecutables();
  // A compiler that cannot be told from others has no keys, and what is compiled with the cache off is not shared either.
  bool shared = compiler.impl->cache->getSettings().memory && Compiler::Impl::isCacheable(spec);
  LoadedExecutables::Name name{device.impl.get(), {}};
  // Warnings are not kept with what is loaded.
  if (shared) {
    name.key = compiler.impl->compiledKey(spec, device.target(), "ptx");
    std::lock_guard<std::mutex> lock(all.mutex);
    auto found = all.loaded.find(name);
    if (found != all.loaded.end() && !warnings && (executable->impl = found->second.lock()))
      return {};
  }
  CachedTexts texts;
  if (Status status = compiler.impl->compiled(spec, device.target(), "ptx", &texts); !status.ok())
    return status;
  if (warnings)
    *warnings = texts->count("warning") ? texts->at("warning") : "";
  Executable loaded;
  if (Status status = load(device, texts->at("manifest"), texts->at("ptx"), &loaded); !status.ok())
    return status;
  if (shared && !texts->count(kVolatile)) {
    std::lock_guard<std::mutex> lock(all.mutex);
    for (auto it = all.loaded.begin(); it != all.loaded.end();)
      it = it->second.expired() ? all.loaded.erase(it) : std::next(it);
    all.loaded[name] = loaded.impl;
  }
  *executable = std::move(loaded);
  return {};
}

} // namespace fourfold
