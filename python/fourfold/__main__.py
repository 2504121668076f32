# python -m fourfold: what is installed, and which recipes there are.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import argparse
import importlib.util
import os
import platform
import sys

import numpy

import fourfold
from fourfold import _dtypes, _library


def doctor() -> int:
    """Says what is there; 1 if specs cannot be compiled."""
    library = _library.library()
    print(f"fourfold {fourfold.__version__} on Python {platform.python_version()}, NumPy {numpy.__version__}")
    print(f"library: {library.path}, version {library.version}")
    print(f"bf16 arrays: {'ml_dtypes.bfloat16' if _dtypes.BF16 != numpy.uint16 else 'uint16 (ml_dtypes is not installed)'}")
    print(f"PyTorch: {'installed' if importlib.util.find_spec('torch') else 'not installed'}")
    print(f"devices: {', '.join(fourfold.devices())}")
    print(f"auto: {fourfold.Device('auto').name}")
    print(f"recipes: {', '.join(fourfold.recipes()) or 'none'}")
    try:
        fourfold.emit("func.func @f(%a: tensor<?xf32>) -> tensor<?xf32> {\n  return %a : tensor<?xf32>\n}\n", "signature")
        print("compiler: works")
    except fourfold.Error as error:
        print(f"compiler: {error}")
        return 1
    return 0


def recipes() -> int:
    """Names and folders."""
    for name, folder in fourfold.recipes().items():
        print(f"{name:18} {os.path.normpath(folder)}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fourfold", description="Fourfold for Python. The tool 'fourfold' does more.")
    parser.add_argument("command", choices=("doctor", "recipes"), help="doctor: what is installed; recipes: those of linear layers")
    command = parser.parse_args().command
    try:
        return {"doctor": doctor, "recipes": recipes}[command]()
    except fourfold.Error as error:
        print(f"fourfold: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
