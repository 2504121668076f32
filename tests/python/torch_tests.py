#!/usr/bin/env python3
# fourfold.torch on CPU tensors: against fake quantization and PyTorch's own linear; caching, copies, checkpoints, autocast.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import copy
import io
import pickle
import unittest
from unittest import mock

import reference
from reference import numpy
from torch_support import IN, OUT, TOKENS, fourfold, layer, normal, torch

from fourfold import _torch_engines as engines


class Numbers(unittest.TestCase):
    def test_against_fake_quantization(self):
        """Two steps: offsets advance by one for each forward pass that may have a backward pass."""
        made = layer()
        for offset in range(2):
            x, d = normal(TOKENS, IN, seed=4 + offset).requires_grad_(), normal(TOKENS, OUT, seed=6 + offset)
            with torch.no_grad():
                made(x)
            made.zero_grad()
            y = made(x)
            y.backward(d)
            expected = reference.nvfp4_linear(x.detach().numpy(), made.weight.detach().numpy(), d.numpy(), 5, offset)
            reference.close(self, y.detach().numpy(), expected[0] + made.bias.detach().numpy(), "y", steps=2.01)
            reference.close(self, x.grad.numpy(), expected[1], "dx")
            reference.close(self, made.weight.grad.numpy(), expected[2], "dw")
            reference.close(self, made.bias.grad.numpy(), d.sum(0).numpy(), "db")
        self.assertEqual(int(made.offset), 2)

    def test_bf16_is_pytorchs_linear(self):
        """Small integers: exact, so that gradients are PyTorch's own, in a three-dimensional batch."""
        rng = numpy.random.default_rng(8)
        whole = lambda *shape: torch.from_numpy(rng.integers(-2, 3, shape).astype(numpy.float32))
        plain = torch.nn.Linear(IN, OUT)
        with torch.no_grad():
            plain.weight.copy_(whole(OUT, IN))
            plain.bias.copy_(whole(OUT))
        ours = fourfold.torch.Linear.from_linear(copy.deepcopy(plain), recipe="bf16")
        x, d = whole(2, 5, IN), whole(2, 5, OUT)
        found = []
        for module in (plain, ours):
            value = x.clone().requires_grad_()
            y = module(value)
            y.backward(d)
            found.append((y.detach(), value.grad, module.weight.grad, module.bias.grad))
        for one, other in zip(*found):
            self.assertTrue(torch.equal(one, other))

    def test_emulated_device_has_the_hosts_bits(self):
        x, d, mask = normal(TOKENS, IN, mean=1), normal(TOKENS, OUT, seed=5), torch.ones(TOKENS, dtype=torch.bool)
        mask[20:] = False
        found = []
        for backend in ("host", "emulated:sm_120a"):
            made, value = layer("averis", backend=backend), x.clone().requires_grad_()
            y = made(value, mask)
            y.backward(d)
            found.append((y.detach(), value.grad, made.weight.grad, made.bias.grad))
        for one, other in zip(*found):
            reference.close(self, one.numpy(), other.numpy(), "averis", steps=2.01)
        self.assertTrue((found[0][0][20:] == 0).all() and (found[0][1][20:] == 0).all())


