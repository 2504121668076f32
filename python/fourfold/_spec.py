# Specs: compiling, asking, running.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import ctypes
import dataclasses
import json
import os
import pathlib
import warnings as _warnings
from typing import Dict, Mapping, Optional, Sequence, Tuple, Union

import numpy

from . import _abi
from ._device import Device, open_device
from ._dtypes import NAMES, as_element_type, numpy_dtype
from ._errors import InvalidArgumentError, UnsupportedError
from ._library import Handle, library, text, text_of

Extent = Union[int, str]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An argument or result of a spec. ``dtype`` is "f32", "bf16", "f16", "i64", "i32" or "i8"; an extent is a number, or the name of a
    dimension that is known at run time, such as "d0"; the same name stands for the same number."""

    name: str
    dtype: str
    shape: Tuple[Extent, ...]

    def __str__(self):
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What given argument shapes lead to: the results' shapes by name, and bytes of device memory (``workspace``; for a plan with phases
    also what one phase leaves for later ones)."""

    results: Dict[str, Tuple[int, ...]]
    workspace: int
    weights: int = 0
    saved: int = 0
    gradient: int = 0


class _Source:
    """A spec's text with what is asked of it, as the C interface takes it."""

    def __init__(self, spec, function=None, optional=(), mode=None):
        if isinstance(spec, os.PathLike) or (isinstance(spec, str) and "\n" not in spec and "func." not in spec):
            self.file = str(spec)
            try:
                self.text = pathlib.Path(spec).read_bytes().decode()
            except UnicodeDecodeError:
                self.text = "\0"
        elif isinstance(spec, str):
            self.text, self.file = spec, "<spec>"
        else:
            raise TypeError(f"a spec is MLIR text or the path of a file, got {type(spec).__name__}")
        if "\0" in self.text:
            raise InvalidArgumentError(f"'{self.file}' is not text: specs in MLIR bytecode are read by the tool, 'fourfold compile' and 'run'")
        self.function, self.mode, self.absent = function, mode, ()
        signature = json.loads(self.emit("sm_120a", "signature"))
        there = {entry["name"] for entry in signature["inputs"] if entry.get("optional")}
        unknown = [name for name in optional if name not in there]
        if unknown:
            raise InvalidArgumentError(f"optional names '{unknown[0]}', but {self._names(signature, there)}")
        self.absent = tuple(entry["name"] for entry in signature["inputs"] if entry["name"] in there and entry["name"] not in optional)
        self.inputs = tuple(_parameter(entry) for entry in signature["inputs"] if entry["name"] not in self.absent)
        self.outputs = tuple(_parameter(entry) for entry in signature["outputs"])

    def _names(self, signature, there):
        if not there:
            return f"the spec '{signature['spec']}' has no argument marked fp4.optional"
        return f"the optional arguments of '{signature['spec']}' are {', '.join(sorted(there))}"

    def descriptor(self) -> _abi.SpecDescriptor:
        encode = lambda value: None if value is None else value.encode()
        absent = (ctypes.c_char_p * len(self.absent))(*[name.encode() for name in self.absent])
        return _abi.SpecDescriptor(text=self.text.encode(), fileName=self.file.encode(), function=encode(self.function), absent=absent,
                                   absentCount=len(self.absent), mode=encode(self.mode))

    def emit(self, target, stage):
        return text(lambda pointer: library().SpecEmit(self.descriptor(), target.encode(), stage.encode(), pointer))


def _parameter(entry) -> Parameter:
    # A manifest's extents are numbers or expressions, as texts.
    return Parameter(entry["name"], entry["type"], tuple(int(extent) if str(extent).isdigit() else extent for extent in entry["shape"]))


