#!/usr/bin/env python3
# Kernels whose tcgen05 instructions, descriptors and layouts are Triton's: writes triton_NAME_sm_100a.ptx beside itself. Needs no GPU.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The files here: Triton 3.9.0 (PyPI). Debug information is left out, and .version 9.4, of which nothing is used, made 9.0.
import os
import re

import triton
import triton.backends.nvidia.compiler as backend
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

backend.CUDABackend.make_cubin = lambda self, src, metadata, options, capability: b"none"  # PTX is enough


@triton.jit
def product(a, b, c, K, M: tl.constexpr, N: tl.constexpr, STEP: tl.constexpr, TRANSPOSED: tl.constexpr, SUM: tl.constexpr):
    """c (M x N) = a (M x K; K x M where transposed) times b (N x K) transposed."""
    rows = tl.arange(0, M)
    columns = tl.arange(0, N)
    steps = tl.arange(0, STEP)
    total = tl.zeros((M, N), SUM)
    for k in range(0, K, STEP):
        left = tl.load(a + rows[:, None] * (1 if TRANSPOSED else K) + (k + steps)[None, :] * (M if TRANSPOSED else 1))
        right = tl.load(b + columns[None, :] * K + (k + steps)[:, None])
        total = tl.dot(left, right, total, out_dtype=SUM)
    tl.store(c + rows[:, None] * N + columns[None, :], total)


@triton.jit
def scaled(a, b, scales_a, scales_b, c, K, M: tl.constexpr, N: tl.constexpr, STEP: tl.constexpr):
    """NVFP4: c (M x N) of rows of packed codes and of scales, one for 16 codes."""
    rows = tl.arange(0, M)
    columns = tl.arange(0, N)
    codes = tl.arange(0, STEP // 2)
    blocks = tl.arange(0, STEP // 16)
    total = tl.zeros((M, N), tl.float32)
    for k in range(0, K, STEP):
        left = tl.load(a + rows[:, None] * (K // 2) + (k // 2 + codes)[None, :])
        right = tl.load(b + columns[None, :] * (K // 2) + (k // 2 + codes)[:, None])
        scale_left = tl.load(scales_a + rows[:, None] * (K // 16) + (k // 16 + blocks)[None, :])
        scale_right = tl.load(scales_b + columns[:, None] * (K // 16) + (k // 16 + blocks)[None, :])
        total = tl.dot_scaled(left, scale_left, "e2m1", right, scale_right, "e2m1", total)
    tl.store(c + rows[:, None] * N + columns[None, :], total)


@triton.jit
def attention(q, k, v, out, KEYS, M: tl.constexpr, N: tl.constexpr, D: tl.constexpr):
    rows = tl.arange(0, M)
    columns = tl.arange(0, N)
    features = tl.arange(0, D)
    query = tl.load(q + rows[:, None] * D + features[None, :])
    largest = tl.full((M,), -1e30, tl.float32)
    weight = tl.zeros((M,), tl.float32)
    total = tl.zeros((M, D), tl.float32)
    for first in range(0, KEYS, N):
        key = tl.load(k + (first + columns)[:, None] * D + features[None, :])
        value = tl.load(v + (first + columns)[:, None] * D + features[None, :])
        score = tl.dot(query, tl.trans(key))
        larger = tl.maximum(largest, tl.max(score, 1))
        p = tl.exp2(score - larger[:, None])
        shrink = tl.exp2(largest - larger)
        weight = weight * shrink + tl.sum(p, 1)
        total = tl.dot(p.to(tl.bfloat16), value, total * shrink[:, None])
        largest = larger
    tl.store(out + rows[:, None] * D + features[None, :], total / weight[:, None])


def write(name, function, types, constants):
    signature = dict(types, **{constant: "constexpr" for constant in constants})
    kernel = triton.compile(ASTSource(function, signature=signature, constexprs=constants), target=GPUTarget("cuda", 100, 32),
                            options={"num_warps": 4, "num_stages": 2})
    text = kernel.asm["ptx"].replace(".version 9.4", ".version 9.0").replace(", debug", "")
    text = text[: text.index("\t.file")] if "\t.file" in text else text
    lines = [line for line in text.splitlines() if line.strip() and not re.match(r"\s*(\.loc|//|\$L__tmp|\$L__func)", line)]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "triton_%s_sm_100a.ptx" % name)
    with open(path, "w") as file:
        file.write("// Made by triton_sm_100a.py; %d bytes of shared memory, 128 threads.\n" % kernel.metadata.shared + "\n".join(lines) + "\n")
    print(path, kernel.metadata.shared)


def main():
    def product_types(element, result):
        return {"a": element, "b": element, "c": result, "K": "i32"}

    write("m64", product, product_types("*fp16", "*fp32"), {"M": 64, "N": 32, "STEP": 64, "TRANSPOSED": False, "SUM": tl.float32})
    write("half", product, product_types("*fp16", "*fp16"), {"M": 128, "N": 32, "STEP": 64, "TRANSPOSED": False, "SUM": tl.float16})
    write("tensor_a", product, product_types("*bf16", "*fp32"), {"M": 128, "N": 64, "STEP": 64, "TRANSPOSED": True, "SUM": tl.float32})
    write("nvfp4", scaled, {"a": "*u8", "b": "*u8", "scales_a": "*fp8e4nv", "scales_b": "*fp8e4nv", "c": "*fp32", "K": "i32"},
          {"M": 128, "N": 64, "STEP": 128})
    write("attention", attention, {"q": "*bf16", "k": "*bf16", "v": "*bf16", "out": "*fp32", "KEYS": "i32"}, {"M": 128, "N": 64, "D": 64})


main()
