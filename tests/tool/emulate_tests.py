#!/usr/bin/env python3
# Drives fourfold-emulate as a user would: results, findings, messages, exit statuses, files left behind.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import argparse
import json
import os
import subprocess
import sys
import tempfile
import unittest

from tool_tests import floats, npy, read_floats

TOOL = None
PTX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ptx")

COPY = """.version 7.0
.target sm_80
.address_size 64
.visible .entry copy(.param .u64 to, .param .u64 from, .param .u32 count) {
  .reg .b32 %r<4>; .reg .b64 %rd<5>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [to];
  ld.param.u64 %rd2, [from];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %tid.x;
  setp.ge.u32 %p1, %r2, %r1;
  @%p1 bra END;
  mul.wide.u32 %rd3, %r2, 4;
  add.s64 %rd4, %rd2, %rd3;
  ld.global.u32 %r3, [%rd4];
  add.s64 %rd4, %rd1, %rd3;
  st.global.u32 [%rd4], %r3;
END: ret;
}
.visible .entry nothing() { ret; }
"""

# Each block writes its rank to the shared memory of the block beside it; and blocks that wait for all others.
RANKS = """.version 8.0
.target sm_90
.address_size 64
.visible .entry ranks(.param .u64 out) .explicitcluster .maxclusterrank 4 {
  .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p<2>;
  .shared .align 4 .b32 s;
  mov.u32 %r1, %cluster_ctarank;
  xor.b32 %r2, %r1, 1;
  mov.u32 %r3, s;
  mapa.shared::cluster.u32 %r4, %r3, %r2;
  barrier.cluster.arrive;
  barrier.cluster.wait;
  mov.u32 %r5, %tid.x;
  setp.eq.u32 %p1, %r5, 0;
  @%p1 st.shared::cluster.u32 [%r4], %r1;
  barrier.cluster.arrive;
  barrier.cluster.wait;
  ld.shared.u32 %r6, [s];
  ld.param.u64 %rd1, [out];
  mov.u32 %r7, %ctaid.x;
  mul.wide.u32 %rd2, %r7, 4;
  add.s64 %rd1, %rd1, %rd2;
  @%p1 st.global.u32 [%rd1], %r6;
  ret;
}
.visible .entry all_at_once(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd2, %rd1, %rd2;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra END;
  atom.global.exch.b32 %r3, [%rd2], 1;
  xor.b32 %r2, %r2, 3;
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd2, %rd1, %rd2;
AGAIN:
  atom.global.exch.b32 %r3, [%rd2], 1;
  setp.ne.u32 %p1, %r3, 1;
  @%p1 bra AGAIN;
END: ret;
}
"""


LAST = """.version 7.0
.target sm_80
.address_size 64
.visible .entry last(.param .u64 out) {
  .reg .b32 %r<2>; .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %ctaid.x;
  st.global.u32 [%rd1], %r1;
  ret;
}
"""


def npy_tail(path, count):
    with open(path, "rb") as file:
        return file.read()[-count:]


MISSING = """.version 8.6
.target sm_100a
.address_size 64
.func helper() { tcgen05.shift.cta_group::1.down [0]; ret; }
.visible .entry cannot() { call helper; ret; }
.visible .entry can(.param .u64 to) { ret; }
"""


class EmulateTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        with open(self.path("copy.ptx"), "w") as file:
            file.write(COPY)
        self.write("x.npy", floats((4, 96), [i % 7 for i in range(384)]))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)

    def run_tool(self, *arguments):
        return subprocess.run([TOOL, *arguments], cwd=self.folder.name, capture_output=True, text=True, timeout=60)

    def expect(self, status, *arguments, error=""):
        done = self.run_tool(*arguments)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        if error:
            self.assertIn(error, done.stderr)
        elif status == 0:
            self.assertEqual(done.stderr, "")
        return done

    def rows(self, name, *more):
        return ("--grid", "4", "--block", "64", os.path.join(PTX, name), "--arg", "in:x.npy", "--arg", "out:s.npy,f32,4", "--arg", "i32:96", *more)

    def test_the_order_of_blocks(self):
        with open(self.path("last.ptx"), "w") as file:
            file.write(LAST)
        for order, last in (((), 6), (("--block-order", "ascending"), 6), (("--block-order", "descending"), 0)):
            self.expect(0, "last.ptx", "--grid", "7", "--threads", "1", *order, "--arg", "out:r.npy,u32,1")
            self.assertEqual(int.from_bytes(npy_tail(self.path("r.npy"), 4), "little"), last)
        self.expect(2, "last.ptx", "--block-order", "random", "--arg", "out:r.npy,u32,1", error="random not in {ascending,descending}")

    def test_clusters_and_cooperative_grids(self):
        with open(self.path("ranks.ptx"), "w") as file:
            file.write(RANKS)
        out = ("ranks.ptx", "--grid", "4", "--arg", "out:r.npy,u32,4")
        self.expect(0, *out, "--kernel", "ranks", "--cluster", "2")
        self.assertEqual([int.from_bytes(npy_tail(self.path("r.npy"), 16)[4 * i:4 * i + 4], "little") for i in range(4)], [1, 0, 1, 0])
        self.expect(2, *out, "--kernel", "ranks", "--cluster", "3", error="grid (4, 1, 1) is not a multiple of the cluster (3, 1, 1)")
        self.expect(2, *out, "--kernel", "ranks", "--cluster", "0,2", error="a dimension of the cluster (0, 2, 1) is 0")
        self.expect(2, *out, "--kernel", "ranks", "--cluster", "two", error="is not X, X,Y or X,Y,Z")
        self.expect(2, *out, "--kernel", "ranks", "--device", "sm_80", error="is for 'sm_90' and cannot run on the emulated sm_80")
        self.expect(1, *out, "--kernel", "ranks", "--cluster", "1", error="mapa to the block of rank 1 in a cluster of 1")
        self.expect(0, *out, "--kernel", "all_at_once", "--cooperative")
        listed = self.expect(0, "ranks.ptx", "--list").stdout
        self.assertIn("ranks(out: 8 bytes) needs --cluster clusters of at most 4 blocks", listed)

    def test_runs(self):
        self.expect(0, *self.rows("row_sums.ptx"))
        header, values = read_floats(self.path("s.npy"))
        self.assertEqual(list(values), [sum((96 * row + i) % 7 for i in range(96)) for row in range(4)])
        self.assertIn("(4,)", header)

    def test_kernels_that_cannot_run(self):
        self.write("missing.ptx", MISSING.encode())
        done = self.expect(0, "missing.ptx", "--list")
        self.assertIn("cannot()\n  missing: kernel 'cannot', line 4: `.func helper() { tcgen05.shift.", done.stdout)
        self.assertIn("can(to: 8 bytes)\n", done.stdout)
        done = self.run_tool("missing.ptx", "--check-only")
        self.assertEqual((done.returncode, done.stderr), (2, ""))
        self.assertIn("can: can run\ncannot: cannot run\n  missing: ", done.stdout)
        self.assertEqual(self.expect(0, "missing.ptx", "--check-only", "--kernel", "can").stdout, "can: can run\n")
        self.expect(2, "missing.ptx", "--check-only", "--kernel", "neither", error="has no kernel 'neither'")
        self.expect(2, "missing.ptx", "--kernel", "cannot", error="line 4")
        self.expect(0, "missing.ptx", "--kernel", "can", "--arg", "u64:0")

    def test_finding(self):
        # The first warp adds up before the second has written its sum.
        done = self.expect(1, *self.rows("row_sums_racy.ptx"), error="loaded bytes never written")
        for word in ("fourfold-emulate: finding: ", "row_sums_racy.ptx", "kernel 'row_sums', line ", "block (", "thread (0, 0, 0)"):
            self.assertIn(word, done.stderr)
        self.assertFalse(os.path.exists(self.path("s.npy")))
        self.expect(0, *self.rows("row_sums_racy.ptx", "--check", "none"))

    def test_bounds(self):
        arguments = ("copy.ptx", "--kernel", "copy", "--block", "96", "--arg", "zero:f32,95,y.npy", "--arg", "in:x.npy", "--arg")
        self.expect(0, *arguments, "u32:95")
        self.expect(1, *arguments, "u32:96", error="allocation #1 of 380 bytes")

    def test_uninitialised(self):
        self.expect(1, "copy.ptx", "--kernel", "copy", "--arg", "zero:u32,32", "--arg", "scratch:u32,32", "--arg", "u32:32", error="never written")

    def test_inout_and_types(self):
        self.write("y.npy", npy(">f8", (2,), b"\x3f\xf0" + bytes(6) + b"\x40\x00" + bytes(6)))
        self.expect(0, "copy.ptx", "--kernel", "copy", "--arg", "inout:y.npy,z.npy", "--arg", "in:x.npy", "--arg", "u32:0")
        with open(self.path("z.npy"), "rb") as file:
            content = file.read()
        self.assertIn(b"'<f8'", content)
        self.assertEqual(content[-16:], bytes(6) + b"\xf0\x3f" + bytes(7) + b"\x40")

    def test_list_and_profile(self):
        self.assertEqual(self.expect(0, "copy.ptx", "--list").stdout, "copy(to: 8 bytes, from: 8 bytes, count: 4 bytes)\nnothing()\n")
        arguments = ("copy.ptx", "--kernel", "copy", "--arg", "zero:f32,32", "--arg", "in:x.npy", "--arg", "u32:32")
        table = self.expect(0, *arguments, "--profile").stdout
        self.assertIn("global bytes read", table)
        counters = json.loads(self.expect(0, *arguments, "--json").stdout)
        self.assertEqual((counters["globalBytesRead"], counters["globalSectorsRead"], counters["blocks"]), (128, 4, 1))

    def test_cost_model(self):
        arguments = ("copy.ptx", "--kernel", "copy", "--arg", "zero:f32,32", "--arg", "in:x.npy", "--arg", "u32:32", "--profile")
        table = self.expect(0, *arguments, "--gpu", "h100").stdout
        self.assertIn("least times on NVIDIA H100 SXM5 80GB", table)
        self.assertRegex(table, r"copy +0.006  issue +100 ")
        profile = json.loads(self.expect(0, *arguments[:-1], "--profile=json", "--gpu", "rtx5090").stdout)
        self.assertEqual(profile["footprintSectorsRead"], 4)
        launch = profile["model"]["launches"][0]
        self.assertEqual((launch["kernel"], launch["blocks"], launch["threads"]), ("copy", 1, 32))
        memory = [term for term in launch["speedOfLight"]["terms"] if term["name"] == "memory"][0]
        self.assertAlmostEqual(memory["microseconds"], 256 / 1.792e6)
        names = "a100, h100, h200, rtx4090, rtx5090, b200"
        self.expect(2, *arguments, "--gpu", "h300", error="there is no GPU 'h300' in the cost model: use one of " + names)
        self.expect(2, *arguments[:-1], "--gpu", "h100", error="--profile")
        self.expect(2, *arguments[:-1], "--profile=yaml", error="yaml")
        with open(self.path("hopper.ptx"), "w") as file:
            file.write(COPY.replace("7.0", "8.0").replace("sm_80", "sm_90a"))
        self.expect(2, "hopper.ptx", *arguments[1:], "--gpu", "a100", error="does not run PTX for sm_90a")

    def test_printf(self):
        done = self.expect(0, os.path.join(PTX, "print.ptx"), "--arg", "in:x.npy", "--arg", "i64:-5000000000")
        self.assertEqual(done.stdout, "".join("thread %d of 32  |  %d.00%%|text|-5000000000|c|0xff|  -7\n" % (i, i) for i in range(2)))

    def tiles(self, name, box, to, *more):
        maps = ("--arg", "tensormap:in:x.npy," + box, "--arg", "tensormap:out:%s,f32,4x96,%s" % (to, box))
        return (os.path.join(PTX, name), "--grid", "3", "--block", "64", *maps, *more)

    def test_tensor_maps(self):
        # 4 rows of 96: the tile of 16 x 32 reaches over the end.
        for box in ("box=16x32,swizzle=128B", "box=16x32", "box=16x32,fill=nan,steps=1x1"):
            self.expect(0, *self.tiles("scale_tiles.ptx", box, "y.npy"))
            header, values = read_floats(self.path("y.npy"))
            self.assertEqual(list(values), [2 * (i % 7) for i in range(384)])
            self.assertIn("(4, 96)", header)
        self.expect(1, *self.tiles("scale_tiles_unfenced.ptx", "box=16x32,swizzle=128B", "z.npy"), error="fence.proxy.async is missing")
        self.assertFalse(os.path.exists(self.path("z.npy")))
        self.expect(0, *self.tiles("scale_tiles_unfenced.ptx", "box=16x32", "z.npy", "--check", "fast"))
        # A box of 15 rows brings fewer bytes than the kernel waits for.
        self.expect(1, *self.tiles("scale_tiles.ptx", "box=15x32", "z.npy"), error="2048 bytes are expected in this phase, 1920")
        for map, error in (
            ("tensormap:in:x.npy", "the array has 2 dimensions, the box 0"),
            ("tensormap:in:x.npy,box=16x32,steps=1", "the array has 2 dimensions, 1 steps"),
            ("tensormap:in:x.npy,box=16x-1", "'16x-1' is not a list of extents"),
            ("tensormap:in:x.npy,box=16x32,swizzle=16B", "swizzle '16B' is not none, 32B"),
            ("tensormap:in:x.npy,box=16x32,fill=one", "fill 'one' is neither zero nor nan"),
            ("tensormap:in:x.npy,box=16x32,type=f16", "type 'f16' is not 16u4"),
            ("tensormap:in:x.npy,box=16x32,type=16u4", "takes a buffer of bytes"),
            ("tensormap:in:x.npy,box=16x32,colour=1", "'colour' is not one of"),
            ("tensormap:i32:1,box=16x32", "a tensor map is of a buffer"),
            ("tensormap:in:none.npy,box=1x32", "none.npy"),
            ("tensormap:in:x.npy,box=257x32", "boxDim[1] is 257"),
            ("in:x.npy", "has an address of 8 bytes, parameter 1"),
        ):
            with self.subTest(map=map):
                self.expect(2, os.path.join(PTX, "scale_tiles.ptx"), "--arg", map, "--arg", "tensormap:zero:f32,4x96,box=16x32", error=error)

    def test_usage(self):
        three = ("--arg", "zero:f32,32", "--arg", "zero:f32,32", "--arg")
        for arguments, error in (
            (("copy.ptx",), "has 2 kernels: choose one with --kernel: copy, nothing"),
            (("copy.ptx", "--kernel", "kopy"), "no kernel 'kopy'; it has: copy, nothing"),
            (("copy.ptx", "--kernel", "copy"), "0 --arg were given, the kernel has 3 parameters: copy(to: 8 bytes"),
            (("copy.ptx", "--kernel", "copy", *three, "u64:1"), "has 8 bytes, parameter 3 ('count') has 4"),
            (("copy.ptx", "--kernel", "copy", *three, "u32:-1"), "does not fit into u32"),
            (("copy.ptx", "--kernel", "copy", *three, "u32:x"), "'x' is not a number"),
            (("copy.ptx", "--kernel", "copy", *three, "7"), "expects TYPE:VALUE"),
            (("copy.ptx", "--kernel", "copy", *three, "q7:7"), "neither a type nor a kind of buffer"),
            (("copy.ptx", "--kernel", "copy", *three, "in:none.npy"), "none.npy"),
            (("copy.ptx", "--kernel", "nothing", "--block", "1025"), "limit"),
            (("copy.ptx", "--kernel", "nothing", "--grid", "1,,2"), "is not X"),
            (("copy.ptx", "--kernel", "nothing", "--device", "sm_70"), "no emulated device 'sm_70'"),
            (("none.ptx",), "none.ptx"),
        ):
            with self.subTest(arguments=arguments):
                self.expect(2, *arguments, error=error)
        self.write("bad.ptx", COPY.replace("mul.wide.u32 %rd3,", "mul.wide.u32 %rd3").encode())
        self.expect(2, "bad.ptx", "--list", error=":12: expects")
        self.write("other.ptx", COPY.replace("sm_80", "sm_103a").encode())
        self.expect(2, "other.ptx", "--list", error="sm_103a")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--emulate", required=True)
    options, rest = parser.parse_known_args()
    TOOL = options.emulate
    unittest.main(argv=[sys.argv[0], *rest])
