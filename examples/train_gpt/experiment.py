#!/usr/bin/env python3
# Trains recipes x seeds, one after the other, and reports how far each recipe is from the baseline.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""experiment.py --text FILE --out DIR [--recipes A,B,...] [--seeds 1,2,...] [options] [-- options of train_gpt]

Runs train_gpt for every recipe and seed into DIR/RECIPE/seedN. Finished runs are skipped and stopped ones go on, so that the same command can
be given again at any time; Ctrl-C (or SIGTERM) stops after a checkpoint. Each run logs to log.txt in its folder. Then writes DIR/report.md,
DIR/curves.png and DIR/curves.svg and prints the report.

Example:
  experiment.py --text kjv.txt --out runs --recipes bf16,nvfp4,averis --seeds 1,2,3 -- --steps 1000 --device host --health
"""

import argparse
import csv
import fcntl
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import plot


def settings_of(arguments):
    return {"text": os.path.abspath(arguments.text), "options": arguments.options}


def check_settings(arguments, out):
    """The runs of one folder share their settings: a table of unlike runs would mean nothing."""
    path, settings = out / "experiment.json", settings_of(arguments)
    if path.exists() and json.loads(path.read_text()) != settings:
        raise SystemExit(f"experiment: '{out}' was begun with {path.read_text().strip()}, now it is {json.dumps(settings)}; "
                         "choose another --out")
    path.write_text(json.dumps(settings) + "\n")


def run_one(program, arguments, recipe, seed, folder):
    """Trains one run to its end; the exit code of train_gpt."""
    folder.mkdir(parents=True, exist_ok=True)
    device = ["--device", arguments.baseline_device] if recipe == arguments.baseline and arguments.baseline_device else []
    command = [program, "--text", arguments.text, "--out", str(folder), "--recipe", recipe, "--seed", str(seed), "--resume",
               *arguments.options, *device]
    with open(folder / "log.txt", "a") as log:
        log.write(" ".join(command) + "\n")
        log.flush()
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        forward = lambda *_: child.send_signal(signal.SIGINT)
        kept = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        code = child.wait()
        for number, handler in kept.items():
            signal.signal(number, handler)
    return code


def tail(path, lines=3):
    return "".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:]).rstrip()


def results_in(out, recipes, seeds):
    """recipe -> seed -> result.json of the finished runs."""
    results = {}
    for recipe in recipes:
        for seed in seeds:
            path = out / plot.name_of(recipe) / f"seed{seed}" / "result.json"
            if path.exists():
                results.setdefault(recipe, {})[seed] = json.loads(path.read_text())
    return results


def mean_and_spread(values, digits):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def loss_table(results, baseline):
    lines = [f"| recipe | seeds | validation loss | gap to {plot.name_of(baseline)}, % | lowest .. highest | bits a byte | minutes a run |",
             "|---|---|---|---|---|---|---|"]
    for recipe, seeds in results.items():
        losses = [result["val_loss"] for result in seeds.values()]
        gaps = [100.0 * (result["val_loss"] / results[baseline][seed]["val_loss"] - 1.0)
                for seed, result in seeds.items() if seed in results.get(baseline, {})]
        own = recipe == baseline or not gaps
        lines.append("| " + " | ".join((
            f"`{plot.name_of(recipe)}`", str(len(seeds)), mean_and_spread(losses, 4), "" if own else mean_and_spread(gaps, 3),
            "" if own else f"{min(gaps):.3f} .. {max(gaps):.3f}",
            f"{statistics.mean(result['val_bits_per_byte'] for result in seeds.values()):.3f}",
            f"{statistics.mean(result['seconds'] for result in seeds.values()) / 60.0:.1f}")) + " |")
    return lines


def health_table(out, results):
    """The last step's health of each recipe's first seed, averaged over layers of a kind; empty where none was measured."""
    lines = []
    for recipe, seeds in results.items():
        path = out / plot.name_of(recipe) / f"seed{next(iter(seeds))}" / "health.csv"
        if not path.exists():
            continue
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            continue
        last = [row for row in rows if row["step"] == rows[-1]["step"]]
        for what in ("x", "dy"):
            chosen = [row for row in last if row["what"] == what]
            shares = [100.0 * float(row["mean_share"]) for row in chosen]
            mean = lambda key: statistics.mean(float(row[key]) for row in chosen)
            lines.append(f"| `{plot.name_of(recipe)}` | {what} | {statistics.mean(shares):.1f} | {min(shares):.1f} .. {max(shares):.1f} | "
                         f"{mean('error_plain'):.4f} | {mean('error_centred'):.4f} |")
    if not lines:
        return []
    return ["", "What the block linears get at the last step (mean over layers): the share of energy in the mean over tokens, and the "
            "relative error of nvfp4 (nearest) without and with centring.", "",
            "| recipe | of | mean's share, % | lowest .. highest | error, plain | error, centred |", "|---|---|---|---|---|---|", *lines]


def report(arguments, out):
    results = results_in(out, arguments.recipes, arguments.seeds)
    if not results:
        return "No run has finished yet.\n"
    one = next(iter(next(iter(results.values())).values()))
    identity = one["identity"]
    lines = [f"{one['parameters']} parameters ({identity['layers']} blocks of width {identity['width']}, context {identity['context']}, "
             f"vocabulary {identity['vocabulary']}), {one['tokens']} tokens in {one['steps']} steps, mean bias {identity['mean_bias']:g}, norm bias "
             f"{identity['norm_bias']:g}. "
             "Losses are nats a token on held-out text; ± is the standard deviation over seeds; gaps are paired by seed.", ""]
    lines += loss_table(results, arguments.baseline) + health_table(out, results)
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     usage="experiment.py --text FILE --out DIR [options] [-- options of train_gpt]")
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--recipes", default="bf16", help="comma-separated; default bf16")
    parser.add_argument("--seeds", default="1", help="comma-separated; default 1")
    parser.add_argument("--baseline", default="bf16", help="the recipe that the others are compared with")
    parser.add_argument("--baseline-device", default="", help="its --device, where that differs")
    parser.add_argument("--program", default=str(root / "build" / "bin" / "train_gpt"))
    parser.add_argument("--report", action="store_true", help="train nothing, report what is finished")
    head, options = sys.argv[1:], []
    if "--" in head:
        head, options = head[:head.index("--")], head[head.index("--") + 1:]
    arguments = parser.parse_args(head)
    arguments.options = options
    arguments.recipes = [name for name in arguments.recipes.split(",") if name]
    try:
        arguments.seeds = [int(seed) for seed in arguments.seeds.split(",") if seed]
    except ValueError:
        parser.error(f"--seeds wants numbers with commas between them, not '{arguments.seeds}'")
    return arguments


def train_all(arguments, out):
    """A seed of all recipes before the next seed: paired figures exist early. A run that fails (diverges) does not keep the others from
    theirs. Returns the exit code."""
    failed = False
    runs = [(recipe, seed) for seed in arguments.seeds for recipe in arguments.recipes]
    for number, (recipe, seed) in enumerate(runs, 1):
        folder = out / plot.name_of(recipe) / f"seed{seed}"
        label = f"[{number}/{len(runs)}] {plot.name_of(recipe)} seed {seed}"
        if (folder / "result.json").exists():
            continue
        start = time.monotonic()
        code = run_one(arguments.program, arguments, recipe, seed, folder)
        if code == 130:
            print(f"{label}: stopped; the same command goes on", flush=True)
            return 130
        if code != 0:
            print(f"{label}: train_gpt failed with exit code {code}:\n{tail(folder / 'log.txt')}", file=sys.stderr, flush=True)
            failed = True
            if code == 2: # wrong options would fail everywhere
                break
            continue
        loss = json.loads((folder / "result.json").read_text())["val_loss"]
        print(f"{label}: validation loss {loss:.4f} ({(time.monotonic() - start) / 60.0:.1f} min)", flush=True)
    return 1 if failed else 0


def main():
    arguments = parse()
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    code = 0
    if not arguments.report:
        if not os.access(arguments.program, os.X_OK):
            raise SystemExit(f"experiment: there is no program '{arguments.program}'; build it (ninja -C build train_gpt) or name it "
                             "with --program")
        lock = open(out / "lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"experiment: another experiment.py is at work in '{out}'")
        check_settings(arguments, out)
        code = train_all(arguments, out)
    text = report(arguments, out)
    (out / "report.md").write_text(text)
    print(text, end="")
    finished = [out / plot.name_of(recipe) / f"seed{seed}" for recipe, seeds in
                results_in(out, arguments.recipes, arguments.seeds).items() for seed in seeds]
    if finished:
        try:
            plot.draw([plot.read_run(folder) for folder in finished], str(out / "curves"), baseline=arguments.baseline)
        except SystemExit as error:
            print(error, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
