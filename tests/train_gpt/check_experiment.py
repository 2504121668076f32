#!/usr/bin/env python3
# experiment.py and plot.py on a tiny model: paired gaps, skipped and resumed runs, refusals.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_experiment.py SOURCE_DIR BUILD_DIR"""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

source, build = map(pathlib.Path, sys.argv[1:])
tool = source / "examples" / "train_gpt" / "experiment.py"
text = source / "tests" / "data" / "genesis.txt"
TINY = ["--layers", "1", "--width", "32", "--heads", "2", "--context", "32", "--vocabulary", "300", "--batch", "4", "--eval-every", "5"]


def start(out, options, *more):
    command = [sys.executable, str(tool), "--text", str(text), "--out", str(out), "--program", str(build / "bin" / "train_gpt"),
               "--recipes", "bf16,fp32", "--seeds", "1,2", *more, "--", *TINY, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(out, options, *more):
    process = start(out, options, *more)
    output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)

    code, output, errors = run(folder / "a", ["--steps", "10", "--health"])
    assert code == 0, errors
    losses = {}
    for recipe in ("bf16", "fp32"):
        for seed in (1, 2):
            losses[recipe, seed] = json.loads((folder / "a" / recipe / f"seed{seed}" / "result.json").read_text())["val_loss"]
    gaps = [100 * (losses["fp32", seed] / losses["bf16", seed] - 1) for seed in (1, 2)]
    mean, spread = sum(gaps) / 2, abs(gaps[0] - gaps[1]) / 2 ** 0.5
    assert f"| {mean:.3f} ± {spread:.3f} |" in output, (gaps, output)
    assert "mean's share" in output and (folder / "a" / "report.md").read_text() in output
    written = (folder / "a" / "bf16" / "seed1" / "checkpoint.bin").stat().st_mtime_ns

    code, again, errors = run(folder / "a", ["--steps", "10", "--health"])
    assert code == 0 and (folder / "a" / "bf16" / "seed1" / "checkpoint.bin").stat().st_mtime_ns == written, errors
    assert "seed 1" not in again, "finished runs must be skipped"
    code, _, errors = run(folder / "a", ["--steps", "11"])
    assert code == 1 and "was begun with" in errors, errors

    process = start(folder / "b", ["--steps", "1000000", "--eval-every", "0"])
    metrics = folder / "b" / "bf16" / "seed1" / "metrics.csv"
    for _ in range(2000):
        time.sleep(0.01)
        if metrics.exists() and metrics.read_text().count("\n") > 3:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 130 and "goes on" in output, (output, errors)
    assert (folder / "b" / "bf16" / "seed1" / "checkpoint.bin").exists()

    code, _, errors = run(folder / "c", ["--steps", "2", "--recipe-that-is-none"])
    assert code == 1 and "exit code 2" in errors and "--recipe-that-is-none" in errors, errors

    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert "needs matplotlib" in run(folder / "a", ["--steps", "10", "--health"])[2]
        print("matplotlib is missing: figures not checked")
    else:
        assert (folder / "a" / "curves.png").stat().st_size > 10000 and (folder / "a" / "curves.svg").exists()
print("ok")
