# What the tests of fourfold.torch share.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import sys

import reference
from reference import numpy

try:
    import torch
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(77)

import fourfold
import fourfold.torch

TOKENS, IN, OUT = 24, 48, 32


def normal(*shape, seed=1, mean=0.0):
    """Values that bf16 has."""
    values = torch.from_numpy(numpy.random.default_rng(seed).normal(mean, 1, shape).astype(numpy.float32))
    return values.bfloat16().float()


def layer(recipe="nvfp4", bias=True, **options):
    made = fourfold.torch.Linear(IN, OUT, bias, recipe=recipe, seed=options.pop("seed", 5), **options)
    with torch.no_grad():
        made.weight.copy_(normal(OUT, IN, seed=2))
        if bias:
            made.bias.copy_(normal(OUT, seed=3))
    return made
