#!/usr/bin/env bash
# Installs into a folder, moves it, and builds and runs examples there by find_package and by pkg-config, with nothing of the build tree.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set -euo pipefail
source=${1:?usage: check_install.sh SOURCE BUILD}
build=${2:?usage: check_install.sh SOURCE BUILD}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset FOURFOLD_JIT FOURFOLD_RECIPES PYTHONPATH LD_LIBRARY_PATH

cmake --install "$build" --prefix "$folder/first" > "$folder/log" || { cat "$folder/log" >&2; exit 1; }
prefix=$folder/moved # nothing may remember where it was put
mv "$folder/first" "$prefix"

# What embeds a library with AddressSanitizer has to bring it.
sanitizers=()
if nm -D "$(find "$prefix" -name libfourfold.so)" | grep -q __asan; then
  sanitizers=(-fsanitize=address,undefined)
  export CFLAGS=${sanitizers[*]} CXXFLAGS=${sanitizers[*]}
fi

mkdir "$folder/project"
cp "$source/examples/linear_layer.c" "$source/examples/linear_fit.cpp" "$folder/project"
cat > "$folder/project/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.25)
project(Embedder LANGUAGES C CXX)
find_package(Fourfold 0.1 REQUIRED)
add_executable(linear_layer linear_layer.c)
target_link_libraries(linear_layer PRIVATE Fourfold::fourfold m)
add_executable(linear_fit linear_fit.cpp)
target_compile_features(linear_fit PRIVATE cxx_std_17)
target_link_libraries(linear_fit PRIVATE Fourfold::fourfold)
END
cmake -S "$folder/project" -B "$folder/project/build" -DCMAKE_PREFIX_PATH="$prefix" > "$folder/log" || { cat "$folder/log" >&2; exit 1; }
cmake --build "$folder/project/build" > "$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
"$folder/project/build/linear_layer" emulated:sm_120a averis
"$folder/project/build/linear_fit" emulated:sm_120a averis

if command -v pkg-config > /dev/null; then
  export PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name fourfold.pc)")
  cc -std=c11 "${sanitizers[@]}" "$source/examples/linear_layer.c" $(pkg-config --cflags --libs fourfold) -Wl,-rpath,"$(pkg-config --variable=libdir fourfold)" \
    -lm -o "$folder/by_pkg_config"
  "$folder/by_pkg_config" emulated:sm_120a nvfp4
fi

"$prefix/bin/fourfold" recipes | grep -q averis
"$prefix/bin/fourfold" compile --recipe averis --target sm_120a --emit manifest > /dev/null
"$prefix/bin/fourfold-opt" --version > /dev/null
python=python3
"$python" -c 'import numpy' 2> /dev/null || python=/usr/bin/python3
# Python cannot load a library with AddressSanitizer, which must be in the program.
if "$python" -c 'import numpy' 2> /dev/null && (( ! ${#sanitizers[@]} )); then
  found=$(env -u FOURFOLD_LIBRARY PYTHONPATH="$prefix/share/fourfold/python" "$python" -m fourfold doctor)
  grep -q "library: $prefix/" <<< "$found" && grep -q 'compiler: works' <<< "$found" || { echo "install: the Python package: $found" >&2; exit 1; }
fi
# Exported symbols are ours alone: a second LLVM or another fmt in the process is not disturbed.
library=$(find "$prefix" -name 'libfourfold.so')
others=$(nm -D --defined-only --format=posix "$library" | awk '{ print $1 }' | grep -vE '^(fourfold|_ZN8fourfold|_ZNK8fourfold|_ZT[IVS]N8fourfold|_ZT[IVS]8fourfold|FOURFOLD)' || true)
if [[ -n $others ]]; then
  echo "install: libfourfold.so exports what is not its own: ${others//$'\n'/ }" >&2
  exit 1
fi
echo "installed, moved, embedded by find_package and pkg-config"