class Tensors:
    """Arrays as an array of FourfoldTensor, and what keeps its memory alive."""

    def __init__(self, arrays: "Mapping[str, tuple[str, numpy.ndarray]]"):
        self.keep = []
        self.array = (_abi.Tensor * max(1, len(arrays)))()
        self.count = len(arrays)
        for place, (name, (dtype, array)) in enumerate(arrays.items()):
            extents = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
            self.array[place] = _abi.Tensor(name.encode(), NAMES.index(dtype), array.ndim, extents, array.ctypes.data)
            self.keep += [extents, array]


def _results(make) -> Dict[str, numpy.ndarray]:
    """Arrays of their own from the tensors that a call gives by its last argument."""
    lib = library()
    handle = Handle(lambda _, pointer: make(pointer), "TensorsDestroy")
    found = {}
    for place in range(lib.TensorsCount(handle)):
        tensor = _abi.Tensor()
        lib.TensorsGet(handle, place, ctypes.byref(tensor))
        array = numpy.empty(tuple(tensor.extents[:tensor.rank]), dtype=numpy_dtype(NAMES[tensor.elementType]))
        ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
        found[tensor.name.decode()] = array
    return found


def _collect(inputs: Sequence[Parameter], positional, named) -> "dict[str, tuple[str, numpy.ndarray]]":
    """The arguments of a call by name, with the spec's dtypes and shapes checked."""
    if len(positional) > len(inputs):
        raise TypeError(f"{len(positional)} arguments, the spec has {len(inputs)}: {_list(inputs)}")
    given = {parameter.name: value for parameter, value in zip(inputs, positional)}
    for name, value in named.items():
        if name in given:
            raise TypeError(f"argument '{name}' is given twice")
        if name not in {parameter.name for parameter in inputs}:
            raise TypeError(f"there is no argument '{name}': the spec was compiled with {_list(inputs)}; arguments marked fp4.optional need "
                            "optional=[...] when it is compiled")
        given[name] = value
    missing = [parameter for parameter in inputs if parameter.name not in given]
    if missing:
        raise TypeError(f"argument '{missing[0].name}' is missing: {_list(inputs)}")
    sizes: Dict[str, Tuple[int, str]] = {}
    arrays = {}
    for parameter in inputs:
        array = as_element_type(given[parameter.name], parameter.name, parameter.dtype)
        _check_shape(parameter, array.shape, sizes)
        arrays[parameter.name] = (parameter.dtype, array)
    return arrays


def _check_shape(parameter, shape, sizes):
    if len(shape) != len(parameter.shape):
        raise InvalidArgumentError(f"argument '{parameter.name}' has shape {shape}, but the spec's is {parameter}: {len(parameter.shape)} "
                                   "dimensions")
    for place, (found, wanted) in enumerate(zip(shape, parameter.shape)):
        if isinstance(wanted, str):
            wanted, where = sizes.setdefault(wanted, (found, f"dimension {place} of '{parameter.name}'"))
        else:
            where = "the spec"
        if found != wanted:
            raise InvalidArgumentError(f"argument '{parameter.name}' has shape {shape}: dimension {place} is {found}, but {where} says {wanted}")


def _list(parameters):
    return ", ".join(map(str, parameters)) or "none"


class Spec:
    """A compiled spec on a device; made by ``fourfold.compile``. Call it with arrays, by name or in order.

    ``arguments`` and ``results`` are tuples of Parameter, ``device`` is the device's name. Thread-safe; the interpreter's lock is released
    while the device works."""

    def __init__(self, device: str, arguments, results):
        self.device, self.arguments, self.results = device, tuple(arguments), tuple(results)

    def __repr__(self):
        return f"<fourfold spec on {self.device}: ({_list(self.arguments)}) -> ({_list(self.results)})>"

    def __call__(self, *arrays, **named) -> Dict[str, numpy.ndarray]:
        """Runs the spec: NumPy arrays in, a dict of new arrays out, in the order of the spec's results.

        Arrays must have the dtypes and shapes of ``arguments``: bf16 is ml_dtypes.bfloat16 or, where that is missing and if you like, its
        bits in uint16 (``fourfold.bf16`` makes them); i8 also bool; scalars also numbers. TypeError: a missing, unknown or repeated argument.
        InvalidArgumentError: a wrong dtype or shape. DeviceError: a kernel failed."""
        return self._run(_collect(self.arguments, arrays, named))

    def _run(self, arrays):
        raise NotImplementedError


