#!/usr/bin/env python3
# tools/gpu-check against the emulated device: what it reports when all is well, when something fails, and when it is called wrongly.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# usage: gpu_check_test.py SOURCE_DIR BUILD_DIR
import json
import os
import pathlib
import subprocess
import sys
import tempfile

root, build = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
STAGES = ["machine", "driver", "layout", "twins", "images", "specs", "memcheck", "racecheck", "bench", "torch"]
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)


def check(folder, *arguments, **environment):
    return subprocess.run([str(root / "tools/gpu-check"), str(folder), *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, **environment})


def stages(folder):
    return {stage["name"]: stage for stage in json.loads((folder / "report.json").read_text())["stages"]}


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    good = folder / "good"
    run = check(good, "--device", "emulated:sm_120a", "--tools", build, "--quick")
    expect(run.returncode == 0, f"exit status {run.returncode}\n{run.stdout}{run.stderr}")
    report, found = (good / "report.md").read_text(), stages(good)
    expect(list(found) == STAGES, f"stages {list(found)}")
    expect("The device is emulated: no GPU was measured" in report, "the report does not say that no GPU was measured")
    for stage in ("machine", "images", "specs", "bench"):
        expect(found[stage]["status"] == "pass", f"{stage}: {found[stage]}")
    # Without NVRTC the twins are skipped, and the reason says so.
    for stage in ("layout", "twins"):
        expect(found[stage]["status"] == "pass" or "NVRTC" in found[stage]["reason"], f"{stage}: {found[stage]}")
    for stage in ("driver", "memcheck", "racecheck"):
        expect(found[stage]["status"] == "skip" and "emulated" in found[stage]["reason"], f"{stage}: {found[stage]}")
    expect(found["images"]["data"]["compared"] > 100, "images compared too little")
    expect(any(one["name"] == "quantize nvfp4" and one["fraction"] > 0 for one in found["bench"]["data"]["measurements"]),
           "the benchmark has no fraction of the copy")

    # A device that does not exist: stages fail, the report is written all the same.
    bad = folder / "bad"
    run = check(bad, "--device", "emulated:sm_12", "--tools", build, "--quick")
    expect(run.returncode == 1, f"exit status {run.returncode} with a device that does not exist")
    found = stages(bad)
    expect(list(found) == STAGES and found["images"]["status"] == "fail", f"images: {found['images']}")
    expect("**FAILED**" in (bad / "report.md").read_text(), "the report does not say FAILED")

    late = folder / "late"
    run = check(late, "--device", "emulated:sm_120a", "--tools", build, "--minutes", "0.01")
    expect("no time left" in stages(late)["images"]["reason"], f"images: {stages(late)['images']}")

    # The way of a GPU, over a libcuda that passes everything on to the emulated device. NVRTC calls what that libcuda does not have, and is
    # left out.
    fake = build / "tests/fake_cuda/lib64"
    if (fake / "libcuda.so.1").exists():
        gpu, over = folder / "gpu", {"LD_LIBRARY_PATH": str(fake), "FOURFOLD_NVRTC": "/nowhere/libnvrtc.so"}
        run = check(gpu, "--tools", build, "--quick", **over)
        found = stages(gpu)
        expect(run.returncode == 0, f"over the fake driver: exit status {run.returncode}\n{run.stdout}{run.stderr}")
        for stage in ("driver", "images", "specs", "bench"):
            expect(found[stage]["status"] == "pass", f"over the fake driver, {stage}: {found[stage]}")
        expect(found["twins"]["status"] == "skip" and "NVRTC" in found["twins"]["reason"], f"twins without NVRTC: {found['twins']}")
        expect("The device is emulated" not in (gpu / "report.md").read_text(), "a GPU's report says that it is emulated")
        run = check(folder / "lost", "--tools", build, "--quick", **over, FAKE_CUDA_LAUNCH="719")
        found = stages(folder / "lost")
        expect(run.returncode == 1 and found["images"]["status"] == "fail" and found["bench"]["status"] == "fail",
               f"a device that fails: {run.stdout}")
        run = check(folder / "other", "--tools", build, "--quick", **over, FAKE_CUDA_CAPABILITY="7.5")
        found = stages(folder / "other")
        expect(found["images"]["status"] != "pass" and "7.5" in found["images"]["reason"], f"an old GPU: {found['images']}")

    run = check(folder / "usage", "--tools", folder)
    expect(run.returncode == 2 and "unpack the bundle" in run.stderr, f"wrong --tools: {run.returncode} {run.stderr}")
    run = check(folder / "usage", "--tools", build, "--device", "sm_120a")
    expect(run.returncode == 2 and "expected auto, cuda:N or emulated:TARGET" in run.stderr, f"wrong --device: {run.stderr}")

print("\n".join(failures) if failures else "gpu-check reports what passes, what fails and what it skips")
sys.exit(bool(failures))
