# Kernels of any PTX on the emulated device, with NumPy arrays as arguments.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy

from ._dtypes import BF16, bf16
from ._errors import DeviceError, InvalidArgumentError, NotFoundError
from ._library import library

_TYPES = {"f16": "f2", "f32": "f4", "f64": "f8", **{f"{kind}{8 * size}": f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}}
_BY_DTYPE = {numpy.dtype(code): name for name, code in _TYPES.items()}


@dataclasses.dataclass(frozen=True)
class Out:
    """A buffer that was never written, or of ``zeros``, which is returned. ``dtype`` is NumPy's, or "bf16"."""

    shape: Union[int, Tuple[int, ...]]
    dtype: Any = numpy.float32
    zeros: bool = False


@dataclasses.dataclass(frozen=True)
class InOut:
    """A buffer with the contents of an array, which is returned as the kernel leaves it. The array itself does not change."""

    array: numpy.ndarray


@dataclasses.dataclass(frozen=True)
class TensorMap:
    """A tensor map of a buffer (an array, Out or InOut) for tensor copies: ``box`` in the order of the array's shape, ``options`` as
    docs/emulate.md has them: swizzle="128B", fill="nan", steps="2x1", type="16u4"."""

    buffer: Any
    box: Sequence[int]
    options: Dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Emulation:
    """What a kernel left: the buffers of Out and InOut in order, what it printed, and with ``profile`` its counters."""

    results: List[numpy.ndarray]
    printed: str
    profile: Optional[dict] = None


def _tool() -> str:
    beside = pathlib.Path(library().path).resolve().parent.parent / "bin" / "fourfold-emulate"
    found = str(beside) if beside.exists() else shutil.which("fourfold-emulate")
    if found is None:
        raise NotFoundError(f"the tool fourfold-emulate was found neither as '{beside}' nor in PATH: build or install it")
    return found


def _environment():
    """A wheel's tool finds the libraries that the wheel carries."""
    bundled = pathlib.Path(library().path).resolve().parent / "bundled"
    if not bundled.exists():
        return None
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(filter(None, (os.environ.get("LD_LIBRARY_PATH"), str(bundled))))}


class _Arguments:
    """The arguments of a kernel as the tool's, with their files in a folder."""

    def __init__(self, folder):
        self.folder, self.outputs, self.count = pathlib.Path(folder), [], 0

    def text(self, value, place) -> str:
        if isinstance(value, TensorMap):
            options = "".join(f",{name}={option}" for name, option in value.options.items())
            return f"tensormap:{self.text(value.buffer, place)},box={'x'.join(map(str, value.box))}{options}"
        if isinstance(value, Out):
            return self._out(value)
        if isinstance(value, InOut):
            return f"inout:{self._save(value.array, place)},{self._result(value.array.dtype)}"
        if isinstance(value, (bytes, bytearray)):
            return f"hex:{bytes(value).hex()}"
        if isinstance(value, numpy.generic) and value.dtype in _BY_DTYPE:
            return f"{_BY_DTYPE[value.dtype]}:{value.item()!r}"
        if isinstance(value, numpy.ndarray):
            return f"in:{self._save(value, place)}"
        raise InvalidArgumentError(f"argument {place} is {value!r}: expected an array, fourfold.Out, InOut or TensorMap, a number of NumPy, which "
                                   "says how wide it is (numpy.int32(5)), or bytes for a struct")

    def _out(self, value):
        shape = (value.shape,) if isinstance(value.shape, int) else tuple(value.shape)
        asked = isinstance(value.dtype, str) and value.dtype == "bf16"
        wide = BF16 if asked else numpy.dtype(value.dtype)
        name = "bf16" if asked or (wide == BF16 and BF16 != numpy.uint16) else _BY_DTYPE.get(wide)
        if name is None:
            raise InvalidArgumentError(f"an Out of dtype {wide}: expected bf16 or one of {', '.join(_TYPES)}")
        sizes, path = "x".join(map(str, shape)), self._result(wide, name == "bf16")
        return f"zero:{name},{sizes},{path}" if value.zeros else f"out:{path},{name},{sizes}"

    def _path(self):
        self.count += 1
        return self.folder / f"{self.count}.npy"

    def _save(self, array, place):
        array = numpy.ascontiguousarray(array)
        if array.dtype == BF16:
            array = array.view(numpy.uint16)  # the same bytes
        if array.dtype not in _BY_DTYPE and array.dtype != numpy.bool_:
            raise InvalidArgumentError(f"argument {place} has dtype {array.dtype}: expected bf16 or one of {', '.join(_TYPES)}")
        path = self._path()
        numpy.save(path, array)
        return path

    def _result(self, dtype, widened=False):
        self.outputs.append((self._path(), dtype, widened))
        return self.outputs[-1][0]

    def read(self):
        arrays = []
        for path, dtype, widened in self.outputs:
            array = numpy.load(path)
            arrays.append(bf16(array) if widened else array.view(dtype) if array.dtype != dtype else array)
        return arrays


def emulate(ptx: "str | os.PathLike", arguments: Sequence[Any] = (), *, kernel: Optional[str] = None, grid: "int | Sequence[int]" = 1,
            block: "int | Sequence[int]" = 32, cluster: "int | Sequence[int] | None" = None, cooperative: bool = False, shared: int = 0,
            device: Optional[str] = None, check: str = "full", budget: int = 0, profile: bool = False) -> Emulation:
    """Runs a kernel of any PTX, text or a file, on the emulated device, which checks every access, barrier and asynchronous copy.

    arguments: one for each parameter: arrays are buffers that are not returned; Out, InOut; TensorMap; NumPy numbers for scalars, such as
    ``numpy.int32(5)``; bytes for structs.
    kernel: its name, where the file has several. grid, block, cluster: extents, x first. shared: bytes of dynamic shared memory.
    device: "sm_120a" and so on, by default what the PTX is for. check: "none", "fast" or "full". budget: instructions a warp's block may
    execute; 0: any number. profile: whether to return counters.

    DeviceError: what is wrong with the kernel, with the line of the PTX. InvalidArgumentError: arguments that do not fit, and PTX that cannot be
    loaded or has instructions that the device has not."""
    extents = lambda value: str(value) if isinstance(value, int) else ",".join(map(str, value))
    is_file = isinstance(ptx, os.PathLike) or "\n" not in ptx
    if is_file and not pathlib.Path(ptx).exists():
        raise FileNotFoundError(f"'{ptx}' does not exist")
    with tempfile.TemporaryDirectory() as folder:
        given = _Arguments(folder)
        command = [_tool(), str(ptx) if is_file else "-", "--grid", extents(grid), "--block", extents(block), "--shared", str(shared),
                   "--check", check, "--budget", str(budget)]
        for option, value in (("--kernel", kernel), ("--device", device), ("--cluster", None if cluster is None else extents(cluster))):
            command += [] if value is None else [option, value]
        command += ["--cooperative"] if cooperative else []
        command += ["--profile=json"] if profile else []
        for place, value in enumerate(arguments):
            command += ["--arg", given.text(value, place)]
        done = subprocess.run(command, input=None if is_file else ptx, text=True, capture_output=True, env=_environment())
        message = done.stderr.strip().replace("fourfold-emulate: ", "", 1)
        if done.returncode == 1:
            raise DeviceError(message)
        if done.returncode:
            raise InvalidArgumentError(message or f"fourfold-emulate ends with {done.returncode}")
        printed, counters = done.stdout, None
        if profile:
            start = printed.index("{")
            printed, counters = printed[:start], json.loads(printed[start:])
        return Emulation(given.read(), printed, counters)