class Training(unittest.TestCase):
    def test_weights_are_quantized_once_a_version(self):
        made, x = layer(), normal(TOKENS, IN)
        engine = engines.engine_for(x, "host", fourfold.torch.Layer(IN, OUT, "nvfp4", True))
        with mock.patch.object(engine, "quantize", wraps=engine.quantize) as quantize:
            made(x)
            made(x)
            self.assertEqual(quantize.call_count, 1)
            for number, optimizer in enumerate((torch.optim.SGD(made.parameters(), lr=0.1), torch.optim.AdamW(made.parameters(), foreach=True),
                                                torch.optim.AdamW(made.parameters(), fused=True))):
                made(x).sum().backward()
                optimizer.step()
                made(x)
                self.assertEqual(quantize.call_count, 2 + number, type(optimizer))
            made.load_state_dict(layer().state_dict())
            made(x)
            self.assertEqual(quantize.call_count, 5)
            made.weight.data = made.weight.data.clone()
            made(x)
            self.assertEqual(quantize.call_count, 6)
            made.weight.data.mul_(2)  # not counted by PyTorch, but seen
            made(x)
            self.assertEqual(quantize.call_count, 7)
            made.weights_changed()
            with torch.inference_mode():
                made(x)
                made(x)
            self.assertEqual(quantize.call_count, 8)

    def test_backward_uses_the_weight_of_its_forward_pass(self):
        made, x, d = layer("averis"), normal(TOKENS, IN).requires_grad_(), normal(TOKENS, OUT, seed=5)
        y = made(x)
        before, = torch.autograd.grad(y, x, d, retain_graph=True)
        with torch.no_grad():
            made.weight.mul_(3)
        made(x.detach())
        after, = torch.autograd.grad(y, x, d)
        self.assertTrue(torch.equal(before, after))

    def test_micro_batches_add_up(self):
        """In .grad, in a main_grad of fp32, and in bf16 parameters."""
        x, d = normal(TOKENS, IN), normal(TOKENS, OUT, seed=5)
        one, other, half = layer(), layer(), layer().to(torch.bfloat16)
        other.weight.main_grad = torch.zeros(OUT, IN)
        other.bias.main_grad = torch.zeros(OUT)
        for _ in range(3):
            for made in (one, other):
                made(x).backward(d)
            half(x.bfloat16()).backward(d.bfloat16())
        self.assertTrue(torch.equal(one.weight.grad, other.weight.main_grad) and torch.equal(one.bias.grad, other.bias.main_grad))
        self.assertIsNone(other.weight.grad)
        self.assertIsNone(other.bias.grad)
        self.assertEqual((half.weight.grad.dtype, half.bias.grad.dtype), (torch.bfloat16,) * 2)
        self.assertLess((half.weight.grad.float() - one.weight.grad).abs().max() / one.weight.grad.abs().max(), 0.02)
        other.weight.grad_added_to_main_grad = False
        other(x).backward(d)
        self.assertTrue(other.weight.grad_added_to_main_grad)
        other.weight.main_grad = torch.zeros(OUT, IN, dtype=torch.bfloat16)
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "weight.main_grad is torch.bfloat16"):
            other(x).backward(d)

    def test_only_what_is_asked_for(self):
        made, x, d = layer(), normal(TOKENS, IN), normal(TOKENS, OUT, seed=5)
        whole = x.clone().requires_grad_()
        made(whole).backward(d)
        frozen, value = layer(), x.clone().requires_grad_()
        frozen.weight.requires_grad_(False)
        frozen(value).backward(d)
        self.assertTrue(torch.equal(value.grad, whole.grad))
        self.assertIsNone(frozen.weight.grad)
        self.assertTrue(torch.equal(frozen.bias.grad, made.bias.grad))
        first = layer()
        first(x).backward(d)
        self.assertTrue(torch.equal(first.weight.grad, made.weight.grad))
        for parameter in frozen.parameters():
            parameter.requires_grad_(False)
        frozen(x)
        self.assertEqual(int(frozen.offset), 1)
        self.assertEqual(frozen(x[:0]).shape, (0, OUT))
        with self.assertRaisesRegex(RuntimeError, "once_differentiable"):
            y = made(whole).square().sum()
            grad, = torch.autograd.grad(y, whole, create_graph=True)
            grad.sum().backward()

    def test_checkpointing(self):
        made, x, d = layer("averis"), normal(TOKENS, IN).requires_grad_(), normal(TOKENS, OUT, seed=5)
        y = torch.utils.checkpoint.checkpoint(made, x, use_reentrant=False)
        y.backward(d)
        self.assertTrue(torch.isfinite(x.grad).all())

    def test_a_model_learns(self):
        """An MLP whose linears are replaced, except the last; the loss falls as it does in PyTorch's."""
        losses = {}
        for recipe in (None, "nvfp4", "averis"):
            torch.manual_seed(0)
            model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.GELU(), torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.Linear(64, 8))
            if recipe:
                made = fourfold.torch.replace_linears(model, recipe, only=lambda name, linear: name != "4")
                self.assertEqual(list(made), ["0", "2"])
                self.assertEqual(type(model[4]), torch.nn.Linear)
                self.assertEqual(len({int(new.seed) for new in made.values()}), 2)
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
            x = normal(64, 32, mean=0.5)
            target = torch.tanh(x @ normal(32, 8, seed=7) * 0.3)
            for _ in range(60):
                optimizer.zero_grad()
                loss = (model(x) - target).square().mean()
                loss.backward()
                optimizer.step()
            losses[recipe] = float(loss.detach())
        for recipe in ("nvfp4", "averis"):
            self.assertLess(losses[recipe], 0.1, losses)
        self.assertLess(losses[None], 0.1, losses)


