#!/usr/bin/env python3
# Frozen vectors of tensor-core steps from MMA-Sim (arXiv 2511.10909, PyPI mmasim 2.1.1), read by MmaTests.cpp.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""usage: generate_mma_vectors.py OUTPUT   (needs: pip install mmasim==2.1.1 torch numpy)

Binary, little endian. "FFMV", then records: kind (u32), then
  kind 0 (mxf4nvf4 4X ue4m3), 1 (2X ue8m0), 2 (4X ue8m0): one 16x8 step of K=64:
      A 16x32 bytes, B 8x32 bytes (low nibble = lower k), scales A 16x4, scales B 8x4 (2X: each byte twice), C 16x8 f32, D 16x8 f32
  kind 3 (bf16, sm_90 and later), 4 (f16, sm_90 and later), 5 (bf16, sm_80), 6 (f16, sm_80): m16n8k16, f32 accumulators:
      A 16x16, B 8x16 (column by column) as 16 bits, C 16x8 f32, D 16x8 f32
"""
import sys

import numpy as np
import torch
from mmasim.nv_ptx.sim import MMA, MMABlockScale

rng = np.random.default_rng(20251110)


def floats(shape, kind):
    if kind == 0:
        return rng.normal(size=shape).astype(np.float32)
    if kind == 1:
        return np.zeros(shape, np.float32)
    if kind == 2:  # wild exponents, finite
        bits = rng.integers(0, 2**32, size=shape, dtype=np.uint64).astype(np.uint32)
        bits = np.where((bits >> 23) & 255 == 255, bits & ~np.uint32(1 << 30), bits).astype(np.uint32)
        return bits.view(np.float32)
    if kind == 3:  # subnormal
        return rng.integers(0, 2**23, size=shape).astype(np.uint32).view(np.float32)
    value = rng.normal(size=shape).astype(np.float32) * np.float32(1e6)
    value.flat[::17] = np.nan
    return value


def scales(shape, ue4m3, kind):
    if ue4m3:
        if kind == 0:
            return rng.integers(0x30, 0x48, size=shape)
        if kind == 1:
            return rng.integers(0, 128, size=shape)  # with NaN
        if kind == 2:
            return rng.integers(0, 8, size=shape)  # subnormal and zero
        return rng.integers(0, 256, size=shape)  # sign bit set too
    if kind == 0:
        return rng.integers(120, 136, size=shape)
    if kind == 1:
        return rng.integers(0, 256, size=shape)
    if kind == 2:
        return rng.integers(0, 70, size=shape)
    return rng.integers(100, 150, size=shape)


def swap(x):  # mmasim keeps the lower k in the high nibble
    return ((x & 15) << 4 | x >> 4).astype(np.uint8)


def main():
    out = bytearray(b"FFMV")
    names = ["block16.f32.e2m1.e2m1.f32.ue4m3", "block32.f32.e2m1.e2m1.f32.ue8m0", "block16.f32.e2m1.e2m1.f32.ue8m0"]
    for kind, name in enumerate(names):
        op = MMABlockScale("RTX Blackwell", f"m16n8k64.kind::mxf4nvf4.{name}")
        ue4m3 = kind == 0
        for case in range(40 if kind == 0 else 20):
            a = rng.integers(0, 256, size=(16, 32)).astype(np.uint8)
            b = rng.integers(0, 256, size=(8, 32)).astype(np.uint8)
            if case % 4 == 3:  # sparse: whole groups of zeros
                a[:, 8:16] &= 0x88
                b[::2, 16:24] = 0
            if case % 4 == 2:  # cancellation
                a[:, 16:] = a[:, :16] ^ 0x88
                b[:, 16:] = b[:, :16]
            width = 2 if kind == 1 else 4
            sa = scales((16, width), ue4m3, case % 4).astype(np.uint8)
            sb = scales((8, width), ue4m3, (case // 4) % 4).astype(np.uint8)
            if case % 4 == 2:
                sa[:, width // 2:] = sa[:, : width // 2]
                sb[:, width // 2:] = sb[:, : width // 2]
            c = floats((16, 8), (case // 2) % 5)
            dtype = torch.float8_e4m3fn if ue4m3 else torch.float8_e8m0fnu
            d = op(
                torch.from_numpy(swap(a)),
                torch.from_numpy(swap(b)).T,
                torch.from_numpy(c),
                torch.from_numpy(sa).view(dtype),
                torch.from_numpy(sb).view(dtype).T,
            ).numpy()
            out += np.uint32(kind).tobytes() + a.tobytes() + b.tobytes()
            out += np.repeat(sa, 4 // width, axis=1).tobytes() + np.repeat(sb, 4 // width, axis=1).tobytes()
            out += c.tobytes() + d.astype(np.float32).tobytes()
    for kind, (arch, name) in enumerate(
        [("Hopper", "bf16"), ("Hopper", "f16"), ("Ampere", "bf16"), ("Ampere", "f16")], start=3
    ):
        op = MMA(arch, f"m16n8k16.f32.{name}.{name}.f32")
        dtype = torch.bfloat16 if name == "bf16" else torch.float16
        for case in range(12):
            spread = [0, 3, 8, 0][case % 4]
            def operand(shape):
                value = rng.normal(size=shape) * np.exp2(rng.integers(-spread, spread + 1, size=shape))
                if case % 4 == 3:
                    value *= 2.0 ** (-18 if name == "f16" else -64)
                return torch.from_numpy(value.astype(np.float32)).to(dtype)
            a, b = operand((16, 16)), operand((16, 8))
            c = floats((16, 8), [0, 1, 0, 3][case % 4])
            d = op(a, b, torch.from_numpy(c)).numpy()
            out += np.uint32(kind).tobytes() + a.view(torch.int16).numpy().tobytes()
            out += b.T.contiguous().view(torch.int16).numpy().tobytes() + c.tobytes() + d.astype(np.float32).tobytes()
    with open(sys.argv[1], "wb") as file:
        file.write(out)


main()
