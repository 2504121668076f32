#!/usr/bin/env python3
# Assembles every kernel with ptxas and reads its report: no spills, no local memory, the instructions that should be there.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_ptx.py SOURCE_DIR TOOL: exits with 77 (skipped) where there is no ptxas."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

COMMON = {
    # Codes of a block leave as 8 or 16 bytes; LLVM may join two words of a loop before it stores them.
    "quantize": [r"ld\.global(\.nc)?\.v4\.b32", r"st\.global\.(v[24]\.b32|b64)"],
    "column_partials": [r"ld\.global(\.nc)?\.v4\.b32"],
}
RING = [r"ldmatrix\.sync\.aligned\.m8n8\.x4\.shared\.b16", r"cp\.async\.cg\.shared\.global .*, 16, ", r"cp\.async\.wait_group\s+2"]
# What a kernel of that name must contain where tensor cores take FP4.
FP4 = {
    "matmul_nvfp4": RING + [r"mma\.sync\.aligned\.m16n8k64\.row\.col\.kind::mxf4nvf4\.block_scale\.scale_vec::4X\.f32\.e2m1\.e2m1\.f32\.ue4m3",
                            r"ld\.shared\.v4\.b32"],
    "matmul_mxfp4": RING + [r"scale_vec::2X\.f32\.e2m1\.e2m1\.f32\.ue8m0"],
}
# The same on tensor memory: the copies' swizzle and the ring are those of descriptors and mbarriers.
TENSOR = [r"cp\.async\.cg\.shared\.global .*, 16, ", r"fence\.proxy\.async\.shared::cta", r"tcgen05\.cp\.cta_group::1\.32x128b\.warpx4",
          r"tcgen05\.commit\.cta_group::1\.mbarrier::arrive::one", r"tcgen05\.ld\.sync\.aligned\.32x32b\.x32", r"tcgen05\.dealloc"]
TENSOR_FP4 = {
    "matmul_nvfp4": TENSOR + [r"tcgen05\.mma\.cta_group::1\.kind::mxf4nvf4\.block_scale\.scale_vec::4X"],
    "matmul_mxfp4": TENSOR + [r"tcgen05\.mma\.cta_group::1\.kind::mxf4nvf4\.block_scale\.scale_vec::2X"],
}
# And where they do not, by mode.
BF16_STEP = r"mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.bf16\.bf16\.f32"
WARPGROUP_STEP = r"wgmma\.mma_async\.sync\.aligned\.m64n(128|256)k16\.f32\.bf16\.bf16"
INTEGER_STEP = r"mma\.sync\.aligned\.m16n8k32\.row\.col\.s32\.s8\.s8\.s32"
MODES = {
    "fast": {kernel: RING + [BF16_STEP, r"(fma|mul)(\.rn)?\.bf16x2"] for kernel in ("matmul_nvfp4", "matmul_mxfp4")},
    "faithful": {kernel: RING + [INTEGER_STEP, r"cvt\.rz\.f32\.s64"] for kernel in ("matmul_nvfp4", "matmul_mxfp4")},
}
# Where there are warpgroups, these kernels use them.
WARPGROUP_KERNEL = r"matmul_(nv|mx)fp4_128x"
# The oldest version that a target's kernels need: a driver refuses what is newer than itself.
VERSIONS = {"sm_80": "7.0", "sm_90a": "8.0", "sm_100a": "8.7", "sm_103a": "8.8", "sm_120a": "8.7"}
# Kernels for sm_80 run on all later GPUs: those of 8.9 are assembled as well.
ASSEMBLE = {"sm_80": ["sm_80", "sm_89"]}


def find_ptxas():
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    candidate = pathlib.Path(home) / "bin" / "ptxas"
    return str(candidate) if candidate.exists() else shutil.which("ptxas")


def kernels_of(ptx):
    """Name and text of each entry."""
    parts = re.split(r"^\.visible \.entry (\w+)", ptx, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def check(name, ptx, target, mode, ptxas):
    problems = []
    if f".version {VERSIONS[target]}\n.target {target}\n" not in ptx:
        problems.append(f"{name}: is not PTX {VERSIONS[target]} for {target}")
    for arch in ASSEMBLE.get(target, [target]):
        problems += assemble(f"{name} for {arch}", ptx, arch, ptxas)
    required = {**COMMON, **({"sm_100a": TENSOR_FP4, "sm_103a": TENSOR_FP4, "sm_120a": FP4}.get(target) or MODES[mode])}
    for kernel, text in kernels_of(ptx).items():
        if re.search(r"\.local|\bld\.local|\bst\.local", text):
            problems.append(f"{name}: {kernel} uses local memory")
        if re.search(r"\b(add|mul|sub)\.f32\b", text):
            problems.append(f"{name}: {kernel} has arithmetic that ptxas may contract")
        for prefix, patterns in required.items():
            # 16x16 blocks gather half words of scales; every other pattern holds for all kernels of the kind.
            for pattern in patterns if kernel.startswith(prefix) else []:
                if pattern == BF16_STEP and target == "sm_90a" and re.match(WARPGROUP_KERNEL, kernel):
                    pattern = WARPGROUP_STEP
                if not re.search(pattern, text):
                    problems.append(f"{name}: {kernel} has no {pattern}")
    return problems


def assemble(name, ptx, arch, ptxas):
    problems = []
    report = subprocess.run([ptxas, f"-arch={arch}", "-v", "-", "-o", os.devnull], input=ptx, text=True, capture_output=True)
    if report.returncode:
        return [f"{name}: ptxas: {report.stderr.strip()}"]
    if "GMMA" in report.stderr or "wgmma" in report.stderr:  # a pipeline that ptxas could not keep asynchronous
        problems.append(f"{name}: {report.stderr.strip()}")
    kernels = kernels_of(ptx)
    found = re.findall(r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
                       report.stderr, flags=re.S)
    if {entry[0] for entry in found} != set(kernels) or not kernels:
        problems.append(f"{name}: ptxas reports {len(found)} kernels, the text has {len(kernels)}")
    for kernel, *sizes in found:
        if any(int(size) for size in sizes):
            problems.append(f"{name}: {kernel} has stack {sizes[0]}, spill stores {sizes[1]}, spill loads {sizes[2]} bytes")
    return problems


def main():
    source, tool = pathlib.Path(sys.argv[1]), sys.argv[2]
    ptxas = find_ptxas()
    if not ptxas:
        print("skipped: no ptxas; set CUDA_HOME to a CUDA toolkit")
        return 77
    problems, count = [], 0
    for path in sorted((source / "generated").rglob("*.ptx")):
        problems += check(str(path.relative_to(source)), path.read_text(), path.relative_to(source / "generated").parts[0], "fast", ptxas)
        count += 1
    for spec in sorted((source / "tests" / "ptx").glob("*.mlir")):
        for target, mode in [("sm_120a", "fast"), ("sm_100a", "fast"), ("sm_103a", "fast"), ("sm_80", "fast"), ("sm_80", "faithful"), ("sm_90a", "fast"), ("sm_90a", "faithful")]:
            name = f"{spec.name} {mode}"
            compiled = subprocess.run([tool, "compile", str(spec), "--target", target, "--mode", mode, "--emit", "ptx"], text=True,
                                      capture_output=True)
            if compiled.returncode:
                problems.append(f"{name} for {target}: {compiled.stderr}")
            else:
                problems += check(name, compiled.stdout, target, mode, ptxas)
            count += 1
    print("\n".join(problems) or f"{count} files: no spills, no local memory")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
