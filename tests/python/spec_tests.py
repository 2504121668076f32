#!/usr/bin/env python3
# Specs from Python, against fake quantization in NumPy and the reference evaluator; every mistake beside a call that is right.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import threading
import unittest
import warnings

import reference
from reference import SPECS, numpy

import fourfold

DEVICE = "emulated:sm_120a"
FORWARD = SPECS / "nvfp4" / "linear_forward.mlir"
ONE_OF_EACH = """
func.func @each(%a: tensor<?x4xf32>, %n: tensor<?xi8>) -> (tensor<?x4xf32>, tensor<4xf32>) {
  %sum = fp4.column_sum %a mask(%n : tensor<?xi8>) : tensor<?x4xf32> -> tensor<4xf32>
  %wide = fp4.prologue %a rows(%sum : tensor<4xf32>) {
  ^bb0(%v: f32, %s: f32):
    %t = arith.addf %v, %s : f32
    fp4.yield %t : f32
  } : tensor<?x4xf32> -> tensor<?x4xf32>
  return %wide, %sum : tensor<?x4xf32>, tensor<4xf32>
}
"""


def matrix(*shape, seed=1, mean=0.0):
    return fourfold.bf16(numpy.random.default_rng(seed).normal(mean, 1, shape))


class Specs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.spec = fourfold.compile(FORWARD, device=DEVICE)
        cls.x, cls.w = matrix(20, 48), matrix(32, 48, seed=2)

    def test_agrees_with_numpy_and_the_evaluator(self):
        y = self.spec(x=self.x, w=self.w)["y"]
        self.assertEqual((y.shape, y.dtype), ((20, 32), self.x.dtype))
        expected = reference.nvfp4(fourfold.float32(self.x)) @ reference.nvfp4(fourfold.float32(self.w)).T
        reference.close(self, fourfold.float32(y), expected, "y")
        evaluated = fourfold.evaluate(FORWARD, x=self.x, w=self.w)["y"]
        reference.close(self, fourfold.float32(y), fourfold.float32(evaluated), "y", steps=2.01)
        hosted = fourfold.compile(FORWARD, device="host")
        self.assertEqual(hosted.device, "host")
        numpy.testing.assert_array_equal(hosted(self.x, self.w)["y"].view("u2"), evaluated.view("u2"))

    def test_says_what_it_has(self):
        self.assertEqual(str(self.spec.arguments[0]), "x: bf16[d0, d1]")
        self.assertEqual([result.name for result in self.spec.results], ["y"])
        self.assertIn("emulated:sm_120a", repr(self.spec))
        sizes = self.spec.bind(x=(20, 48), w=(32, 48)).sizes
        self.assertEqual(sizes.results, {"y": (20, 32)})
        self.assertGreater(sizes.workspace, 0)

    def test_launches_on_memory_of_the_caller(self):
        device = fourfold.Device(DEVICE)
        spec = fourfold.compile(FORWARD, device=device)
        binding = spec.bind(x=(20, 48), w=(32, 48))
        x, w, y = device.upload(self.x), device.upload(self.w), device.allocate(20 * 32 * 2)
        workspace = device.allocate(binding.sizes.workspace)
        addresses = {"x": x.address, "w": w.address}
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "expects a workspace of"):
            spec.launch(binding, addresses, {"y": y.address})
        with self.assertRaisesRegex(TypeError, "results has no address for 'y'"):
            spec.launch(binding, addresses, {}, workspace.address)
        spec.launch(binding, addresses, {"y": y.address}, workspace.address)
        found = device.download(y, numpy.empty((20, 32), dtype=numpy.uint16))
        numpy.testing.assert_array_equal(found, self.spec(self.x, self.w)["y"].view("u2"))

    def test_ahead_of_time(self):
        manifest, ptx = fourfold.emit(FORWARD, "manifest"), fourfold.emit(FORWARD, "ptx")
        loaded = fourfold.load(manifest, ptx, device=DEVICE)
        numpy.testing.assert_array_equal(loaded(self.x, self.w)["y"], self.spec(self.x, self.w)["y"])
        with self.assertRaises(fourfold.InvalidArgumentError):
            fourfold.load("{}", ptx, device=DEVICE)
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "unknown stage 'cubin'"):
            fourfold.emit(FORWARD, "cubin")

    def test_optional_arguments(self):
        spec = fourfold.compile(FORWARD, device="host", optional=["bias"])
        bias = numpy.arange(32, dtype=numpy.float32)
        y = fourfold.float32(spec(x=self.x, w=self.w, bias=bias)["y"])
        expected = reference.nvfp4(fourfold.float32(self.x)) @ reference.nvfp4(fourfold.float32(self.w)).T + bias
        reference.close(self, y, expected, "y")
        numpy.testing.assert_array_equal(fourfold.evaluate(FORWARD, x=self.x, w=self.w, bias=bias)["y"].view("u2"), fourfold.bf16(y).view("u2"))
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "optional names 'mask', but the optional arguments of 'linear_forward' are bias"):
            fourfold.compile(FORWARD, device="host", optional=["mask"])

    def test_element_types_and_two_results(self):
        for device in ("host", DEVICE):
            spec = fourfold.compile(ONE_OF_EACH, device=device)
            a = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
            results = spec(a=a, n=numpy.array([True, False, True]))
            self.assertEqual(list(results), ["wide", "sum"])
            numpy.testing.assert_array_equal(results["sum"], a[0] + a[2])
            numpy.testing.assert_array_equal(results["wide"], a + a[0] + a[2])
            # Another byte order, and memory that is not contiguous.
            results = spec(a=a.astype(">f4").T.copy().T, n=numpy.array([1, 0, 1], dtype=numpy.int8))
            numpy.testing.assert_array_equal(results["sum"], a[0] + a[2])

    def test_wrong_arguments(self):
        spec, x, w = self.spec, self.x, self.w
        cases = [
            (TypeError, "argument 'w' is missing", (x,), {}),
            (TypeError, "argument 'x' is given twice", (x,), {"x": x}),
            (TypeError, "there is no argument 'bias'.*optional=", (x, w), {"bias": x}),
            (TypeError, "3 arguments, the spec has 2", (x, w, w), {}),
            (fourfold.InvalidArgumentError, r"'w' has shape \(48,\), but the spec's is w: bf16\[d2, d1\]: 2 dimensions", (x, w[0]), {}),
            (fourfold.InvalidArgumentError, "dimension 1 is 32, but dimension 1 of 'x' says 48", (x, matrix(32, 32)), {}),
            (fourfold.InvalidArgumentError, r"'x' has dtype float32, but the spec's is bf16.*fourfold.bf16\(x\)", (fourfold.float32(x), w), {}),
            (fourfold.InvalidArgumentError, "0 in dimension 0", (x[:0], w), {}),
        ]
        for kind, words, positional, named in cases:
            with self.subTest(words), self.assertRaisesRegex(kind, words):
                spec(*positional, **named)
        spec(x, w)
        self.assertTrue(issubclass(fourfold.InvalidArgumentError, ValueError) and issubclass(fourfold.InvalidArgumentError, fourfold.Error))

    def test_rejected_specs(self):
        with self.assertRaisesRegex(fourfold.CompileError, r"^<spec>:1:\d+: error: "):
            fourfold.compile("func.func @broken(", device="host")
        with self.assertRaisesRegex(fourfold.NotFoundError, "no emulated device 'sm_1'"):
            fourfold.compile(FORWARD, device="emulated:sm_1")
        with self.assertRaises(FileNotFoundError):
            fourfold.compile("nothing.mlir", device="host")
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "quick.: expected fast or faithful"):
            fourfold.compile(FORWARD, device=DEVICE, mode="quick")
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "quick.: expected fast or faithful"):
            fourfold.compile(FORWARD, device="host", mode="quick")
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "is not text"):
            fourfold.compile(SPECS.parent / "tests/data/minilm_x.npy", device="host")

    def test_threads(self):
        expected, found = self.spec(self.x, self.w)["y"], []
        threads = [threading.Thread(target=lambda: found.append(self.spec(self.x, self.w)["y"])) for _ in range(4)]
        errors = []

        def fail():
            try:
                self.spec(self.x[:0], self.w)
            except fourfold.InvalidArgumentError as error:
                errors.append(str(error))
        threads += [threading.Thread(target=fail) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(found), len(errors)), (4, 4))
        for y in found:
            numpy.testing.assert_array_equal(y, expected)
        for text in errors:
            self.assertIn("0 in dimension 0", text)


class Numbers(unittest.TestCase):
    def test_rounding_to_bf16(self):
        values = numpy.concatenate([numpy.random.default_rng(3).normal(0, 10.0**exponent, 500) for exponent in (-40, -38, -3, 0, 30)])
        values = numpy.concatenate([values, [0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, numpy.inf, -numpy.inf]]).astype(numpy.float32)
        found = fourfold.float32(fourfold.bf16(values))
        finite = numpy.isfinite(values)
        numpy.testing.assert_array_equal(found[finite], reference.round_bf16(values[finite]))
        numpy.testing.assert_array_equal(found[~finite], values[~finite])
        self.assertTrue(numpy.isnan(fourfold.float32(fourfold.bf16(numpy.float32("nan")))))
        self.assertTrue(numpy.signbit(fourfold.float32(fourfold.bf16(-0.0))))
        try:
            import ml_dtypes
        except ImportError:
            return
        numpy.testing.assert_array_equal(fourfold.bf16(values).view("u2"), values.astype(ml_dtypes.bfloat16).view("u2"))
        self.assertEqual(fourfold.bf16(values).dtype, ml_dtypes.bfloat16)


if __name__ == "__main__":
    warnings.simplefilter("error")
    reference.main()