class HostSpec(Spec):
    """A spec on this machine's processor, without kernels: the bits of the reference evaluator."""

    def __init__(self, source: _Source):
        super().__init__("host", source.inputs, source.outputs)
        descriptor = source.descriptor()
        self._handle = Handle(lambda lib, pointer: lib.HostPrepare(descriptor, pointer), "HostDestroy")

    def _run(self, arrays):
        tensors = Tensors(arrays)
        return _results(lambda pointer: library().HostRun(self._handle, tensors.array, tensors.count, pointer))


class DeviceSpec(Spec):
    """A spec on a GPU or an emulated device."""

    def __init__(self, device: Device, make):
        self._device = device
        self._handle = Handle(make, "SpecDestroy")
        lib = library()
        ask = lambda call, count: tuple(self._ask(call, place) for place in range(count(self._handle)))
        super().__init__(device.name, ask(lib.SpecInput, lib.SpecInputCount), ask(lib.SpecOutput, lib.SpecOutputCount))
        self.phases = tuple(lib.SpecPhaseName(self._handle, place).decode() for place in range(lib.SpecPhaseCount(self._handle)))

    def _ask(self, call, place):
        found = _abi.Parameter()
        call(self._handle, place, ctypes.byref(found))
        extents = [found.extents[dimension].decode() for dimension in range(found.rank)]
        return _parameter({"name": found.name.decode(), "type": NAMES[found.elementType], "shape": extents})

    def _run(self, arrays):
        tensors = Tensors(arrays)
        return _results(lambda pointer: library().SpecRun(self._handle, tensors.array, tensors.count, pointer))

    def bind(self, **shapes: Sequence[int]) -> "Binding":
        """All sizes for given argument shapes, by name: ``spec.bind(x=(32, 64), w=(48, 64))``. Host work only."""
        given = []
        for parameter in self.arguments:
            if parameter.name not in shapes:
                raise TypeError(f"the shape of argument '{parameter.name}' is missing: {_list(self.arguments)}")
            given.append(tuple(int(extent) for extent in shapes.pop(parameter.name)))
        if shapes:
            raise TypeError(f"there is no argument '{next(iter(shapes))}': the spec was compiled with {_list(self.arguments)}")
        return Binding(self, given)

    def launch(self, binding: "Binding", arguments: Mapping[str, int], results: Mapping[str, int], workspace: int = 0, stream: int = 0):
        """Enqueues the kernels on a stream (a CUstream as an integer; 0 is the default stream) and returns: for memory that is on the device
        already. ``arguments`` and ``results`` are device addresses by name, ``workspace`` the address of ``binding.sizes.workspace`` bytes,
        aligned to 256. Nothing is copied or waited for, and the memory must stay until the stream is through with it."""
        if self.phases:
            raise UnsupportedError(f"this spec has the phases {', '.join(self.phases)}, which are launched one by one, from C or C++: "
                                   "fourfoldSpecLaunchPhase")
        addresses = lambda what, parameters, given: (ctypes.c_uint64 * max(1, len(parameters)))(
            *[_address(what, parameter.name, given) for parameter in parameters])
        inputs, outputs = addresses("arguments", self.arguments, arguments), addresses("results", self.results, results)
        buffers = _abi.LaunchBuffers(inputs=inputs, inputCount=len(self.arguments), outputs=outputs, outputCount=len(self.results),
                                     workspace=workspace, stream=stream or None)
        library().SpecLaunch(self._handle, binding._handle, buffers)


def _address(what, name, given):
    if name not in given:
        raise TypeError(f"{what} has no address for '{name}'")
    return given[name]


