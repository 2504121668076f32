// The whole public API: compile a spec, open a device, load and run; linear layers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_FOURFOLD_H
#define FOURFOLD_FOURFOLD_H

#include "fourfold/Compiler.h"
#include "fourfold/Device.h"
#include "fourfold/Executable.h"
#include "fourfold/HostProgram.h"
#include "fourfold/Memory.h"
#include "fourfold/Messages.h"
#include "fourfold/Recipe.h"
#include "fourfold/Status.h"
#include "fourfold/Tensor.h"
#include "fourfold/linear.h"

#endif // FOURFOLD_FOURFOLD_H
