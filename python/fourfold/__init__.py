# Fourfold for Python: specs and linear layers in four bits, on NumPy arrays.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fusion specs for training in four bits, run on a GPU, on an emulated device, or on this machine's processor.

    import fourfold
    spec = fourfold.compile("kernels_spec/averis/linear_forward.mlir", device="emulated:sm_120a")
    y = spec(x=fourfold.bf16(x), w=fourfold.bf16(w))["y"]

``fourfold.Linear`` is a linear layer with forward and backward on NumPy arrays, ``fourfold.torch.Linear`` one for PyTorch (which is imported
only by ``import fourfold.torch``). docs/python.md has the rest.
"""

from ._device import Device, Memory, devices
from ._dtypes import bf16, float32
from ._emulate import Emulation, InOut, Out, TensorMap, emulate
from ._errors import (CompileError, DeviceError, Error, FileError, InternalError, InvalidArgumentError, LibraryError, NotFoundError,
                      OutOfMemoryError, UnsupportedError)
from ._layer import recipes
from ._library import VERSION as __version__
from ._library import library as _load
from ._linear import Context, Gradients, Linear
from ._spec import Binding, Parameter, Sizes, Spec, compile, emit, evaluate, load


def library_path() -> str:
    """The file of libfourfold.so that is used; LibraryError if there is none."""
    return _load().path


__all__ = ["Binding", "CompileError", "Context", "Device", "DeviceError", "Emulation", "Error", "FileError", "Gradients",
           "InOut", "InternalError", "InvalidArgumentError", "LibraryError", "Linear", "Memory", "NotFoundError", "Out",
           "OutOfMemoryError", "Parameter", "Sizes", "Spec", "TensorMap", "UnsupportedError", "bf16", "compile", "devices",
           "emit", "emulate", "evaluate", "float32", "library_path", "load", "recipes"]
