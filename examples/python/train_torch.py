#!/usr/bin/env python3
# A small GPT in PyTorch, trained with its block linears in several recipes: what fourfold.torch changes is one line.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a GPT of one block on a chapter of English, byte by byte, in bf16 of PyTorch's own and with the block's linears in each recipe, from one
initialization, and prints the validation losses. --device cuda trains on a GPU; --backend is for CPU tensors (host, or emulated:TARGET)."""

import argparse
import pathlib
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(77)

import fourfold.torch

TEXT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/data/genesis.txt"
WIDTH, HEADS, CONTEXT, BATCH = 64, 2, 64, 8


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        for norm in self.norms:  # a coherent mean, as the activations of large models have
            nn.init.normal_(norm.bias, std=3)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(-2))
        return x + self.down(nn.functional.gelu(self.up(self.norms[1](x))))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, WIDTH), nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        self.block, self.norm, self.head = Block(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256)

    def forward(self, tokens):
        return self.head(self.norm(self.block(self.bytes(tokens) + self.places)))

    def loss(self, batch):
        return nn.functional.cross_entropy(self(batch[:, :-1]).flatten(0, 1).float(), batch[:, 1:].flatten())


def train(recipe, arguments):
    """The validation loss at the end, and the seconds it took."""
    torch.manual_seed(arguments.seed)
    text = torch.tensor(list(TEXT.read_bytes()), dtype=torch.long)
    split = len(text) * 9 // 10
    model = Gpt().to(arguments.device)
    if recipe:
        # The head stays in high precision, as recipes for training in four bits have it.
        fourfold.torch.replace_linears(model, recipe, backend=arguments.backend, only=lambda name, linear: name.startswith("block."))
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, betas=(0.9, 0.95))
    draw = torch.Generator().manual_seed(1)

    def batch(part, count):
        starts = torch.randint(len(part) - CONTEXT, (count,), generator=draw)
        return torch.stack([part[start:start + CONTEXT + 1] for start in starts]).to(arguments.device)
    validation, start = batch(text[split:], 32), time.monotonic()
    autocast = torch.autocast(torch.device(arguments.device).type, dtype=torch.bfloat16)
    for step in range(arguments.steps):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * min(1, (step + 1) / 5)
        optimizer.zero_grad()
        with autocast:
            loss = model.loss(batch(text[:split], BATCH))
        loss.backward()
        optimizer.step()
    with torch.no_grad(), autocast:
        return float(model.loss(validation)), time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="host")
    parser.add_argument("--recipes", nargs="*", default=["nvfp4", "averis"])
    arguments = parser.parse_args()
    print(f"{'recipe':10} {'validation loss':>15} {'to bf16':>9} {'time':>9}")
    baseline = None
    for recipe in (None, *arguments.recipes):
        loss, seconds = train(recipe, arguments)
        baseline = baseline or loss
        print(f"{recipe or 'bf16':10} {loss:15.4f} {loss / baseline - 1:+9.2%} {seconds:7.1f} s", flush=True)
        if not loss < 4:  # where it begins is 5.5
            sys.exit(f"train_torch: error: {recipe or 'bf16'} did not learn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
