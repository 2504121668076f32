#!/usr/bin/env python3
# PyTorch beside Fourfold's layer: its bf16 linear, and NVFP4 as people write it without kernels of their own (fake quantization).
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import argparse
import json
import sys
import time

SKIP = 77


def options():
    parser = argparse.ArgumentParser(description="Times PyTorch's bf16 linear and plain-PyTorch fake quantization, forward and backward.",
                                     epilog="exit status: 0 measured; 77 no PyTorch, or no GPU where one is asked for; 2 wrong usage")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--features", type=int, default=4096, help="features in and out, a multiple of 16")
    parser.add_argument("--repetitions", type=int, default=7, help="after one warm-up, interleaved")
    parser.add_argument("--json", help="write everything to this file")
    arguments = parser.parse_args()
    if arguments.features % 16 or min(arguments.tokens, arguments.features, arguments.repetitions) < 1:
        parser.error("--features must be a multiple of 16, and all numbers at least 1")
    return arguments


OPTIONS = options()
try:
    import torch
except ImportError:
    print("SKIPPED: PyTorch is not installed")
    sys.exit(SKIP)
if OPTIONS.device == "cuda" and not torch.cuda.is_available():
    print("SKIPPED: PyTorch sees no GPU")
    sys.exit(SKIP)


def quantize(x):
    """NVFP4 in 1x16 blocks, rounded to nearest and back, in the order of docs/numerics.md."""
    blocks = x.float().reshape(*x.shape[:-1], -1, 16)
    tensor = 2688.0 / x.float().abs().amax().clamp_min(1e-30)
    scale = (blocks.abs().amax(-1, keepdim=True) * (tensor / 6)).clamp_max(448.0).to(torch.float8_e4m3fn).float()
    encode = torch.where(scale > 0, tensor / scale, torch.zeros_like(scale))
    v = (blocks * encode).clamp(-6, 6)
    # The spacing of e2m1: .5 below 2, 1 below 4, 2 above; round() goes to even, as the codes do.
    step = torch.where(v.abs() < 2, 0.5, torch.where(v.abs() < 4, 1.0, 2.0))
    return ((v / step).round() * step * scale / tensor).reshape(x.shape).to(x.dtype)


class FakeQuantized(torch.autograd.Function):
    @staticmethod
    def forward(context, x, w):
        context.save_for_backward(x, w)
        return quantize(x) @ quantize(w).t()

    @staticmethod
    def backward(context, d):
        x, w = context.saved_tensors
        columns = lambda matrix: quantize(matrix.t().contiguous())  # noqa: E731 - scaled along the contracted axis
        return quantize(d) @ columns(w).t(), columns(d) @ columns(x).t()


def synchronize():
    if OPTIONS.device == "cuda":
        torch.cuda.synchronize()


def milliseconds(work):
    count = 10 if OPTIONS.device == "cuda" else 1
    synchronize()
    start = time.perf_counter()
    for _ in range(count):
        work()
    synchronize()
    return (time.perf_counter() - start) * 1e3 / count


def main():
    torch.manual_seed(0)
    tokens, features = OPTIONS.tokens, OPTIONS.features
    if tokens % 16:
        sys.exit("torch_baseline.py: error: --tokens must be a multiple of 16 for wgrad in blocks of 16")
    make = lambda rows: torch.randn(rows, features, device=OPTIONS.device).to(torch.bfloat16)  # noqa: E731
    x, w, d = make(tokens).requires_grad_(), make(features).requires_grad_(), make(tokens)

    def both(function):
        x.grad = w.grad = None
        function(x, w).backward(d)

    variants = {
        "PyTorch bf16 linear, forward": lambda: torch.nn.functional.linear(x.detach(), w.detach()),
        "PyTorch bf16 linear, forward and backward": lambda: both(torch.nn.functional.linear),
        "PyTorch fake NVFP4, forward": lambda: FakeQuantized.apply(x.detach(), w.detach()),
        "PyTorch fake NVFP4, forward and backward": lambda: both(FakeQuantized.apply),
    }
    samples = {name: [] for name in variants}
    for repetition in range(OPTIONS.repetitions + 1):
        for name, work in variants.items():
            value = milliseconds(work)
            if repetition:
                samples[name].append(value)
    measurements = []
    for name, values in samples.items():
        values.sort()
        at = lambda fraction: values[round(fraction * (len(values) - 1))]  # noqa: E731, B023
        measurements.append({"name": name, "median": at(0.5), "low": at(0.25), "high": at(0.75), "unit": "ms", "samples": values})
        print(f"{name:44} {at(0.5):10.4g} ms  {at(0.25):.4g}..{at(0.75):.4g}")
    if OPTIONS.json:
        device = torch.cuda.get_device_name() if OPTIONS.device == "cuda" else "cpu"
        with open(OPTIONS.json, "w") as file:
            json.dump({"torch": torch.__version__, "cuda": torch.version.cuda, "device": device, "tokens": tokens,
                       "features": features, "measurements": measurements}, file, indent=1)
            file.write("\n")
    print(f"{len(measurements)} measurements, PyTorch {torch.__version__}")


main()
