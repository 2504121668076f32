#!/usr/bin/env python3
# What the emulated device counts on both recipes: no shared-memory bank conflicts, the MMAs of the tiles, one store of the result.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_traffic.py SOURCE_DIR TOOL"""

import json
import pathlib
import subprocess
import sys


def main():
    source, tool = pathlib.Path(sys.argv[1]), sys.argv[2]
    data = source / "tests" / "data"
    problems = []
    for recipe in ("nvfp4", "averis"):
        result = subprocess.run([tool, "run", str(source / "kernels_spec" / recipe / "linear_forward.mlir"), "--device",
                                 "emulated:sm_120a", "--input", f"x={data / 'minilm_x.npy'}", "--input",
                                 f"w={data / 'minilm_w.npy'}", "--profile", "--json"], text=True, capture_output=True)
        if result.returncode:
            problems.append(f"{recipe}: {result.stderr}")
            continue
        launches = [launch for launch in json.loads(result.stdout)["profile"]["launches"] if "counters" in launch]
        for launch in launches:
            for kind, traffic in launch["counters"]["shared"].items():
                if traffic["conflicts"]:
                    problems.append(f"{recipe}: {launch['kernel']}: {traffic['conflicts']} bank conflicts in {kind}")
        matmul = launches[-1]
        # 403 x 1536 x 384 in tiles of 64x64: 7 * 24 blocks of 4 * 8 steps of 16x8, 6 along K.
        mmas = sum(matmul["counters"]["mmas"].values())
        if mmas != 7 * 24 * 32 * 6:
            problems.append(f"{recipe}: {mmas} MMAs, expected {7 * 24 * 32 * 6}")
        if matmul["counters"]["globalBytesWritten"] != 403 * 1536 * 2:
            problems.append(f"{recipe}: the matmul writes {matmul['counters']['globalBytesWritten']} bytes, the result has {403 * 1536 * 2}")
    print("\n".join(problems) or "no bank conflicts; MMAs and stores as the tiles say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
