#!/usr/bin/env python3
# The linear layer on NumPy arrays, against fake quantization in NumPy (random bits included), central differences, and the specs themselves.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import threading
import unittest

import reference
from reference import SPECS, numpy

import fourfold

DEVICE = "emulated:sm_120a"
TOKENS, IN, OUT = 24, 48, 32


def normal(*shape, seed=1, mean=0.0):
    """Values that bf16 has."""
    return fourfold.float32(fourfold.bf16(numpy.random.default_rng(seed).normal(mean, 1, shape)))


def layer(recipe, device, **options):
    made = fourfold.Linear(IN, OUT, recipe, device, **options)
    made.weight = normal(OUT, IN, seed=2)
    return made


class Layers(unittest.TestCase):
    def test_forward_and_backward_against_numpy(self):
        """Three micro-batches, so that offsets advance and weights are kept; a new weight is quantized anew."""
        for device in ("host", DEVICE):
            made = layer("nvfp4", device, seed=2**40 + 7)
            for offset in range(3):
                x, d = normal(TOKENS, IN, seed=3 + offset), normal(TOKENS, OUT, seed=6 + offset)
                if offset == 2:
                    made.weight = normal(OUT, IN, seed=9)
                w = fourfold.float32(made.weight)
                y, context = made.forward(x)
                gradients = made.backward(context, d)
                expected = reference.nvfp4_linear(x, w, d, 2**40 + 7, offset)
                for found, wanted, name in zip((y, gradients.x, gradients.weight), expected, ("y", "dx", "dw")):
                    reference.close(self, fourfold.float32(found), wanted, f"{device}, offset {offset}: {name}")
                self.assertIsNone(gradients.bias)
            self.assertEqual(made.offset, 3)

    def test_recipes_have_the_bits_of_their_specs(self):
        """averis, with bias and mask, in a three-dimensional batch."""
        x, d = normal(2, TOKENS // 2, IN, mean=1), normal(2, TOKENS // 2, OUT, mean=0.1)
        bias, mask = normal(OUT, seed=4), numpy.ones((2, TOKENS // 2), dtype=bool)
        mask[1, 3:] = False
        flat = {"x": fourfold.bf16(x.reshape(-1, IN)), "d": fourfold.bf16(d.reshape(-1, OUT)), "mask": mask.reshape(-1), "seed": 5, "offset": 0}
        for device in ("host", DEVICE):
            made = layer("averis", device, bias=True, mask=True, seed=5)
            made.bias = bias
            y, context = made.forward(x, mask)
            gradients = made.backward(context, d)
            run = lambda name, *arguments, **more: fourfold.evaluate(
                SPECS / "averis" / f"linear_{name}.mlir", **{key: flat[key] for key in arguments}, **more)
            expected = run("forward", "x", "mask", w=made.weight, bias=bias)["y"], \
                run("dgrad", "d", "mask", "seed", "offset", w=made.weight)["dx"], *run("wgrad", "d", "x", "mask", "seed", "offset").values()
            for found, wanted, name in zip((y, *gradients), expected, ("y", "dx", "dw", "db")):
                wide = fourfold.float32(found).reshape(wanted.shape)
                reference.close(self, wide, fourfold.float32(wanted), f"{device}: {name}", steps=2.01)
            self.assertEqual(y.shape, (2, TOKENS // 2, OUT))
            self.assertTrue((fourfold.float32(y)[1, 3:] == 0).all())

    def test_central_differences(self):
        """In bf16 and with small integers everything is exact, so that differences are the gradients."""
        rng = numpy.random.default_rng(8)
        whole = lambda *shape: rng.integers(-2, 3, shape).astype(numpy.float32)
        x, w, d, bias = whole(6, 8), whole(5, 8), whole(6, 5), whole(5)
        for device in ("host", DEVICE):
            made = fourfold.Linear(8, 5, "bf16", device, bias=True)

            def loss(x, w, bias):
                made.weight, made.bias = w, bias
                return float((fourfold.float32(made(x)) * d).sum())
            loss(x, w, bias)
            gradients = made.backward(made.forward(x)[1], d)
            for place, (value, gradient) in enumerate(zip((x, w, bias), gradients)):
                for index in [(1,) * value.ndim, (4,) * value.ndim, (0,) * value.ndim]:
                    shifted = [[argument.copy() for argument in (x, w, bias)] for _ in range(2)]
                    shifted[0][place][index] += 1
                    shifted[1][place][index] -= 1
                    slope = (loss(*shifted[0]) - loss(*shifted[1])) / 2
                    self.assertEqual(slope, float(fourfold.float32(gradient)[index]), (device, place, index))

    def test_contexts_keep_what_they_began_with(self):
        for recipe, device in (("averis", "host"), ("bf16", "host"), ("nvfp4", DEVICE)):
            x, d = fourfold.bf16(normal(TOKENS, IN)), normal(TOKENS, OUT, seed=5)
            made = layer(recipe, device)
            y, context = made.forward(x)
            before = made.backward(context, d)
            x[:] = fourfold.bf16(7)
            made.weight = normal(OUT, IN, seed=11)
            made.forward(normal(TOKENS, IN, seed=12))
            after = made.backward(context, d)
            for one, other in zip(before, after):
                if one is not None:
                    numpy.testing.assert_array_equal(one, other)

    def test_seeds_and_offsets_are_other_bits(self):
        x, d = normal(TOKENS, IN), normal(TOKENS, OUT, seed=5)
        gradients = []
        for seed in (1, 2):
            made = layer("nvfp4", "host", seed=seed)
            gradients += [fourfold.float32(made.backward(made.forward(x)[1], d).x) for _ in range(2)]
        for i in range(4):
            for j in range(i):
                self.assertGreater(numpy.abs(gradients[i] - gradients[j]).max(), 0)

    def test_threads_and_ragged_sizes(self):
        made = layer("nvfp4", "host")
        xs = [normal(1 + 7 * number, IN, seed=number) for number in range(6)]
        expected = [made(x) for x in xs]
        found = [None] * 6

        def run(number):
            found[number] = made.forward(xs[number])[0]
        threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one, other in zip(expected, found):
            numpy.testing.assert_array_equal(one.view("u2"), other.view("u2"))

    def test_mistakes(self):
        made, x = layer("averis", "host"), normal(TOKENS, IN)
        y, context = made.forward(x)
        wrong = fourfold.InvalidArgumentError
        cases = [
            (wrong, r"x has shape \(24, 32\), expected \(\.\.\., 48\)", lambda: made(normal(TOKENS, OUT))),
            (wrong, "x has dtype int64", lambda: made(numpy.ones((TOKENS, IN), dtype=int))),
            (wrong, "there are no tokens", lambda: made(x[:0])),
            (wrong, "made without a mask", lambda: made(x, numpy.ones(TOKENS, dtype=bool))),
            (wrong, "made with a mask, and forward got none", lambda: layer("averis", "host", mask=True)(x)),
            (wrong, r"mask has shape \(3,\), expected x's without its last extent, \(24,\)",
             lambda: layer("averis", "host", mask=True)(x, numpy.ones(3, dtype=bool))),
            (wrong, r"d has shape \(24, 48\), expected y's, \(24, 32\)", lambda: made.backward(context, x)),
            (wrong, "not of a forward pass of this layer", lambda: layer("averis", "host").backward(context, y)),
            (wrong, r"weight has shape \(2, 2\), expected \(32, 48\)", lambda: setattr(made, "weight", numpy.ones((2, 2)))),
            (wrong, "made without a bias", lambda: setattr(made, "bias", numpy.ones(OUT))),
            (wrong, "no weight yet", lambda: fourfold.Linear(IN, OUT, "averis", "host")(x)),
            (wrong, "in_features = 0: expected a whole number, 1 or more", lambda: fourfold.Linear(0, OUT)),
            (fourfold.NotFoundError, "there is no recipe 'nothing'; there are averis, ", lambda: layer("nothing", "host")),
            (fourfold.NotFoundError, "there is no recipe 'nothing'", lambda: layer("nothing", DEVICE)),
            (wrong, "'nvfp4' has no input 'mask'", lambda: layer("nvfp4", "host", mask=True)),
            (wrong, "unknown mode 'quick'", lambda: layer("averis", "host", mode="quick")),
            (fourfold.NotFoundError, "does not exist", lambda: layer("averis", "emulated:sm_1")),
        ]
        for kind, words, call in cases:
            with self.subTest(words), self.assertRaisesRegex(kind, words):
                call()
        numpy.testing.assert_array_equal(made.backward(context, y).x.shape, (TOKENS, IN))

    def test_recipes(self):
        recipes = fourfold.recipes()
        self.assertIn("averis", recipes)
        by_folder = layer(str(SPECS / "averis"), "host")
        numpy.testing.assert_array_equal(by_folder(normal(4, IN)).view("u2"), layer("averis", "host")(normal(4, IN)).view("u2"))


if __name__ == "__main__":
    reference.main()
