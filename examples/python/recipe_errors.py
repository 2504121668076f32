#!/usr/bin/env python3
# What four bits cost, recipe by recipe: the error of y, dx and dw of one linear layer, on activations of a real model.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""recipe_errors.py [DEVICE] [RECIPE...]: by default on this machine's processor, and all recipes that can be named."""

import pathlib
import sys

import numpy

import fourfold

DATA = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/data"


def error(found, exact):
    """Relative to the norm of the exact product."""
    return numpy.linalg.norm(fourfold.float32(found) - exact) / numpy.linalg.norm(exact)


def main():
    device = sys.argv[1] if len(sys.argv) > 1 else "host"
    x = numpy.load(DATA / "minilm_x.npy").astype(numpy.float32)[:128]
    w = numpy.load(DATA / "minilm_w.npy").astype(numpy.float32)
    # A gradient with a mean over tokens, as activations have one.
    d = numpy.random.default_rng(0).normal(0.02, 0.05, (len(x), len(w))).astype(numpy.float32)
    exact = x @ w.T, d @ w, d.T @ x

    print(f"{len(x)} tokens, {w.shape[1]} to {w.shape[0]} features, on {device}: relative errors of y, dx, dw")
    for recipe in sys.argv[2:] or fourfold.recipes():
        layer = fourfold.Linear(w.shape[1], w.shape[0], recipe, device, seed=1)
        layer.weight = w
        y, context = layer.forward(x)
        gradients = layer.backward(context, d)
        errors = [error(found, product) for found, product in zip((y, gradients.x, gradients.weight), exact)]
        print(f"{recipe:16}" + "".join(f"{value:10.4f}" for value in errors))
    return 0


if __name__ == "__main__":
    sys.exit(main())
