#!/usr/bin/env python3
# Runs the commands that the README and the manual show in ```sh blocks and that use build/bin.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_commands.py SOURCE_DIR BUILD_DIR: each command must end with status 0, in a folder that looks like the source tree."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def commands_of(text):
    """Commands of all sh blocks, continuation lines joined, comments dropped."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+#.*", "", line).strip()
            if line.startswith("build/bin/") and "SPEC.mlir" not in line:
                yield line


def main():
    source, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    home = pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "bin"
    path = f"{home}{os.pathsep}{os.environ.get('PATH', '')}"
    have_ptxas = shutil.which("ptxas", path=path)
    failures, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for entry in source.iterdir():
            if entry.name not in ("build", ".git"):
                os.symlink(entry, pathlib.Path(folder) / entry.name)
        os.symlink(build, pathlib.Path(folder) / "build")
        for page in [source / "README.md", *sorted((source / "docs").glob("*.md"))]:
            for command in commands_of(page.read_text()):
                if "ptxas" in command and not have_ptxas:
                    print(f"not run, no ptxas: {command}")
                    continue
                count += 1
                result = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, text=True, capture_output=True,
                                        env={**os.environ, "PATH": path})
                if result.returncode:
                    failures.append(f"{page.name}: {command}\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    print("\n".join(failures) or f"{count} commands ran")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
