#!/usr/bin/env python3
# The engine of fourfold.torch for GPUs: the calls that a GPU would get, made on the emulated device. What needs a GPU itself is skipped without one.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import ctypes
import unittest
from unittest import mock

import reference
from reference import numpy
from torch_support import IN, OUT, TOKENS, fourfold, layer, normal, torch

from fourfold import _torch_engines as engines


class _EmulatedGpu:
    """A loaded layer that takes addresses of this machine's memory, as a GPU takes those of its own: every area is brought to the emulated
    device, computed on, and brought back, so that a wrong or missing address shows."""

    def __init__(self, device, wanted):
        self.device = fourfold.Device("emulated:sm_120a")
        self.real = fourfold._layer.DeviceLayer(self.device, wanted)
        self.weights_bytes, self.plan, self.layer = self.real.weights_bytes, self.real.plan, wanted

    def _call(self, sizes, tokens, addresses, work):
        made, inside = self.layer, {}
        size = {"x": tokens * made.inputs * 2, "w": made.outputs * made.inputs * 2, "bias": made.outputs * 4, "mask": tokens,
                "y": tokens * made.outputs * 2, "d": tokens * made.outputs * 2, "dx": tokens * made.inputs * 2,
                "dw": made.outputs * made.inputs * 4, "db": made.outputs * 4, "seed": 8, "offset": 8, "weights": self.weights_bytes,
                "saved": sizes.savedBytes, "gradient": sizes.gradientBytes, "workspace": sizes.workspaceBytes}
        bytes_at = {name: numpy.frombuffer((ctypes.c_char * size[name]).from_address(address), dtype=numpy.uint8)
                    for name, address in addresses.items() if size[name]}
        for name, array in bytes_at.items():
            inside[name] = self.device.upload(array)
        work({name: memory.address for name, memory in inside.items()})
        self.device.synchronize()
        for name, array in bytes_at.items():
            self.device.download(inside[name], array.view())

    def quantize_weights(self, stream, **addresses):
        self._call(self.plan(1).sizes, 1, addresses, lambda inside: self.real.quantize_weights(stream, **inside))

    def call(self, name, plan, stream, *arguments, **addresses):
        self._call(plan.sizes, self.tokens, addresses, lambda inside: self.real.call(name, plan, stream, *arguments, **inside))


class CudaEngine(unittest.TestCase):
    """The engine for GPUs with addresses of CPU tensors: what it passes to the library, without streams."""

    def setUp(self):
        stream = mock.MagicMock(cuda_stream=0)
        for name, value in (("current_stream", mock.Mock(return_value=stream)), ("device", mock.MagicMock()), ("Event", mock.MagicMock()),
                            ("is_current_stream_capturing", mock.Mock(return_value=False))):
            patch = mock.patch.object(torch.cuda, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        for name, value in (("DeviceLayer", _EmulatedGpu), ("open_device", lambda name: name)):
            patch = mock.patch.object(engines, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def run_layer(self, recipe, masked, main_grad):
        """One step by the engine and one on the host, from the same module."""
        x, d = normal(TOKENS, IN, mean=1), normal(TOKENS, OUT, seed=5)
        mask = (torch.arange(TOKENS) < 20) if masked else None
        found = []
        engine = engines.CudaEngine(0, fourfold.torch.Layer(IN, OUT, recipe, True, masked))
        engine.where = torch.device("cpu")
        engine.loaded.tokens = TOKENS
        for use in (engine, None):
            made, value = layer(recipe), x.clone().requires_grad_()
            if main_grad:
                made.weight.main_grad = _aligned(OUT, IN).fill_(0.25)
            patch = mock.patch.object(engines, "engine_for", lambda *_: engine) if use else mock.MagicMock()
            with patch:
                for _ in range(2):
                    value.grad = None
                    y = made(value, mask)
                    y.backward(d)
            found.append((y.detach(), value.grad, made.weight.main_grad if main_grad else made.weight.grad, made.bias.grad))
            self.assertEqual(made.weight.grad is None, main_grad)
        for one, other, name in zip(*found, ("y", "dx", "dw", "db")):
            reference.close(self, one.numpy(), other.numpy(), f"{recipe}: {name}", steps=2.01)

    def test_averis_into_main_grad_with_mask(self):
        self.run_layer("averis", True, True)

    def test_steps_of_optimizers_are_counted(self):
        """A fused optimizer does not count as a new version."""
        engine = engines.CudaEngine(0, fourfold.torch.Layer(IN, OUT, "bf16", True))
        engine.where, engine.loaded.tokens = torch.device("cpu"), TOKENS
        made, x = layer("bf16"), normal(TOKENS, IN)
        optimizer = torch.optim.AdamW(made.parameters(), lr=0.1, fused=True)
        with mock.patch.object(engines, "engine_for", lambda *_: engine), mock.patch.object(engine, "quantize", wraps=engine.quantize) as quantize:
            for step in range(3):
                for _ in range(2):
                    made(x).sum().backward()
                self.assertEqual(quantize.call_count, step + 1)
                optimizer.step()
            before = made(x)
            made.weight.data.mul_(2)
            made.weights_changed()
            self.assertFalse(torch.equal(made(x), before))
            torch.cuda.is_current_stream_capturing.return_value = True
            made(x)
            made(x)
            self.assertEqual(quantize.call_count, 7)

    def test_bf16_keeps_x(self):
        self.run_layer("bf16", False, False)


def _aligned(*shape):
    """A tensor whose address is a multiple of 256, as PyTorch's are on a GPU."""
    count = int(numpy.prod(shape))
    memory = torch.empty(count + 64)
    start = (-memory.data_ptr() % 256) // 4
    return memory[start:start + count].view(*shape)


@unittest.skipUnless(torch.cuda.is_available(), "skipped: PyTorch sees no GPU")
class OnAGpu(unittest.TestCase):
    def test_agrees_with_the_host(self):
        for recipe in ("averis", "nvfp4", "bf16"):
            x, d = normal(TOKENS, IN, mean=1), normal(TOKENS, OUT, seed=5)
            found = []
            for where in ("cuda", "cpu"):
                made, value = layer(recipe).to(where), x.to(where).requires_grad_()
                with torch.cuda.stream(torch.cuda.Stream()):
                    y = made(value)
                    y.backward(d.to(where))
                torch.cuda.synchronize()
                found.append([tensor.cpu().detach() for tensor in (y, value.grad, made.weight.grad, made.bias.grad)])
            for one, other in zip(*found):
                reference.close(self, one.numpy(), other.numpy(), recipe, steps=2.01)


if __name__ == "__main__":
    reference.main()