class Binding:
    """A spec for given argument shapes; ``sizes`` says what they lead to."""

    def __init__(self, spec: DeviceSpec, shapes):
        keep = [(ctypes.c_int64 * max(1, len(shape)))(*shape) for shape in shapes]
        array = (_abi.Shape * max(1, len(shapes)))(*[_abi.Shape(len(shape), extents) for shape, extents in zip(shapes, keep)])
        self._handle = Handle(lambda lib, pointer: lib.SpecBind(spec._handle, array, len(shapes), pointer), "BindingRelease")
        lib = library()
        sizes = _abi.BindingSizes()
        lib.BindingSizes(self._handle, ctypes.byref(sizes))
        results = {}
        for place, parameter in enumerate(spec.results):
            shape = _abi.Shape()
            lib.BindingOutputShape(self._handle, place, ctypes.byref(shape))
            results[parameter.name] = tuple(shape.extents[:shape.rank])
        self.sizes = Sizes(results, sizes.workspaceBytes, sizes.weightsBytes, sizes.savedBytes, sizes.gradientBytes)


def compile(spec: "str | os.PathLike", device: "str | Device" = "auto", *, function: Optional[str] = None, optional: Sequence[str] = (),
            mode: Optional[str] = None) -> Spec:
    """Compiles a spec, MLIR text or the path of a file, for a device, and loads it.

    device: "auto", "cuda:N", "emulated:TARGET", a Device, or "host": this machine's processor, without kernels.
    function: which function of the text, if it has several.
    optional: the arguments marked fp4.optional that calls will give; the others are compiled away.
    mode: "fast" (default) or "faithful": how GPUs without FP4 tensor cores sum products.

    CompileError: the spec was rejected. NotFoundError: no such device. OSError: the file cannot be read. Compiler warnings are issued as
    Python's."""
    source = _Source(spec, function, optional, mode)
    if device == "host":
        return HostSpec(source)
    opened = open_device(device)
    warnings = ctypes.c_void_p()
    descriptor = source.descriptor()
    compiled = DeviceSpec(opened, lambda lib, pointer: lib.SpecCompile(opened, descriptor, pointer, ctypes.byref(warnings)))
    for line in text_of(warnings).splitlines():
        _warnings.warn(line, stacklevel=2)
    return compiled


def load(manifest: str, ptx: str, device: "str | Device" = "auto") -> DeviceSpec:
    """Loads a spec that was compiled before, from the texts of its manifest and its PTX (``emit``, or ``fourfold compile --emit``). The
    compiler is not needed. InvalidArgumentError: they do not fit each other or the device."""
    opened = open_device(device)
    return DeviceSpec(opened, lambda lib, pointer: lib.SpecLoad(opened, manifest.encode(), ptx.encode(), pointer))


def emit(spec: "str | os.PathLike", stage: str, target: str = "sm_120a", *, function: Optional[str] = None, optional: Sequence[str] = (),
         mode: Optional[str] = None) -> str:
    """Compiles a spec up to a stage and returns its text: "signature", "plan", "kernels", "llvm", "ptx" or "manifest"."""
    return _Source(spec, function, optional, mode).emit(target, stage)


def evaluate(spec: "str | os.PathLike", *, function: Optional[str] = None, mode: Optional[str] = None, **arrays) -> Dict[str, numpy.ndarray]:
    """The reference evaluator: the results of a spec without a device, slowly, from arrays by name; optional arguments that are not given
    are left out. Arrays and errors are those of ``Spec.__call__``."""
    source = _Source(spec, function, (), mode)
    named = [name for name in source.absent if name in arrays]
    if named:
        source = _Source(spec, function, named, mode)
    tensors = Tensors(_collect(source.inputs, (), arrays))
    descriptor = source.descriptor()
    return _results(lambda pointer: library().SpecEvaluate(descriptor, tensors.array, tensors.count, pointer))
