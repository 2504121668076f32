#!/usr/bin/env python3
# Draws the loss curves of many runs in one figure: seeds averaged, with their spread. Needs matplotlib.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""plot.py [--out BASE] [--title TEXT] [--baseline RECIPE] RUN...

RUN is a folder that train_gpt wrote. Runs of one recipe are averaged over their seeds; the band is from the lowest to the highest seed. The
lower panel shows each recipe's validation loss against the baseline's, in per cent, paired by seed. Writes BASE.png and BASE.svg.
"""

import argparse
import csv
import json
import math
import pathlib
import sys


def read_run(folder):
    """(config, rows): the settings of a run, and its metrics as a list of dicts of floats (NaN where a field is empty)."""
    folder = pathlib.Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        with open(folder / "metrics.csv", newline="") as file:
            rows = [{key: float(value) if value else math.nan for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise SystemExit(f"plot: '{folder}' is no run of train_gpt: {error}")
    return config, rows


def smoothed(values, window=20):
    """Running mean over up to `window` values."""
    total, result = 0.0, []
    for i, value in enumerate(values):
        total += value - (values[i - window] if i >= window else 0.0)
        result.append(total / min(i + 1, window))
    return result


def by_recipe(runs):
    """recipe -> seed -> rows, in the order of the runs."""
    groups = {}
    for config, rows in runs:
        seeds = groups.setdefault(config["recipe"], {})
        if config["seed"] in seeds:
            raise SystemExit(f"plot: two runs have recipe {config['recipe']} and seed {config['seed']}: which one is meant?")
        seeds[config["seed"]] = rows
    return groups


def validation(rows):
    return {int(row["step"]): row["val_loss"] for row in rows if not math.isnan(row["val_loss"])}


def spread(series):
    """Steps common to all dicts of step -> value, and the mean, lowest and highest value there."""
    steps = sorted(set.intersection(*(set(one) for one in series)))
    values = [[one[step] for one in series] for step in steps]
    return steps, [sum(v) / len(v) for v in values], [min(v) for v in values], [max(v) for v in values]


def name_of(recipe):
    return recipe.rstrip("/").split("/")[-1]


def draw(runs, base, title="", baseline="bf16"):
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise SystemExit("plot: needs matplotlib (Debian: python3-matplotlib)")
    groups = by_recipe(runs)
    paired = baseline in groups and len(groups) > 1
    figure, axes = plt.subplots(2 if paired else 1, 1, figsize=(8, 7.5 if paired else 4.5), squeeze=False, sharex=True,
                                gridspec_kw={"height_ratios": [3, 2]} if paired else None)
    upper = axes[0][0]
    for index, (recipe, seeds) in enumerate(groups.items()):
        color = f"C{index}"
        train = [dict(zip((int(r["step"]) for r in rows), smoothed([r["train_loss"] for r in rows]))) for rows in seeds.values()]
        steps, mean, _, _ = spread(train)
        upper.plot(steps, mean, color=color, linewidth=0.8, alpha=0.5)
        steps, mean, low, high = spread([validation(rows) for rows in seeds.values()])
        count = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
        upper.plot(steps, mean, color=color, linewidth=1.8, label=name_of(recipe) + count)
        upper.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
        if not paired:
            continue
        common = [seed for seed in seeds if seed in groups[baseline]]
        gaps = []
        for seed in common:
            mine, other = validation(seeds[seed]), validation(groups[baseline][seed])
            gaps.append({step: 100.0 * (mine[step] / other[step] - 1.0) for step in mine if step in other})
        if gaps:
            steps, mean, low, high = spread(gaps)
            axes[1][0].plot(steps, mean, color=color, linewidth=1.8)
            axes[1][0].fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    upper.set_ylabel("nats a token (thin: training)")
    upper.set_title(title)
    upper.legend()
    if paired:
        axes[1][0].set_ylabel(f"validation loss against {name_of(baseline)}, %")
    axes[-1][0].set_xlabel("step")
    for row in axes:
        row[0].grid(alpha=0.3)
    figure.tight_layout()
    for ending in ("png", "svg"):
        figure.savefig(f"{base}.{ending}", dpi=130)
    plt.close(figure)
    return [f"{base}.png", f"{base}.svg"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--out", default="curves", metavar="BASE")
    parser.add_argument("--title", default="")
    parser.add_argument("--baseline", default="bf16", metavar="RECIPE")
    arguments = parser.parse_args()
    for path in draw([read_run(run) for run in arguments.runs], arguments.out, arguments.title, arguments.baseline):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
