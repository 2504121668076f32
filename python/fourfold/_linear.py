# The linear layer on NumPy arrays.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import threading
from typing import NamedTuple, Optional

import numpy

from ._dtypes import BF16, as_element_type, bf16, bits_of, is_bf16
from ._errors import InvalidArgumentError
from ._layer import Layer, Saved, backend, check_features


class Gradients(NamedTuple):
    """``x``: bf16, tokens x in_features; ``weight``: float32, out_features x in_features; ``bias``: float32, out_features, or None."""

    x: numpy.ndarray
    weight: numpy.ndarray
    bias: Optional[numpy.ndarray]


class Context(NamedTuple):
    """What ``Linear.forward`` leaves for ``Linear.backward``: the quantized activations and weights. Good for any number of calls."""

    layer: "Linear"
    saved: Saved
    shape: tuple


class Linear:
    """y = x W^T + bias, with all operands of forward and backward in four bits as a recipe says.

    in_features, out_features: columns of x and of y.
    recipe: a name (``fourfold.recipes()``), or the folder of a recipe, with a slash in it.
    device: "auto", "cuda:N", "emulated:TARGET", a Device, or "host": this machine's processor, with the bits of the reference evaluator.
    bias, mask: whether ``forward`` takes a bias and a mask.
    mode: "fast" or "faithful": how GPUs without FP4 tensor cores sum products.
    seed: of the random bits of stochastic rounding. Give layers of one model different seeds: the same one draws the same bits.

    ``offset`` numbers the random bits; ``forward`` takes the next one each time, and ``backward`` uses that of its forward pass. Thread-safe.
    NotFoundError: no such recipe or device. CompileError: its specs were rejected."""

    def __init__(self, in_features: int, out_features: int, recipe: str = "averis", device="auto", *, bias: bool = False, mask: bool = False,
                 mode: Optional[str] = None, seed: int = 0):
        check_features(in_features, out_features)
        self.in_features, self.out_features, self.recipe, self.seed = in_features, out_features, recipe, int(seed)
        self._backend = backend(device, Layer(in_features, out_features, recipe, bool(bias), bool(mask), False, mode))
        self.offset = 0
        self._lock = threading.Lock()
        self._weights = self._weight = self._bias = None

    def __repr__(self):
        return f"fourfold.Linear({self.in_features}, {self.out_features}, recipe={self.recipe!r})"

    @property
    def weight(self) -> Optional[numpy.ndarray]:
        """The weight as bf16; None before it is set. Set it to an array of bf16 or floats, out_features x in_features: floats are rounded.
        It is copied, and quantized once, by the next forward pass: set it after each step of the optimizer."""
        return None if self._weight is None else self._weight.view(BF16)

    @weight.setter
    def weight(self, value):
        bits = self._matrix("weight", value, (self.out_features, self.in_features))
        with self._lock:
            self._weight, self._weights = bits.copy(), None

    @property
    def bias(self) -> Optional[numpy.ndarray]:
        """The bias, float32; zero before it is set, None for a layer without."""
        if not self._backend.layer.bias:
            return None
        if self._bias is None:
            self._bias = numpy.zeros(self.out_features, dtype=numpy.float32)
        return self._bias

    @bias.setter
    def bias(self, value):
        if not self._backend.layer.bias:
            raise InvalidArgumentError("this layer was made without a bias: fourfold.Linear(..., bias=True)")
        value = numpy.asarray(value, dtype=numpy.float32)
        if value.shape != (self.out_features,):
            raise InvalidArgumentError(f"bias has shape {value.shape}, expected ({self.out_features},)")
        self._bias = value.copy()

    def __call__(self, x, mask=None) -> numpy.ndarray:
        """``forward`` without the context."""
        return self.forward(x, mask)[0]

    def forward(self, x, mask=None) -> "tuple[numpy.ndarray, Context]":
        """x: bf16 or floats (which are rounded to bf16), ... x in_features. mask: bool or int8, False for padding, of x's shape without its
        last extent. Returns y as bf16, ... x out_features, and what ``backward`` needs.

        InvalidArgumentError: a wrong shape or dtype, no weight yet, or a mask for a layer that was made without."""
        x = numpy.asarray(x)
        if x.ndim < 1 or x.shape[-1] != self.in_features:
            raise InvalidArgumentError(f"x has shape {x.shape}, expected (..., {self.in_features})")
        shape = x.shape[:-1]
        bits = self._matrix("x", x.reshape(-1, self.in_features), None)
        mask = self._mask(mask, shape)
        if bits.shape[0] == 0:
            raise InvalidArgumentError(f"x has shape {x.shape}: there are no tokens")
        with self._lock:
            if self._weight is None:
                raise InvalidArgumentError("the layer has no weight yet: set layer.weight")
            offset = self.offset
            self.offset += 1
            if self._weights is None:
                self._weights = self._backend.quantize(self._weight, self.seed, offset)
            weights = self._weights
        y, saved = self._backend.forward(weights, bits, self.bias, mask, self.seed, offset)
        return y.view(BF16).reshape(*shape, self.out_features), Context(self, saved, shape)

    def backward(self, context: Context, d) -> Gradients:
        """The gradients from d, the gradient of y: bf16 or floats, of y's shape. They are those of the weight that ``forward`` used."""
        if not isinstance(context, Context) or context.layer is not self:
            raise InvalidArgumentError("the context is not of a forward pass of this layer")
        d = numpy.asarray(d)
        if d.shape != (*context.shape, self.out_features):
            raise InvalidArgumentError(f"d has shape {d.shape}, expected y's, {(*context.shape, self.out_features)}")
        bits = self._matrix("d", d.reshape(-1, self.out_features), None)
        dx, dw, db = self._backend.backward(context.saved, bits)
        return Gradients(dx.view(BF16).reshape(*context.shape, self.in_features), dw, db)

    def _matrix(self, name, value, shape):
        array = numpy.asarray(value)
        if shape is not None and array.shape != shape:
            raise InvalidArgumentError(f"{name} has shape {array.shape}, expected {shape}")
        if is_bf16(array):
            return bits_of(array)
        if array.dtype.kind != "f":
            raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected bf16 or floats")
        return bits_of(bf16(array))

    def _mask(self, mask, shape):
        if not self._backend.layer.mask:
            if mask is not None:
                raise InvalidArgumentError("this layer was made without a mask: fourfold.Linear(..., mask=True)")
            return None
        if mask is None:
            raise InvalidArgumentError("this layer was made with a mask, and forward got none")
        mask = numpy.asarray(mask)
        if mask.shape != shape:
            raise InvalidArgumentError(f"mask has shape {mask.shape}, expected x's without its last extent, {shape}")
        return as_element_type(mask, "mask", "i8").reshape(-1)
