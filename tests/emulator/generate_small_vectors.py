#!/usr/bin/env python3
# Frozen vectors of tensor-core steps on tf32, FP8, FP6 and FP4 in bytes, and of wgmma, from MMA-Sim (arXiv 2511.10909, PyPI mmasim 2.1.1).
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""usage: generate_small_vectors.py OUTPUT   (needs: pip install mmasim==2.1.1 torch numpy)

Read by MmaVectorTests.cpp. Binary, little endian: "FFSV", then records: target (u32 length, text), instruction (u32 length, text as MMA-Sim
names it), m, k (u32), bytes of a container (u32),
A m x k and B 8 x k (column by column) in containers, scales of A (m) and of B (8) as bytes, C and D m x 8 f32.
"""
import sys

import numpy as np
import torch
from mmasim.nv_ptx.sim import MMA, WGMMA, MMABlockScale

rng = np.random.default_rng(20260101)
BITS = {"e4m3": 8, "e5m2": 8, "e3m2": 6, "e2m3": 6, "e2m1": 4}
TORCH = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2, "bf16": torch.bfloat16, "f16": torch.float16}


def operand(name, shape, case):
    """Containers as u32, and the tensor that MMA-Sim takes."""
    if name in BITS:
        codes = rng.integers(0, 2 ** BITS[name], size=shape)
        if case % 4 != 3 and name in ("e4m3", "e5m2"):  # no NaN, no infinity
            top = 0x7E if name == "e4m3" else 0x7B
            codes = np.where((codes & 0x7F) > top, codes & 0x8F, codes)
        containers = (codes << 2 if name == "e2m1" else codes).astype(np.uint8)
        tensor = torch.from_numpy(containers)
        return containers.astype(np.uint32), tensor.view(TORCH[name]) if name in TORCH else tensor
    spread = [0, 3, 8, 0][case % 4]
    value = (rng.normal(size=shape) * np.exp2(rng.integers(-spread, spread + 1, size=shape))).astype(np.float32)
    if case % 4 == 3:
        value *= np.float32(2.0 ** (-18 if name == "f16" else -64))
    if name == "tf32":
        return value.view(np.uint32), torch.from_numpy(value)
    tensor = torch.from_numpy(value).to(TORCH[name])
    return tensor.view(torch.int16).numpy().view(np.uint16).astype(np.uint32), tensor


def main():
    out = bytearray(b"FFSV")
    names = [("sm_90a", "Hopper", MMA, "m16n8k8.f32.tf32.tf32.f32"), ("sm_80", "Ampere", MMA, "m16n8k8.f32.tf32.tf32.f32"),
             ("sm_80", "Ampere", MMA, "m16n8k4.f32.tf32.tf32.f32")]
    names += [("sm_120a", "RTX Blackwell", MMA, f"m16n8k{k}.{d}.{a}.{b}.{d}") for k in (16, 32) for a, b, d in
              [("e4m3", "e4m3", "f32"), ("e4m3", "e5m2", "f32"), ("e5m2", "e5m2", "f16")]]
    small = ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1"]
    names += [("sm_120a", "RTX Blackwell", MMA, f"m16n8k32.kind::f8f6f4.f32.{a}.{b}.f32") for a in small for b in small]
    names += [("sm_120a", "RTX Blackwell", MMA, "m16n8k32.kind::f8f6f4.f16.e3m2.e2m1.f16")]
    names += [("sm_120a", "RTX Blackwell", MMABlockScale, f"m16n8k32.kind::mxf8f6f4.block32.f32.{a}.{b}.f32.ue8m0") for a in small for b in small]
    names += [("sm_90a", "Hopper", WGMMA, f"m64n8k{k}.{d}.{a}.{b}") for a, b, k, d in
              [("bf16", "bf16", 16, "f32"), ("f16", "f16", 16, "f32"), ("f16", "f16", 16, "f16"), ("tf32", "tf32", 8, "f32"),
               ("e4m3", "e4m3", 32, "f32"), ("e5m2", "e4m3", 32, "f32"), ("e4m3", "e5m2", 32, "f16")]]
    for target, arch, cls, name in names:
        parts = name.split(".")
        m, k = int(parts[0][1:parts[0].index("n")]), int(parts[0][parts[0].index("k") + 1:])
        isScaled = cls is MMABlockScale
        d, a, b = parts[3:6] if isScaled else [p for p in parts[1:] if not p.startswith("kind")][:3]
        op = cls(arch, name)
        for case in range(4):
            codesA, tensorA = operand(a, (m, k), case)
            codesB, tensorB = operand(b, (8, k), case)
            c = rng.normal(size=(m, 8)).astype(np.float32) * np.float32([1, 100, 0, 1e-3][case])
            tensorC = torch.from_numpy(c)
            if d == "f16":
                tensorC = tensorC.to(torch.float16)
                c = tensorC.float().numpy()
            scalesA, scalesB = (rng.integers(lo, hi, size=n).astype(np.uint8) for n, (lo, hi) in
                                [(m, [(120, 134), (60, 190), (127, 128), (0, 256)][case]), (8, [(120, 134), (60, 190), (127, 128), (0, 256)][case])])
            args = [tensorA, tensorB.T, tensorC]
            if isScaled:
                args += [torch.from_numpy(scalesA[:, None]).view(torch.float8_e8m0fnu), torch.from_numpy(scalesB[:, None]).view(torch.float8_e8m0fnu).T]
            result = op(*args).float().numpy().astype(np.float32)
            for text in (target, name):
                out += np.uint32(len(text)).tobytes() + text.encode()
            container = np.uint8 if a in BITS else np.uint32 if a == "tf32" else np.uint16
            out += np.array([m, k, container().itemsize], np.uint32).tobytes() + codesA.astype(container).tobytes() + codesB.astype(container).tobytes()
            out += scalesA.tobytes() + scalesB.tobytes() + c.tobytes() + result.tobytes()
    with open(sys.argv[1], "wb") as file:
        file.write(out)


main()
