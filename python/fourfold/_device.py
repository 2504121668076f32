# Devices and their memory.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import ctypes
import weakref

import numpy

from ._library import Handle, library, text

_devices = weakref.WeakValueDictionary()


class Device:
    """A device that runs kernels: "cuda:N", "emulated:TARGET" such as "emulated:sm_120a", or "auto", the first GPU that kernels can be
    compiled for, else emulated:sm_120a. NotFoundError says which there are.

    Thread-safe. Attributes: ``name``, ``description`` (for people), ``target`` (what kernels are compiled for)."""

    def __init__(self, name: str = "auto"):
        self._handle = Handle(lambda lib, pointer: lib.DeviceOpen(name.encode(), pointer), "DeviceClose")
        lib = library()
        self.name: str = lib.DeviceName(self._handle).decode()
        self.description: str = lib.DeviceDescription(self._handle).decode()
        self.target: str = lib.DeviceTarget(self._handle).decode()

    @property
    def _as_parameter_(self):
        return self._handle.pointer

    def __repr__(self):
        return f"fourfold.Device({self.name!r})"

    def allocate(self, size: int) -> "Memory":
        """``size`` bytes, aligned to 256, contents undefined; freed when nobody refers to them any more."""
        return Memory(self, size)

    def upload(self, array) -> "Memory":
        """Memory with the contents of an array."""
        array = numpy.ascontiguousarray(array)
        memory = Memory(self, array.nbytes)
        if array.nbytes:
            library().CopyIn(self, memory.address, array.ctypes.data, array.nbytes, None)
        return memory

    def download(self, memory: "Memory", array: numpy.ndarray) -> numpy.ndarray:
        """Waits for the default stream and fills a contiguous array from the beginning of the memory."""
        if not array.flags.c_contiguous or array.nbytes > memory.size:
            raise ValueError(f"download: an array of {array.nbytes} bytes, {'' if array.flags.c_contiguous else 'not '}contiguous, from "
                             f"{memory.size} bytes of memory")
        if array.nbytes:
            library().CopyOut(self, array.ctypes.data, memory.address, array.nbytes, None)
        return array

    def synchronize(self, stream: int = 0):
        """Waits for all work of a stream (a CUstream as an integer); an error of an earlier launch shows here at the latest."""
        library().Synchronize(self, stream or None)


class Memory:
    """Device memory. Attributes: ``address``, ``size`` in bytes, ``device``."""

    def __init__(self, device: Device, size: int):
        lib = library()
        address = ctypes.c_uint64()
        lib.Allocate(device, size, ctypes.byref(address))
        self.device, self.size, self.address = device, size, address.value
        # The device's handle must outlive its memory.
        weakref.finalize(self, _free, lib, device._handle, address.value).atexit = False


def _free(lib, device, address):
    try:
        lib.Free(device, address)
    except Exception:  # a finalizer has nobody to tell, and a device that failed frees its memory itself
        pass


def open_device(device) -> Device:
    """A Device from itself or its name; one Device for each name."""
    if isinstance(device, Device):
        return device
    if not isinstance(device, str):
        raise TypeError(f"a device is a fourfold.Device or a name such as 'emulated:sm_120a', got {device!r}")
    found = _devices.get(device)
    if found is None:
        found = _devices[device] = Device(device)
    return found


def devices() -> "list[str]":
    """The names of the devices that exist here."""
    return text(lambda pointer: library().DeviceList(pointer)).split()
