// The video instructions: vadd, vabsdiff4 and their like.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_VIDEO_H
#define FOURFOLD_RUNTIME_EMULATOR_VIDEO_H

#include "Decoder.h"

namespace fourfold {
namespace emulator {

/// False if the opcode is none of them; vmad is refused.
bool decodeVideo(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_VIDEO_H
