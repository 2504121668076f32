// The handler of warnings and notes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/core/Messages.h"

#include <cstdio>
#include <mutex>
#include <set>

namespace fourfold {

namespace {

struct Messages {
  std::mutex mutex;
  std::set<std::string> sent;
  MessageHandler handler = nullptr;
  void *user = nullptr;
};

Messages &messages() {
  static auto *instance = new Messages; // never destroyed: messages may come while the program ends
  return *instance;
}

} // namespace

void setMessageHandler(MessageHandler handler, void *user) {
  Messages &all = messages();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.handler = handler;
  all.user = user;
}

void sendOnce(const std::string &topic, const std::string &text) {
  Messages &all = messages();
  MessageHandler handler;
  void *user;
  {
    std::lock_guard<std::mutex> lock(all.mutex);
    if (!all.sent.insert(topic).second)
      return;
    handler = all.handler;
    user = all.user;
  }
  // Outside the lock: a handler may call the runtime.
  if (handler)
    handler(user, text.c_str());
  else
    std::fprintf(stderr, "fourfold: %s\n", text.c_str());
}

void forgetMessages() {
  Messages &all = messages();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.sent.clear();
}

} // namespace fourfold
