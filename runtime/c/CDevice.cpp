// The C interface of devices and memory, and what all C interfaces share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Memory.h"
#include "runtime/c/Guard.h"

using namespace fourfold;
using c::guarded;

static_assert(static_cast<int>(StatusCode::IoError) == FOURFOLD_IO_ERROR);

std::string &c::lastMessage() {
  thread_local std::string message;
  return message;
}

extern "C" {

const char *fourfoldLastMessage(void) { return c::lastMessage().c_str(); }

const char *fourfoldVersion(void) { return FOURFOLD_VERSION; }

const char *fourfoldTextData(const FourfoldText *text) { return text ? text->text.c_str() : ""; }

void fourfoldTextDestroy(FourfoldText *text) { delete text; }

//===----------------------------------------------------------------------===//
// Devices and memory
//===----------------------------------------------------------------------===//

int fourfoldDeviceOpen(const char *name, FourfoldDevice **device) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    *device = nullptr;
    FOURFOLD_REQUIRE(name);
    auto made = std::make_unique<FourfoldDevice>();
    Status status = Device::open(name, &made->device);
    if (status.ok())
      *device = made.release();
    return status;
  });
}

void fourfoldDeviceClose(FourfoldDevice *device) { delete device; }

const char *fourfoldDeviceName(const FourfoldDevice *device) { return device ? device->device.name().c_str() : ""; }

const char *fourfoldDeviceDescription(const FourfoldDevice *device) {
  return device ? device->device.description().c_str() : "";
}

const char *fourfoldDeviceTarget(const FourfoldDevice *device) { return device ? device->device.target().c_str() : ""; }

int fourfoldDeviceList(FourfoldText **names) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(names);
    *names = nullptr;
    std::string lines;
    for (const std::string &name : Device::list())
      lines += name + "\n";
    c::giveText(std::move(lines), names);
    return {};
  });
}

int fourfoldAllocate(const FourfoldDevice *device, uint64_t bytes, uint64_t *address) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    FOURFOLD_REQUIRE(address);
    return allocateMemory(device->device, bytes, address);
  });
}

int fourfoldFree(const FourfoldDevice *device, uint64_t address) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    return freeMemory(device->device, address);
  });
}

int fourfoldCopyIn(const FourfoldDevice *device, uint64_t to, const void *from, uint64_t bytes, void *stream) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    FOURFOLD_REQUIRE(from);
    return copyIn(device->device, to, from, bytes, stream);
  });
}

int fourfoldCopyOut(const FourfoldDevice *device, void *to, uint64_t from, uint64_t bytes, void *stream) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    FOURFOLD_REQUIRE(to);
    return copyOut(device->device, to, from, bytes, stream);
  });
}

int fourfoldClear(const FourfoldDevice *device, uint64_t address, uint64_t bytes, void *stream) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    return clearMemory(device->device, address, bytes, stream);
  });
}

int fourfoldSynchronize(const FourfoldDevice *device, void *stream) {
  return guarded([&]() -> Status {
    FOURFOLD_REQUIRE(device);
    return synchronize(device->device, stream);
  });
}

//===----------------------------------------------------------------------===//
// Layers

} // extern "C"
