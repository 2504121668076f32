# How PyTorch's tensors reach a layer: CPU tensors as arrays, CUDA tensors by their addresses.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import functools
from typing import Optional

import numpy
import torch

from ._device import open_device
from ._errors import UnsupportedError
from ._layer import DeviceLayer, Layer, backend


def autocast_dtype(kind: str) -> Optional[torch.dtype]:
    """What autocast computes in on this kind of device; None outside of it."""
    try:
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    except (TypeError, AttributeError):  # PyTorch before 2.4
        if kind == "cuda":
            return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


def engine_for(x: torch.Tensor, cpu_backend: str, layer: Layer) -> "Engine":
    """The engine for tensors like x; one for each device and layer."""
    if x.device.type == "cuda":
        return _cuda_engine(x.device.index if x.device.index is not None else torch.cuda.current_device(), layer)
    if x.device.type == "cpu":
        return _cpu_engine(cpu_backend, layer)
    raise UnsupportedError(f"x is on {x.device}: layers compute on CPU and CUDA tensors")


class Engine:
    """A layer of one kind. `call` has mask, seed, offset and the quantized weights."""

    #: Whether a new version of the weight must be told by counting; else it is seen.
    counts_steps = True

    def same(self, weights, weight) -> bool:
        """Whether weights are of this weight, where that can be seen."""
        return True

    def capturing(self) -> bool:
        """Whether a CUDA graph is being captured."""
        return False

    def use(self, weights):
        """Before weights that another pass has quantized are used."""


class CpuEngine(Engine):
    """By arrays that share the tensors' memory."""

    def __init__(self, name: str, layer: Layer):
        self.arrays = backend(name, layer)

    # Versions do not count writes through weight.data, NumPy, or PyTorch's fused optimizers; comparing is cheap beside quantizing.
    counts_steps = False

    def quantize(self, weight, seed, offset):
        bits = _bits(weight)
        made = self.arrays.quantize(bits, int(seed), int(offset))
        kept = made["w"] if isinstance(made["w"], numpy.ndarray) else bits.copy()
        return made, kept

    def same(self, weights, weight):
        return numpy.array_equal(weights[1], _bits(weight))

    def forward(self, call, x, bias):
        mask = None if call.mask is None else call.mask.contiguous().view(torch.int8).numpy()
        y, saved = self.arrays.forward(call.weights[0], _bits(x), None if bias is None else bias.detach().float().contiguous().numpy(), mask,
                                       int(call.seed), int(call.offset))
        return _tensor(y), saved

    def backward(self, call, saved, d, want_x, want_w, main):
        dx, dw, db = self.arrays.backward(saved, _bits(d), want_x, want_w)
        wrap = lambda array: None if array is None else torch.from_numpy(array)
        return None if dx is None else _tensor(dx), wrap(dw), wrap(db), False


def _bits(tensor):
    """The bits of a tensor, rounded to bf16 if need be, as an array of uint16."""
    return tensor.detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().view("uint16")


def _tensor(bits):
    return torch.from_numpy(bits.view("int16")).view(torch.bfloat16)


@functools.lru_cache(maxsize=None)
def _cpu_engine(name, layer):
    return CpuEngine(name, layer)


@functools.lru_cache(maxsize=None)
def _cuda_engine(index, layer):
    return CudaEngine(index, layer)


class _Weights:
    """The quantized weight on a GPU, W itself in bf16 where calls read it, and when they are ready."""

    def __init__(self, area, w, stream):
        self.area, self.w, self.stream, self.event = area, w, stream, None


