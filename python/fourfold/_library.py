# Finds and loads libfourfold.so, and turns codes into exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The library is loaded by the first call that needs it, once. ctypes releases the interpreter's lock during every call."""

import ctypes
import os
import pathlib
import threading
import weakref

from . import _abi
from ._errors import BY_CODE, Error, LibraryError

VERSION = "0.1.0"
NAME = "libfourfold.so"
_lock = threading.Lock()
_loaded = None


def candidates():
    """The files that are tried, in order: FOURFOLD_LIBRARY alone where it is set (a file, or a folder with it); else the package's own
    folder, as in a wheel; build/lib of a source tree; lib of an installed prefix; and what the system's loader finds."""
    given = os.environ.get("FOURFOLD_LIBRARY")
    if given:
        path = pathlib.Path(given)
        return [str(path / NAME if path.is_dir() else path)]
    package = pathlib.Path(__file__).resolve().parent
    found = [package / "lib" / NAME]
    if (package.parent.parent / "CMakeLists.txt").exists():
        found.append(package.parent.parent / "build" / "lib" / NAME)
    if len(package.parents) > 3 and package.parts[-4:-1] == ("share", "fourfold", "python"):
        prefix = package.parents[3]
        found += [prefix / "lib" / NAME, prefix / "lib64" / NAME, *sorted(prefix.glob("lib/*-linux-gnu/" + NAME))]
    return [str(path) for path in found if path.exists()] + [NAME + ".0"]


class Library:
    """The functions of the library, without their prefix: ``library.DeviceOpen(...)`` raises what is not FOURFOLD_OK."""

    def __init__(self, path: str):
        self.path = path
        # What a wheel carries for systems that have none: the loader finds by name what is loaded already.
        for bundled in sorted((pathlib.Path(path).parent / "bundled").glob("*.so*")) if os.path.isabs(path) else ():
            try:
                ctypes.CDLL(bundled.name)
            except OSError:
                ctypes.CDLL(str(bundled))
        try:
            handle = ctypes.CDLL(path)
        except OSError as error:
            raise LibraryError(f"{NAME} cannot be loaded from '{path}': {error}") from None
        try:
            found = handle.fourfoldVersion
        except AttributeError:
            raise LibraryError(f"'{path}' has no fourfoldVersion: it is older than this package, {VERSION}; build or install both from one "
                               "source") from None
        found.restype = ctypes.c_char_p
        self.version = found().decode()
        if self.version.split(".")[:2] != VERSION.split(".")[:2]:
            raise LibraryError(f"'{path}' is Fourfold {self.version}, this package is {VERSION}: install both from one version, or set "
                               "FOURFOLD_LIBRARY to the library of this one")
        for name, (result, arguments) in _abi.PROTOTYPES.items():
            try:
                function = getattr(handle, name)
            except AttributeError:
                raise LibraryError(f"'{path}' has no {name}: it is older than this package, {VERSION}") from None
            function.argtypes = arguments
            function.restype = ctypes.c_int if result is _abi.CODE else result
            if result is _abi.CODE:
                function.errcheck = self._check
            setattr(self, name.replace("fourfold", "", 1), function)

    def _check(self, code, function, arguments):
        # The message is the calling thread's, and ctypes calls back in the same thread.
        if code:
            message = self.LastMessage().decode(errors="replace")
            raise BY_CODE.get(code, Error)(message or f"the library reports code {code} without a message")
        return code


def library() -> Library:
    """The library, loaded when this is called first. LibraryError says where it was looked for."""
    global _loaded
    with _lock:
        if _loaded is None:
            reasons = []
            for path in candidates():
                try:
                    _loaded = Library(path)
                    break
                except LibraryError as error:
                    # What was found but does not fit must not be passed over for something farther away.
                    if os.path.exists(path):
                        raise
                    reasons.append(str(error))
            else:
                raise LibraryError(f"{NAME} was not found; build it (make build), install it, or set FOURFOLD_LIBRARY to its path; "
                                   "tried:\n  " + "\n  ".join(reasons))
        return _loaded


class Handle:
    """Owns a handle of the library, and gives it back when nobody refers to it any more."""

    def __init__(self, make, destroy: str):
        lib = library()
        pointer = ctypes.c_void_p()
        make(lib, ctypes.byref(pointer))
        self._own(lib, pointer, destroy)

    def _own(self, lib, pointer, destroy):
        self.pointer = pointer
        weakref.finalize(self, getattr(lib, destroy), pointer).atexit = False

    @classmethod
    def adopt(cls, pointer: ctypes.c_void_p, destroy: str) -> "Handle":
        """Owns a handle that a call gave."""
        handle = cls.__new__(cls)
        handle._own(library(), pointer, destroy)
        return handle

    @property
    def _as_parameter_(self):
        return self.pointer


def text_of(pointer: ctypes.c_void_p) -> str:
    """The text of a FourfoldText that a call gave; destroys it."""
    handle = Handle.adopt(pointer, "TextDestroy")
    return library().TextData(handle).decode()


def text(make) -> str:
    """The text that a call gives by its last argument."""
    pointer = ctypes.c_void_p()
    make(ctypes.byref(pointer))
    return text_of(pointer)
