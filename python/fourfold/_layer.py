# Linear layers on arrays: the calls of the C interface, on a device with memory of its own or on this machine's processor.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What fourfold.Linear and fourfold.torch.Linear share. Arrays here are bits of bf16 in uint16, f32 and int8, contiguous; nothing is checked
that the library checks."""

import ctypes
import functools
import threading
from typing import NamedTuple, Optional

import numpy

from . import _abi
from ._device import Device, open_device
from ._errors import InvalidArgumentError
from ._library import Handle, library, text
from ._spec import Tensors


class Layer(NamedTuple):
    """What the kernels of a layer depend on."""

    inputs: int
    outputs: int
    recipe: str
    bias: bool = False
    mask: bool = False
    accumulate: bool = False
    mode: Optional[str] = None

    def descriptor(self) -> _abi.LinearDescriptor:
        return _abi.LinearDescriptor(inFeatures=self.inputs, outFeatures=self.outputs, recipe=self.recipe.encode(), hasBias=self.bias,
                                     hasMask=self.mask, accumulate=self.accumulate, mode=self.mode and self.mode.encode())


class Plan:
    """All sizes of a layer for a token count."""

    def __init__(self, layer: "DeviceLayer", tokens: int):
        self.handle = Handle(lambda lib, pointer: lib.LinearPrepare(layer.handle, tokens, pointer), "LinearPlanRelease")
        self.sizes = _abi.LinearSizes()
        library().LinearPlanSizes(self.handle, ctypes.byref(self.sizes))


class DeviceLayer:
    """A layer that is loaded on a device; calls take addresses."""

    def __init__(self, device: Device, layer: Layer):
        self.device, self.layer = device, layer
        descriptor = layer.descriptor()
        self.handle = Handle(lambda lib, pointer: lib.LinearCreate(device, descriptor, pointer), "LinearDestroy")
        self.weights_bytes = library().LinearWeightsBytes(self.handle)
        self.plan = functools.lru_cache(maxsize=128)(functools.partial(Plan, self))

    def quantize_weights(self, stream, **addresses):
        library().LinearQuantizeWeights(self.handle, stream, _abi.LinearTensors(**addresses))

    def call(self, name: str, plan: Plan, stream, *arguments, **addresses):
        """"Forward", "PrepareGradient", "Dgrad", "Wgrad"."""
        getattr(library(), "Linear" + name)(self.handle, plan.handle, stream, _abi.LinearTensors(**addresses), *arguments)


class Saved(NamedTuple):
    """What forward leaves for backward."""

    weights: object
    state: object
    seed: int
    offset: int
    tokens: int
    mask: Optional[numpy.ndarray]


class DeviceBackend:
    """A layer on an emulated device or a GPU, for arrays in host memory: they are copied."""

    def __init__(self, device: Device, layer: Layer):
        self.device, self.layer = device, layer
        self.loaded = DeviceLayer(device, layer)

    def _random(self, seed, offset):
        return {"seed": self.device.upload(numpy.int64(seed)), "offset": self.device.upload(numpy.int64(offset))}

    def _area(self, size):
        return self.device.allocate(size) if size else None

    @staticmethod
    def _addresses(memory):
        return {name: place.address for name, place in memory.items() if place is not None}

    def quantize(self, w: numpy.ndarray, seed: int, offset: int):
        """The quantized weight, and W itself where calls read it."""
        memory = {"w": self.device.upload(w), "weights": self._area(self.loaded.weights_bytes),
                  "workspace": self._area(self.loaded.plan(1).sizes.workspaceBytes), **self._random(seed, offset)}
        self.loaded.quantize_weights(None, **self._addresses(memory))
        self.device.synchronize()
        return {"w": memory["w"], "weights": memory["weights"]}

    def forward(self, weights, x, bias, mask, seed, offset):
        tokens = x.shape[0]
        plan = self.loaded.plan(tokens)
        y = numpy.empty((tokens, self.layer.outputs), dtype=numpy.uint16)
        memory = {**weights, "x": self.device.upload(x), "y": self.device.allocate(y.nbytes), "saved": self._area(plan.sizes.savedBytes),
                  "workspace": self._area(plan.sizes.workspaceBytes), **self._random(seed, offset)}
        if self.layer.bias:
            memory["bias"] = self.device.upload(bias)
        if self.layer.mask:
            memory["mask"] = self.device.upload(mask)
        self.loaded.call("Forward", plan, None, **self._addresses(memory))
        self.device.download(memory["y"], y)
        kept = {name: memory[name] for name in ("saved", *(("x",) if plan.sizes.backwardReadsX else ()))}
        return y, Saved(weights, kept, seed, offset, tokens, mask)

    def backward(self, saved: Saved, d, want_x=True, want_w=True):
        plan = self.loaded.plan(saved.tokens)
        memory = {**saved.weights, **saved.state, "d": self.device.upload(d), "gradient": self._area(plan.sizes.gradientBytes),
                  "workspace": self._area(plan.sizes.workspaceBytes), **self._random(saved.seed, saved.offset)}
        if self.layer.mask:
            memory["mask"] = self.device.upload(saved.mask)
        dx = numpy.empty((saved.tokens, self.layer.inputs), dtype=numpy.uint16) if want_x else None
        dw = numpy.empty((self.layer.outputs, self.layer.inputs), dtype=numpy.float32) if want_w else None
        db = numpy.empty(self.layer.outputs, dtype=numpy.float32) if want_w and self.layer.bias else None
        for name, array in (("dx", dx), ("dw", dw)):
            if array is not None:
                memory[name] = self.device.allocate(array.nbytes)
        if self.layer.bias:  # recipes may write it in any call of backward
            memory["db"] = self.device.allocate(self.layer.outputs * 4)
        addresses = self._addresses(memory)
        self.loaded.call("PrepareGradient", plan, None, **addresses)
        if want_x:
            self.loaded.call("Dgrad", plan, None, **addresses)
        if want_w:
            self.loaded.call("Wgrad", plan, None, 0, **addresses)
        self.device.synchronize()
        for name, array in (("dx", dx), ("dw", dw), ("db", db)):
            if array is not None:
                self.device.download(memory[name], array)
        return dx, dw, db


_WEIGHTS, _FORWARD, _GRADIENT, _DGRAD, _WGRAD = (1 << phase for phase in range(5))


class HostBackend:
    """A layer on this machine's processor: arrays are read and written where they are."""

    def __init__(self, layer: Layer):
        # Products on the host have one definition; what devices would refuse is refused.
        if layer.mode not in (None, "fast", "faithful"):
            raise InvalidArgumentError(f"unknown mode '{layer.mode}': expected 'fast' or 'faithful'")
        self.layer = layer
        descriptor = layer.descriptor()
        self.host = Handle(lambda lib, pointer: lib.HostPrepareLinear(descriptor, pointer), "HostDestroy")
        lib = library()
        self.names = {lib.HostInputName(self.host, place).decode() for place in range(lib.HostInputCount(self.host))}
        for name in ("bias", "mask"):
            if getattr(layer, name) and name not in self.names:
                raise InvalidArgumentError(f"'{layer.recipe}' has no input '{name}', which the layer asks for")

    def _state(self, weights=None):
        return Handle(lambda lib, pointer: lib.HostStateCreate(self.host, weights, pointer), "HostStateDestroy")

    def _run(self, state, phases, inputs, outputs):
        given = Tensors({name: value for name, value in inputs.items() if name in self.names and value[1] is not None})
        wanted = Tensors({name: value for name, value in outputs.items() if value[1] is not None})
        library().HostStateRun(state, phases, given.array, given.count, wanted.array, wanted.count)

    @staticmethod
    def _random(seed, offset):
        return {"seed": ("i64", numpy.array(seed, dtype=numpy.int64)), "offset": ("i64", numpy.array(offset, dtype=numpy.int64))}

    def quantize(self, w, seed, offset):
        w = w.copy()  # the caller's may change while it is needed
        state = self._state()
        self._run(state, _WEIGHTS, {"w": ("bf16", w), **self._random(seed, offset)}, {})
        return {"w": w, "state": state}

    def forward(self, weights, x, bias, mask, seed, offset):
        own = lambda array: array if array is None or array.flags.owndata else array.copy()
        saved = Saved(weights, _HostPass(self._state(weights["state"]), own(x), own(bias)), seed, offset, x.shape[0], own(mask))
        y = numpy.empty((x.shape[0], self.layer.outputs), dtype=numpy.uint16)
        self._run(saved.state.state, _FORWARD, self._inputs(saved), {"y": ("bf16", y)})
        return y, saved

    def _inputs(self, saved):
        return {"x": ("bf16", saved.state.x), "w": ("bf16", saved.weights["w"]), "bias": ("f32", saved.state.bias),
                "mask": ("i8", saved.mask), **self._random(saved.seed, saved.offset)}

    def backward(self, saved: Saved, d, want_x=True, want_w=True):
        dx = numpy.empty((saved.tokens, self.layer.inputs), dtype=numpy.uint16) if want_x else None
        dw = numpy.empty((self.layer.outputs, self.layer.inputs), dtype=numpy.float32) if want_w else None
        db = numpy.empty(self.layer.outputs, dtype=numpy.float32) if want_w and self.layer.bias else None
        inputs = self._inputs(saved)
        with saved.state.lock:
            if saved.state.used:  # values go with their last use: the same pass once more has the same bits
                self._run(saved.state.state, _FORWARD, inputs, {})
            saved.state.used = True
            self._run(saved.state.state, _GRADIENT | (_DGRAD if want_x else 0) | (_WGRAD if want_w else 0),
                      {**inputs, "d": ("bf16", d)}, {"dx": ("bf16", dx), "dw": ("f32", dw), "db": ("f32", db)})
        return dx, dw, db


class _HostPass:
    """A forward pass on the host, and what would repeat it."""

    def __init__(self, state, x, bias):
        self.state, self.x, self.bias, self.used, self.lock = state, x, bias, False, threading.Lock()


_backends = {}
_lock = threading.Lock()


def backend(device, layer: Layer):
    """The backend for a device or its name, or "host"; made once for each."""
    if isinstance(device, Device):
        return DeviceBackend(device, layer)
    with _lock:
        found = _backends.get((device, layer))
    if found is None:
        found = HostBackend(layer) if device == "host" else DeviceBackend(open_device(device), layer)
        with _lock:
            found = _backends.setdefault((device, layer), found)
    return found


def recipes() -> "dict[str, str]":
    """The recipes that can be named, and their folders. FOURFOLD_RECIPES has folders that are looked in first."""
    return dict(line.split("\t") for line in text(lambda pointer: library().RecipeList(pointer)).splitlines())


def check_features(inputs, outputs):
    for name, value in (("in_features", inputs), ("out_features", outputs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidArgumentError(f"a linear layer with {name} = {value!r}: expected a whole number, 1 or more")
