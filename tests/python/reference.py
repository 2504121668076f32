# An independent reference: nvfp4 fake quantization in NumPy, from the formulas of docs/numerics.md; and what all test files here share.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import os
import pathlib
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "python"))
SPECS = SOURCE / "kernels_spec"

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)


def main():
    """Runs the tests of the calling file. Nothing of what they compile is left in the user's cache."""
    os.environ["FOURFOLD_CACHE"] = "memory"
    unittest.main(verbosity=1)


def round_bf16(values):
    """To nearest even, by way of double: bf16 keeps 8 significant bits, down to 2^-133."""
    values = numpy.asarray(values, dtype=numpy.float64)
    quantum = 2.0 ** (numpy.maximum(numpy.frexp(values)[1], -125) - 8)
    return numpy.round(values / quantum) * quantum


def _e4m3(values):
    quantum = 2.0 ** (numpy.maximum(numpy.frexp(values)[1] - 1, -6) - 3)
    return numpy.minimum(numpy.round(values.astype(numpy.float64) / quantum) * quantum, 448).astype(numpy.float32)


def _spacing(magnitude):
    return numpy.where(magnitude < 2, 0.5, numpy.where(magnitude < 4, 1.0, 2.0))


def _philox(row, column, seed, offset):
    """The 16 random bits of each element: Philox4x32-10, key = seed, counter = (column / 8, row, offset low, offset high)."""
    mask = numpy.uint64(0xFFFFFFFF)
    word = lambda value: numpy.broadcast_to(numpy.uint64(value), row.shape).copy()
    counter = [(column // 8).astype(numpy.uint64), row.astype(numpy.uint64), word(offset & 0xFFFFFFFF), word(offset >> 32)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        first, second = numpy.uint64(0xD2511F53) * counter[0], numpy.uint64(0xCD9E8D57) * counter[2]
        counter = [(second >> numpy.uint64(32)) ^ counter[1] ^ numpy.uint64(key[0]), second & mask,
                   (first >> numpy.uint64(32)) ^ counter[3] ^ numpy.uint64(key[1]), first & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    chosen = numpy.choose(column % 8 // 2, counter)
    return (chosen >> (16 * (column % 2)).astype(numpy.uint64)) & numpy.uint64(0xFFFF)


def nvfp4(values, seed=None, offset=0, stream=0):
    """What nvfp4 makes of the rows of a matrix, in blocks of 1x16: to nearest, or with a seed stochastically."""
    values = numpy.asarray(values, dtype=numpy.float32)
    rows, k = values.shape
    padded = numpy.zeros((rows, -(-k // 16) * 16), dtype=numpy.float32)
    padded[:, :k] = values
    amax = numpy.abs(padded).max()
    scale = numpy.float32(2688) / amax if amax else numpy.float32(1)
    blocks = padded.reshape(rows, -1, 16)
    decode = _e4m3(numpy.abs(blocks).max(axis=2, keepdims=True) * (scale * (numpy.float32(1) / numpy.float32(6))))
    with numpy.errstate(divide="ignore"):
        encode = numpy.minimum(numpy.float32(1) / (decode * (numpy.float32(1) / scale)), numpy.finfo(numpy.float32).max)
    scaled = (blocks * encode).astype(numpy.float64)
    magnitude = numpy.minimum(numpy.abs(scaled), 6)
    spacing = _spacing(magnitude)
    if seed is None:
        rounded = numpy.round(magnitude / spacing) * spacing
    else:
        row, column = numpy.meshgrid(numpy.arange(rows), numpy.arange(padded.shape[1]), indexing="ij")
        bits = _philox(row, column, seed, offset + (stream << 56)).reshape(blocks.shape)
        low = numpy.floor(magnitude / spacing) * spacing
        rounded = low + spacing * ((magnitude - low) / spacing * 65536 > bits + 0.5)
    result = numpy.copysign(rounded, scaled) * decode * (1 / scale.astype(numpy.float64))
    return result.reshape(rows, -1)[:, :k]


def nvfp4_linear(x, w, d, seed, offset):
    """Recipe nvfp4: y, dx, dw from matrices of bf16 values."""
    y = nvfp4(x) @ nvfp4(w).T
    dx = nvfp4(d, seed, offset) @ nvfp4(w.T).T
    dw = nvfp4(d.T, seed, offset, stream=1) @ nvfp4(x.T).T
    return y, dx, dw


def close(test, found, expected, what, steps=1.01):
    """Equal but for a rounding to bf16, and for fp32 sums."""
    found, expected = numpy.asarray(found, dtype=numpy.float64), numpy.asarray(expected, dtype=numpy.float64)
    test.assertEqual(found.shape, expected.shape, what)
    bound = steps * 2.0**-8 * numpy.abs(expected) + 1e-4 * numpy.abs(expected).max()
    worst = numpy.unravel_index(numpy.argmax(numpy.abs(found - expected) - bound), found.shape)
    test.assertLessEqual(abs(found[worst] - expected[worst]), bound[worst],
                         f"{what}[{worst}] is {found[worst]}, expected {expected[worst]}; {numpy.sum(numpy.abs(found - expected) > bound)} are off")
