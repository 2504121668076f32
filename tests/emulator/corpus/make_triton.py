# Kernels in Triton, and their PTX for the tests: pip install triton (made with 3.9.0), then python3 make_triton.py; no GPU is needed.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import os
import re

os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def statistics(x, sums, most, where, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sums of columns, the largest of each row and where it is: each warp ends with a copy of all sums, and all write them."""
    rows = tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    v = tl.load(x + rows[:, None] * COLUMNS + columns[None, :])
    tl.store(sums + columns, tl.sum(v, 0))
    tl.store(most + rows, tl.max(v, 1))
    tl.store(where + rows, tl.argmax(v, 1))


@triton.jit
def tiles(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BLOCKS: tl.constexpr):
    """C = A B^T by blocks that stay, with tensor maps that the kernel itself makes."""
    da = tl.make_tensor_descriptor(a, shape=[M, K], strides=[K, 1], block_shape=[BM, BK])
    db = tl.make_tensor_descriptor(b, shape=[N, K], strides=[K, 1], block_shape=[BN, BK])
    dc = tl.make_tensor_descriptor(c, shape=[M, N], strides=[N, 1], block_shape=[BM, BN])
    across = tl.cdiv(N, BN)
    for tile in range(tl.program_id(0), tl.cdiv(M, BM) * across, BLOCKS):
        row = tile // across * BM
        column = tile % across * BN
        sums = tl.zeros((BM, BN), tl.float32)
        for k in range(0, K, BK):
            sums = tl.dot(da.load([row, k]), db.load([column, k]).T, sums)
        dc.store([row, column], sums.to(tl.float16))


def make(kernel, types, constants, capability, **options):
    signature = {name: "constexpr" if name in constants else types[name] for name in kernel.arg_names}
    # Pointers, and the extents that the test passes, are multiples of 16.
    even = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(kernel.arg_names) if types.get(name, "")[:1] == "*" or name in ("N", "K")}
    made = triton.compile(ASTSource(kernel, signature, constants, even), target=GPUTarget("cuda", capability, 32), options=options)
    # Where the compiler was installed is nothing to keep.
    text = re.sub(r"(?m)^\s*\.(file|loc)\b.*\n", "", made.asm["ptx"])
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, f"triton_{kernel.__name__}_sm_{capability}.ptx"), "w") as file:
        file.write(f"// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\n// make_triton.py; shared memory: {made.metadata.shared}, "
                   f"scratch of a block: {made.metadata.global_scratch_size}\n{text}")


for capability in (80, 90, 120):
    make(statistics, {"x": "*fp32", "sums": "*fp32", "most": "*fp32", "where": "*i32"}, {"ROWS": 16, "COLUMNS": 32}, capability, num_warps=4)
for capability in (90, 120):
    make(tiles, {"a": "*fp16", "b": "*fp16", "c": "*fp16", "M": "i32", "N": "i32", "K": "i32"}, {"BM": 64, "BN": 32, "BK": 32, "BLOCKS": 2}, capability,
         num_warps=4, num_stages=2)
