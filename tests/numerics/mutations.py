#!/usr/bin/env python3
# Breaks Numerics.h and MmaModel.h one rule at a time; each broken copy must turn numerics_tests red.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""mutations.py SOURCE_DIR COMPILER: builds the tests against each broken copy. A mutation that no test notices is a failure, and so is one whose
text no longer stands in the header."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# (what is broken, file, text, its replacement)
MUTATIONS = [
    ("e2m1 tie at 0.25 goes up", "Numerics.h", "magnitude <= 0.25f ", "magnitude < 0.25f "),
    ("e2m1 tie at 1.75 goes down", "Numerics.h", "magnitude < 1.75f ", "magnitude <= 1.75f "),
    ("e2m1 tie at 5 goes up", "Numerics.h", "magnitude <= 5.0f ", "magnitude < 5.0f "),
    ("sign of zero is lost", "Numerics.h", "  return static_cast<uint8_t>(sign | code);",
     "  return static_cast<uint8_t>(code ? sign | code : 0);"),
    ("e4m3 rounds half up", "Numerics.h", "magnitude + 0x7ffffu + ((magnitude >> 20) & 1u)", "magnitude + 0x80000u"),
    ("e4m3 has no subnormals", "Numerics.h", "    float scaled = floatFromBits(magnitude) * 512.0f;\n",
     "    float scaled = 0.0f * floatFromBits(magnitude);\n"),
    ("bf16 truncates", "Numerics.h", "(bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16", "bits >> 16"),
    ("block scale divides amax by 6 first", "Numerics.h", "amaxBlock * (tensorScale * (1.0f / 6.0f))",
     "(amaxBlock / 6.0f) * tensorScale"),
    ("block scale has a floor", "Numerics.h", "  return encodeE4M3(std::fmin(amaxBlock",
     "  return encodeE4M3(std::fmax(std::fmin(amaxBlock"),
    ("tensor scale of a zero tensor is not 1", "Numerics.h", "  if (amaxTensor == 0.0f)\n    return 1.0f;",
     "  if (amaxTensor == 0.0f)\n    return FLT_MAX;"),
    ("encode scale is not clamped", "Numerics.h", "std::fmin(1.0f / (decodeE4M3(blockScale) * (1.0f / tensorScale)), FLT_MAX)",
     "1.0f / (decodeE4M3(blockScale) * (1.0f / tensorScale))"),
    ("NaN blocks get a finite scale", "Numerics.h", "  if (!isFinite(amaxBlock))\n    return kE4M3NaN;",
     "  if (!isFinite(amaxBlock))\n    return 0x7e;"),
    ("mxfp4 exponent is one too large", "Numerics.h", "exponent > 2 ? exponent - 2 : 0", "exponent > 1 ? exponent - 1 : 0"),
    ("stochastic rounding is off by one", "Numerics.h", "static_cast<float>(random16 & 0xffffu) + 0.5f",
     "static_cast<float>(random16 & 0xffffu) + 1.5f"),
    ("Philox has 9 rounds", "Numerics.h", "round < 10", "round < 9"),
    ("random bits do not depend on the row", "Numerics.h", "{column >> 3, row,", "{column >> 3, 0 * row,"),
    ("Hadamard ignores a sign", "Numerics.h", "signs[i] < 0 ? -values[i]", "signs[i] < 0 && i != 14 ? -values[i]"),
    ("scale tiles are transposed", "Numerics.h", "(r % 32) * 16 + (r / 32) * 4", "(r / 4) * 16 + (r % 4) * 4"),
    ("columns are summed in row order", "Numerics.h", "kSumLanes = 8", "kSumLanes = 1"),
    ("the range's inverse has no low part", "Numerics.h", "std::fma(x, high, x * low)", "x * high"),
    ("an infinite product is divided in float", "Numerics.h", "x >= from && x < HUGE_VALF", "x >= from"),
    ("small products are divided in float", "Numerics.h", "from = 0x1p-94f", "from = 0x1p-96f"),
    ("the range's inverse is off by one bit of a double", "Numerics.h", "inverse = 1.0 / (2688.0 * 2688.0)", "inverse = 1.0 / (2688.0 * 2688.0) * (1 - 0x1p-52)"),
    ("matrix step keeps 23 fraction bits", "MmaModel.h", "kFractionBits = 35", "kFractionBits = 23"),
    ("matrix step ignores a NaN scale", "MmaModel.h", "if (partA.isNaN || partB.isNaN)", "if (partA.isNaN && partB.isNaN)"),
    ("matrix step rounds away", "MmaModel.h", "magnitude = drop < 64 ? magnitude >> drop : 0;",
     "magnitude = drop < 64 ? (magnitude >> drop) + 1 : 0;"),
]
# The floor needs its closing half as well.
CLOSING = {"block scale has a floor": ("(1.0f / 6.0f)), FLT_MAX));", "(1.0f / 6.0f)), FLT_MAX), 0.015625f));")}


def build_and_run(source, compiler, folder, name):
    """The status of the tests built against the headers in `folder`: 0 green, 1 red, 2 does not build."""
    program = os.path.join(folder, "tests")
    built = subprocess.run([compiler, "-std=c++17", "-O1", "-w", "-ffp-contract=off", f"-I{folder}", f'-DFOURFOLD_SOURCE_DIR="{source}"',
                            str(source / "tests/numerics/NumericsTest.cpp"), "-o", program, "-lgtest", "-lgtest_main", "-lpthread"],
                           capture_output=True, text=True)
    if built.returncode:
        print(f"{name}: does not build: {built.stderr[:2000]}")
        return 2
    try:
        return 1 if subprocess.run([program, "--gtest_brief=1"], capture_output=True, timeout=300).returncode else 0
    except subprocess.TimeoutExpired:
        return 1


def attempt(source, compiler, mutation):
    """The problem with one mutation, "" if a test noticed it. `None` is the twin: the header as it is, which must be green."""
    name = mutation[0] if mutation else "unchanged headers"
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "dialect"))
        for header in ("Numerics.h", "MmaModel.h"):
            shutil.copy(source / "dialect" / header, os.path.join(folder, "dialect", header))
        if mutation:
            path = pathlib.Path(folder) / "dialect" / mutation[1]
            text = path.read_text()
            for old, new in [mutation[2:], *([CLOSING[name]] if name in CLOSING else [])]:
                if text.count(old) != 1:
                    return f"{name}: its text stands {text.count(old)} times in {mutation[1]}"
                text = text.replace(old, new)
            path.write_text(text)
        status = build_and_run(source, compiler, folder, name)
    if status == 2:
        return f"{name}: does not build"
    if mutation:
        return "" if status else f"{name}: no test noticed"
    return f"{name}: the tests are red" if status else ""


def main():
    source, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(lambda mutation: attempt(source, compiler, mutation), [None, *MUTATIONS]) if problem]
    print("\n".join(problems) or f"{len(MUTATIONS)} mutations, each noticed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