class CudaEngine(Engine):
    """By addresses, on PyTorch's current stream: nothing is copied but what has another dtype, is not contiguous, or does not begin at a
    multiple of 256 bytes. Memory comes from PyTorch's allocator, and every call only enqueues, so that CUDA graphs can capture it."""

    def __init__(self, index: int, layer: Layer):
        self.index = index
        self.where = torch.device("cuda", index)
        # With accumulate, wgrad can add to main_grad in place.
        self.loaded = DeviceLayer(open_device(f"cuda:{index}"), layer._replace(accumulate=True))
        self.layer = layer

    def capturing(self):
        return torch.cuda.is_current_stream_capturing()

    def use(self, weights):
        stream = torch.cuda.current_stream(self.where)
        if stream != weights.stream:
            stream.wait_event(weights.event)
            weights.area.record_stream(stream)
            if weights.w is not None:
                weights.w.record_stream(stream)

    def _area(self, size):
        return torch.empty(max(1, size), dtype=torch.uint8, device=self.where)

    @staticmethod
    def _aligned(tensor, dtype):
        tensor = tensor.detach().to(dtype).contiguous()
        return tensor if tensor.data_ptr() % 256 == 0 else tensor.clone()

    @staticmethod
    def _addresses(memory):
        return {name: tensor.data_ptr() for name, tensor in memory.items() if tensor is not None}

    def _stream(self):
        return torch.cuda.current_stream(self.where).cuda_stream or None

    def quantize(self, weight, seed, offset):
        with torch.cuda.device(self.index):
            stream = torch.cuda.current_stream(self.where)
            w, sizes = self._aligned(weight, torch.bfloat16), self.loaded.plan(1).sizes
            weights = _Weights(self._area(self.loaded.weights_bytes), None, stream)
            memory = {"w": w, "weights": weights.area, "seed": seed, "offset": offset, "workspace": self._area(sizes.workspaceBytes)}
            self.loaded.quantize_weights(self._stream(), **self._addresses(memory))
            if sizes.forwardReadsW or sizes.backwardReadsW:
                # The optimizer must not change under later calls what they read.
                weights.w = w.clone() if w.data_ptr() == weight.data_ptr() else w
            if not self.capturing():
                weights.event = torch.cuda.Event()
                weights.event.record(stream)
            return weights

    def forward(self, call, x, bias):
        with torch.cuda.device(self.index):
            plan = self.loaded.plan(x.shape[0])
            y = torch.empty(x.shape[0], self.layer.outputs, dtype=torch.bfloat16, device=self.where)
            x = self._aligned(x, torch.bfloat16)
            memory = {"x": x, "w": call.weights.w, "y": y, "weights": call.weights.area, "saved": self._area(plan.sizes.savedBytes),
                      # Not used here, but calls want all areas.
                      "gradient": self._area(plan.sizes.gradientBytes),
                      "workspace": self._area(plan.sizes.workspaceBytes), "seed": call.seed, "offset": call.offset,
                      "bias": None if bias is None else self._aligned(bias, torch.float32), "mask": self._mask(call)}
            self.loaded.call("Forward", plan, self._stream(), **self._addresses(memory))
            return y, (plan, memory["saved"], x if plan.sizes.backwardReadsX else None, x.shape[0])

    def _mask(self, call):
        return None if call.mask is None else self._aligned(call.mask.view(torch.int8), torch.int8)

    def backward(self, call, saved, d, want_x, want_w, main):
        plan, area, x, tokens = saved
        with torch.cuda.device(self.index):
            stream = self._stream()
            empty = lambda *shape, dtype: torch.empty(*shape, dtype=dtype, device=self.where)
            in_place = main is not None and main.is_contiguous() and main.data_ptr() % 256 == 0 and main.device == self.where
            dx = empty(tokens, self.layer.inputs, dtype=torch.bfloat16) if want_x else None
            dw = None
            if want_w:
                dw = main if in_place else empty(self.layer.outputs, self.layer.inputs, dtype=torch.float32)
            # Calls that add to dw add to db as well.
            db = torch.zeros(self.layer.outputs, dtype=torch.float32, device=self.where) if self.layer.bias else None
            memory = {"d": self._aligned(d, torch.bfloat16), "x": x, "w": call.weights.w, "weights": call.weights.area, "saved": area,
                      "gradient": self._area(plan.sizes.gradientBytes), "workspace": self._area(plan.sizes.workspaceBytes), "dx": dx,
                      "dw": dw, "db": db, "seed": call.seed, "offset": call.offset, "mask": self._mask(call)}
            addresses = self._addresses(memory)
            self.loaded.call("PrepareGradient", plan, stream, **addresses)
            if want_x:
                self.loaded.call("Dgrad", plan, stream, **addresses)
            if want_w:
                self.loaded.call("Wgrad", plan, stream, int(in_place), **addresses)
            return dx, dw, db if want_w else None, in_place

