# What the package raises.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exceptions: one for each code of the library, each also the exception of Python that comes closest."""


class Error(Exception):
    """What the library reports. Its text says what was asked, what was found and what to do; ``code`` is the library's FourfoldCode."""

    code = 0


class InvalidArgumentError(Error, ValueError):
    """Something does not fit: a shape, a dtype, a name, a descriptor."""

    code = 1


class NotFoundError(Error, LookupError):
    """A file, device, recipe or library does not exist."""

    code = 2


class UnsupportedError(Error, NotImplementedError):
    """Known, but not built or not possible here."""

    code = 3


class CompileError(Error):
    """A spec or its kernels were rejected; each line is ``FILE:LINE:COLUMN: error: TEXT``."""

    code = 4


class DeviceError(Error):
    """The device or its driver reported an error; from an emulated device, what is wrong with a kernel."""

    code = 5


class OutOfMemoryError(Error, MemoryError):
    """The device or the host has not enough memory."""

    code = 6


class FileError(Error, OSError):
    """A file could not be read or written."""

    code = 7


class InternalError(Error):
    """An exception inside the library."""

    code = 8


class LibraryError(Error, ImportError):
    """libfourfold.so was not found, cannot be loaded, or is of another version."""


BY_CODE = {kind.code: kind for kind in (InvalidArgumentError, NotFoundError, UnsupportedError, CompileError, DeviceError, OutOfMemoryError,
                                        FileError, InternalError)}
