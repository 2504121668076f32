#!/usr/bin/env python3
# A comparison that cannot fail proves nothing: every change below of a twin must make fourfold-device-check fail.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# usage: mutations.py SOURCE_DIR FOURFOLD_DEVICE_CHECK
import pathlib
import shutil
import subprocess
import sys
import tempfile

root, check = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
MUTATIONS = [
    # file, from, to, command, specs
    ("quantize.cu", "largest * (tensor * (1.0f / 6.0f))", "largest / 6.0f * tensor", "twins", "nvfp4/"),
    ("quantize.cu", "a <= 1.25f", "a < 1.25f", "twins", "mxfp4/"),
    ("quantize.cu", "chance > random16 + 0.5", "chance > random16 + 400.5", "twins", "nvfp4/linear_dgrad"),
    ("quantize.cu", "(u64)stream << 56", "(u64)stream << 55", "twins", "nvfp4/linear_wgrad"),
    ("quantize.cu", "row % 128 / 32 * 4 + block % 4", "row % 128 / 32 + block % 4 * 4", "twins", "nvfp4/linear_forward"),
    ("quantize.cu", "poisoned ? 0x7f :", "", "twins", "nvfp4/linear_forward"),
    ("quantize.cu", "v[i] *= 0.25f", "v[i] *= 0.24999999f", "twins", "nvidia/linear_wgrad"),
    ("quantize.cu", "m.hadamard >> i & 1", "m.hadamard >> (15 - i) & 1", "twins", "nvidia/linear_wgrad"),
    ("quantize.cu", "value - m.mean", "value + m.mean", "twins", "averis/linear_forward"),
    ("quantize.cu", "__float_as_uint(largest));\n}", "__float_as_uint(largest) + 1);\n}", "twins", "nvfp4/linear_forward"),
    ("matmul.cu", "2688.0f * 2688.0f", "2688.0f * 2687.0f", "twins", "nvfp4/linear_forward"),
    ("matmul.cu", "0.25 * products * scale", "0.25 * (products + (at_end(group, k) ? 1 : 0)) * scale", "twins", "mxfp4/linear_forward"),
    ("layout_s4.cu", "lane / 4 + i / 2 * 8", "lane / 4 * 2 + i / 2", "layout", ""),
    ("layout_s4.cu", "chunk ^ (row >> 2 & 1)", "chunk", "layout-stays", ""),
    ("layout_s4.cu", "sharedA + chunkAt(lane % 16, lane / 16)", "sharedA + chunkAt(lane / 2, lane % 2)", "layout", ""),
]
HELPERS = "__device__ bool at_end(int group, int k) { return group + 16 >= k; }\n"

failures = []
with tempfile.TemporaryDirectory() as name:
    copy = pathlib.Path(name)
    (copy / "tests").mkdir()
    (copy / "generated").symlink_to(root / "generated")
    (copy / "tests/data").symlink_to(root / "tests/data")
    for file, old, new, command, specs in MUTATIONS:
        shutil.rmtree(copy / "tests/twins", ignore_errors=True)
        shutil.copytree(root / "tests/twins", copy / "tests/twins")
        path = copy / "tests/twins" / file
        text = path.read_text()
        if text.count(old) < 1:
            failures.append(f"{file} has no '{old}': the mutation is out of date")
            continue
        text = text.replace(old, new, 1)
        path.write_text((HELPERS if "at_end" in new else "") + text)
        # A permutation that both sides share changes banks, not results: that one must still pass.
        expected, command = (0, "layout") if command == "layout-stays" else (1, command)
        run = subprocess.run([check, command, "--device", "emulated:sm_120a", "--quick", "--root", str(copy), "--filter", specs],
                             capture_output=True, text=True)
        if run.returncode == 77:
            print(run.stdout.strip())
            sys.exit(77)
        if run.returncode != expected or (expected and "differ" not in run.stdout):
            failures.append(f"{file}: '{old}' -> '{new}': exit status {run.returncode}, expected {expected}\n{run.stdout[-400:]}{run.stderr}")
print("\n".join(failures) if failures else f"{len(MUTATIONS)} mutations of the twins are noticed")
sys.exit(bool(failures))