class Modules(unittest.TestCase):
    def test_stands_where_pytorchs_stood(self):
        torch.manual_seed(3)
        plain, after = torch.nn.Linear(IN, OUT), torch.rand(())
        torch.manual_seed(3)
        ours, ours_after = fourfold.torch.Linear(IN, OUT), torch.rand(())
        self.assertTrue(torch.equal(plain.weight, ours.weight) and torch.equal(plain.bias, ours.bias) and torch.equal(after, ours_after))
        self.assertEqual(list(plain.state_dict()), list(ours.state_dict()))
        plain.load_state_dict(ours.state_dict())
        ours.load_state_dict(plain.state_dict())
        self.assertEqual(list(layer(bias=False).state_dict()), ["weight"])
        self.assertIn("recipe='averis'", repr(ours))
        other = fourfold.torch.Linear(IN, OUT)
        self.assertNotEqual(int(ours.seed), int(other.seed))
        self.assertEqual(fourfold.torch.Linear(IN, OUT, device="meta").weight.device.type, "meta")

    def test_copies_compute_by_themselves(self):
        made, x, d = layer(), normal(TOKENS, IN), normal(TOKENS, OUT, seed=5)
        made(x).backward(d)
        buffer = io.BytesIO()
        torch.save(made, buffer)
        buffer.seek(0)
        for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), torch.load(buffer, weights_only=False)):
            self.assertEqual((int(other.seed), int(other.offset)), (5, 1))
            self.assertTrue(torch.equal(other(x), layer()(x)))
            with torch.no_grad():
                other.weight.zero_()
            self.assertTrue(torch.equal(other(x), other.bias.bfloat16().float().expand(TOKENS, OUT)))
            self.assertTrue(torch.equal(made(x), layer()(x)))

    def test_a_checkpoint_goes_on_with_the_same_bits(self):
        x, d = normal(TOKENS, IN), normal(TOKENS, OUT, seed=5)

        def gradient(module):
            module.zero_grad()
            module(x).backward(d)
            return module[0].weight.grad.clone()
        one, other = torch.nn.Sequential(layer(seed=11)), torch.nn.Sequential(layer(seed=12))
        gradient(one)
        other.load_state_dict(one.state_dict())
        state = fourfold.torch.random_state(one)
        self.assertEqual(state, {"0": (11, 1)})
        fourfold.torch.load_random_state(other, state)
        self.assertTrue(torch.equal(gradient(one), gradient(other)))
        self.assertFalse(torch.equal(gradient(one), gradient(layer_after(other))))
        with self.assertRaisesRegex(fourfold.InvalidArgumentError, "of the layers 0, the model has 0.0"):
            fourfold.torch.load_random_state(torch.nn.Sequential(one), state)

    def test_dtypes_and_autocast(self):
        made, x = layer(), normal(TOKENS, IN)
        y = made(x)
        self.assertEqual(y.dtype, torch.float32)
        self.assertTrue(torch.equal(y, y.bfloat16().float()))
        for dtype in (torch.bfloat16, torch.float16):
            self.assertEqual(made(x.to(dtype)).dtype, dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = x.clone().requires_grad_()
            inside = made(value)
            inside.sum().backward()
        self.assertEqual((inside.dtype, value.grad.dtype), (torch.bfloat16, torch.float32))
        self.assertTrue(torch.equal(inside.float(), y))

    def test_mistakes(self):
        made, x = layer(), normal(TOKENS, IN)
        wrong = fourfold.InvalidArgumentError
        cases = [
            (wrong, r"x has shape \(24, 32\), expected \(\.\.\., 48\)", lambda: made(normal(TOKENS, OUT))),
            (wrong, "x has dtype torch.float64", lambda: made(x.double())),
            (wrong, "x is on meta, weight on cpu", lambda: made(x.to("meta"))),
            (wrong, "mask is torch.bool of shape", lambda: layer("averis")(x, torch.ones(3, dtype=torch.bool))),
            (wrong, "'nvfp4' has no input 'mask'", lambda: made(x, torch.ones(TOKENS, dtype=torch.bool))),
            (fourfold.NotFoundError, "there is no recipe 'nothing'", lambda: layer("nothing")(x)),
            (fourfold.NotFoundError, "does not exist", lambda: layer(backend="emulated:sm_1")(x)),
            (wrong, "a weight of torch.float64", lambda: fourfold.torch.Linear(IN, OUT, dtype=torch.float64)),
            (wrong, "in_features = 0", lambda: fourfold.torch.Linear(0, OUT)),
        ]
        for kind, words, call in cases:
            with self.subTest(words), self.assertRaisesRegex(kind, words):
                call()
        made(x)


def layer_after(module):
    """The module after another forward pass."""
    module(normal(TOKENS, IN))
    return module


if __name__ == "__main__":
    reference.main()
