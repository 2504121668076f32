# Element types of specs as NumPy's.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy has no bf16: where ml_dtypes is installed, bf16 arrays have its dtype, else they are the bits in uint16."""

import numpy

from ._errors import InvalidArgumentError

try:
    from ml_dtypes import bfloat16 as _bfloat16
except ImportError:
    _bfloat16 = None

NAMES = ("f32", "bf16", "f16", "i64", "i32", "i8")
#: What bf16 arrays of this package have: ml_dtypes.bfloat16, or uint16.
BF16 = numpy.dtype(_bfloat16 if _bfloat16 is not None else numpy.uint16)
_NUMPY = {"f32": numpy.dtype(numpy.float32), "bf16": BF16, "f16": numpy.dtype(numpy.float16), "i64": numpy.dtype(numpy.int64),
          "i32": numpy.dtype(numpy.int32), "i8": numpy.dtype(numpy.int8)}


def numpy_dtype(name: str) -> numpy.dtype:
    """"bf16" -> the dtype of arrays of that element type."""
    return _NUMPY[name]


def bf16(values) -> numpy.ndarray:
    """Rounds numbers to bf16, to nearest even, once from float32.

    ``values`` is anything that ``numpy.asarray`` takes; bf16 arrays come back as they are. Note that an array of uint16 is taken for bits
    of bf16, as everywhere in this package."""
    array = numpy.asarray(values)
    if is_bf16(array):
        return array.view(BF16)
    bits = numpy.ascontiguousarray(array, dtype=numpy.float32).view(numpy.uint32)
    rounded = (bits + (((bits >> 16) & 1) + numpy.uint32(0x7FFF))) >> 16
    # Rounding must not carry a NaN into infinity; the canonical one, as everywhere (docs/numerics.md).
    nan = (bits & 0x7FFFFFFF) > 0x7F800000
    result = numpy.where(nan, 0x7FFF, rounded).astype(numpy.uint16)
    return result.reshape(array.shape).view(BF16)


def float32(values) -> numpy.ndarray:
    """bf16 -> float32, exactly; other arrays are converted by NumPy."""
    array = numpy.asarray(values)
    if not is_bf16(array):
        return array.astype(numpy.float32)
    wide = numpy.left_shift(bits_of(array).reshape(-1), 16, dtype=numpy.uint32)
    return wide.view(numpy.float32).reshape(array.shape)


def is_bf16(array: numpy.ndarray) -> bool:
    return array.dtype == numpy.uint16 or (_bfloat16 is not None and array.dtype == BF16)


def bits_of(array: numpy.ndarray) -> numpy.ndarray:
    """The uint16 view of a bf16 array, contiguous."""
    return numpy.ascontiguousarray(array).view(numpy.uint16).reshape(array.shape)


def as_element_type(value, name: str, element_type: str) -> numpy.ndarray:
    """`value` as a contiguous array of an element type, of the same bits: what would have to be rounded or converted is an error.

    Numbers of Python serve for scalars, and bool for i8."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _scalar(value, name, element_type)
    array = numpy.asarray(value)
    wanted = _NUMPY[element_type]
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if element_type == "bf16" and is_bf16(array):
        return bits_of(array)
    if element_type == "i8" and array.dtype == numpy.bool_:
        return numpy.ascontiguousarray(array).view(numpy.int8).reshape(array.shape)
    if array.dtype == wanted and element_type != "bf16":
        return numpy.ascontiguousarray(array).reshape(array.shape)
    if element_type == "bf16":
        advice = f"dtype {BF16}: round it with fourfold.bf16({name})"
    else:
        advice = f"dtype {wanted}: convert it with {name}.astype(numpy.{wanted})"
    raise InvalidArgumentError(f"argument '{name}' has dtype {array.dtype}, but the spec's is {element_type}, {advice}")


def _scalar(value, name, element_type):
    if element_type == "bf16":
        return bits_of(bf16(value))
    wanted = _NUMPY[element_type]
    if wanted.kind == "i":
        limits = numpy.iinfo(wanted)
        if not isinstance(value, int) or not limits.min <= value <= limits.max:
            raise InvalidArgumentError(f"argument '{name}' is {value!r}, but the spec's is an {element_type}: a whole number from "
                                       f"{limits.min} to {limits.max}")
    return numpy.array(value, dtype=wanted)
