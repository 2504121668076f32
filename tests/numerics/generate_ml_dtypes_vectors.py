#!/usr/bin/env python3
# Writes tests/data/ml_dtypes_vectors.bin: what the ml_dtypes package makes of every bf16 value.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""For each bf16 bit pattern, widened to fp32: its float4_e2m1fn, float8_e4m3fn and float8_e8m0fnu codes (three arrays of bytes); then the
bf16 (uint16) that the pattern with 0x4000, 0x8000 or 0xc000 behind it rounds to. Made with ml_dtypes 0.6.0.

    python3 -m venv venv && venv/bin/pip install numpy ml_dtypes && venv/bin/python tests/numerics/generate_ml_dtypes_vectors.py
"""

import pathlib

import ml_dtypes
import numpy as np


def main() -> None:
    patterns = np.arange(65536, dtype=np.uint32)
    values = (patterns << 16).view(np.float32)
    # Odd low halves, so that rounding to bf16 has something to do: 0x8000 is the tie.
    low = (patterns % 3 * 0x4000 + 0x4000).astype(np.uint32)
    unrounded = ((patterns << 16) | low).view(np.float32)
    with np.errstate(all="ignore"):
        arrays = [
            values.astype(ml_dtypes.float4_e2m1fn).view(np.uint8),
            values.astype(ml_dtypes.float8_e4m3fn).view(np.uint8),
            values.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8),
        ]
        bf16 = unrounded.astype(ml_dtypes.bfloat16).view(np.uint16)
    path = pathlib.Path(__file__).resolve().parent.parent / "data" / "ml_dtypes_vectors.bin"
    with open(path, "wb") as file:
        for array in arrays:
            file.write(array.astype(np.uint8).tobytes())
        file.write(bf16.astype("<u2").tobytes())
    print(path.name, path.stat().st_size, "bytes, ml_dtypes", ml_dtypes.__version__)


if __name__ == "__main__":
    main()
