// A library opened at run time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_CORE_SHAREDLIBRARY_H
#define FOURFOLD_RUNTIME_CORE_SHAREDLIBRARY_H

#include <dlfcn.h>

#include <string>
#include <utility>

namespace fourfold {

/// Closes the library at the end of its life.
class SharedLibrary {
public:
  SharedLibrary() = default;
  SharedLibrary(SharedLibrary &&other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  SharedLibrary &operator=(SharedLibrary &&other) noexcept {
    std::swap(handle, other.handle);
    return *this;
  }
  ~SharedLibrary() {
    if (handle)
      dlclose(handle);
  }

  /// Opens a library; on failure sets `*error` to the loader's words.
  bool open(const std::string &path, std::string *error) {
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle)
      return true;
    const char *text = dlerror();
    *error = text ? text : "cannot open " + path;
    return false;
  }
  void *symbol(const char *name) const { return dlsym(handle, name); }
  template <typename Function>
  bool find(const char *name, Function *function) const {
    *function = reinterpret_cast<Function>(symbol(name));
    return *function != nullptr;
  }
  explicit operator bool() const { return handle != nullptr; }
  /// Keeps the library open for the life of the process.
  void release() { handle = nullptr; }

private:
  void *handle = nullptr;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_CORE_SHAREDLIBRARY_H
