// Where warnings and notes go that no call's Status carries: the work was done, but slower or in another way than asked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_MESSAGES_H
#define FOURFOLD_MESSAGES_H

#include "fourfold/Export.h"

namespace fourfold {

/// Receives one message without a line break: "warning: the cache ..." or "note: ...". May be called by any thread.
using MessageHandler = void (*)(void *user, const char *text);

/// Replaces the handler; null puts back the one that prints "fourfold: TEXT" to the standard error. Each message is sent once a
/// process.
FOURFOLD_API void setMessageHandler(MessageHandler handler, void *user);

} // namespace fourfold

#endif // FOURFOLD_MESSAGES_H
