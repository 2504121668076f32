// Sends warnings and notes to the handler that the program has set.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_CORE_MESSAGES_H
#define FOURFOLD_RUNTIME_CORE_MESSAGES_H

#include "fourfold/Messages.h"

#include <string>

namespace fourfold {

/// Sends `text`, unless a message of this topic was sent before: what goes wrong with each of a thousand kernels is said once.
void sendOnce(const std::string &topic, const std::string &text);
/// Forgets what was sent. For tests.
void forgetMessages();

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_CORE_MESSAGES_H
