#!/usr/bin/env bash
# The wheel is all that is needed: built, unpacked somewhere else, and run with nothing of the build tree or the environment.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set -euo pipefail
source=${1:?usage: check_wheel.sh SOURCE BUILD PYTHON}
build=${2:?usage: check_wheel.sh SOURCE BUILD PYTHON}
python=${3:?usage: check_wheel.sh SOURCE BUILD PYTHON}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -c 'import setuptools, wheel' || /usr/bin/python3 -c 'import setuptools, wheel'; } 2> /dev/null; then
  echo "skipped: setuptools and wheel are not installed"
  exit 77
fi
"$source/tools/wheel" --build "$build" --output "$folder"
"$python" -m zipfile -e "$folder"/fourfold-*-py3-none-linux_*.whl "$folder/site"
chmod +x "$folder"/site/fourfold/bin/* # which pip keeps, and this does not
cd "$folder" # nothing is found by being near
clean=(env -i PATH="$PATH" HOME="$folder" PYTHONPATH="$folder/site" FOURFOLD_CACHE=memory "$python")
found=$("${clean[@]}" -m fourfold doctor)
grep -q "^library: $folder/site/fourfold/lib/libfourfold.so, version" <<< "$found" && grep -q '^compiler: works' <<< "$found" &&
  grep -q '^recipes: averis, ' <<< "$found" || { echo "check_wheel: doctor says: $found" >&2; exit 1; }
"${clean[@]}" -m fourfold recipes | grep -q "^averis .* $folder/site/fourfold/share/fourfold/recipes/averis$"
"${clean[@]}" -c '
import numpy, fourfold
layer = fourfold.Linear(64, 64, "averis", "host")
layer.weight = numpy.eye(64)
x = numpy.arange(64 * 64).reshape(64, 64) % 7.0
y = fourfold.float32(layer(x))
assert numpy.abs(y - x).max() < 1, numpy.abs(y - x).max()
fourfold.emulate(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\n  ret;\n}\n")
'
for licence in libtbb12 zlib1g libzstd1; do
  [[ -s site/fourfold/share/fourfold/licences/$licence ]] || { echo "check_wheel: no terms of $licence" >&2; exit 1; }
done
echo "the wheel runs by itself"
