#!/usr/bin/env python3
# Drives the fourfold tool as a user would: outputs, messages, exit statuses, files left behind.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

TOOL = PLUGIN = None


def npy(descr, shape, data, fortran=False):
    """The bytes of a version 1.0 .npy file."""
    text = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }" % (
        descr, fortran, "".join("%d, " % extent for extent in shape))
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def floats(shape, values):
    return npy("<f4", shape, struct.pack("<%df" % len(values), *values))


def read_floats(path):
    with open(path, "rb") as file:
        content = file.read()
    length, = struct.unpack("<H", content[8:10])
    header, data = content[10:10 + length].decode(), content[10 + length:]
    assert "'<f4'" in header and (10 + length) % 64 == 0, header
    return header, struct.unpack("<%df" % (len(data) // 4), data)


class ToolTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("spec.mlir", b"add")
        self.write("wrong.mlir", b"add wrong")
        self.write("x.npy", floats((3, 5), range(15)))
        self.write("w.npy", floats((5, 3), [100] * 15))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)

    def tool(self, *arguments, status=0, stdin=None, environment=None):
        """Runs the tool in the folder; returns its two outputs."""
        env = {**os.environ, "FOURFOLD_JIT": PLUGIN, "FOURFOLD_CACHE": "off", **(environment or {})}
        done = subprocess.run([TOOL, *arguments], cwd=self.folder.name, env=env, input=stdin, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, status, done)
        return done.stdout, done.stderr.decode()

    def run_error(self, *arguments):
        """Runs `run` with both inputs, which must fail with one line and leave no new file."""
        before = sorted(os.listdir(self.folder.name))
        out, err = self.tool("run", *arguments, status=1)
        self.assertEqual(out, b"")
        self.assertEqual(err.count("\n"), 1, err)
        self.assertEqual(sorted(os.listdir(self.folder.name)), before)
        return err

    INPUTS = ("--input", "x=x.npy", "--input", "w=w.npy")

    # Running

    def test_runs_and_writes_the_output(self):
        for device in ("emulated:sm_120a", "evaluate"):
            out, err = self.tool("run", "spec.mlir", "--device", device, *self.INPUTS, "--output", "y=y.npy")
            self.assertEqual((out, err), (b"", ""))
            header, values = read_floats(self.path("y.npy"))
            self.assertIn("'shape': (3, 5)", header)
            self.assertEqual(values, tuple(float(100 + i) for i in range(15)))
            os.remove(self.path("y.npy"))

    def test_reads_the_spec_from_stdin(self):
        self.tool("run", "-", "--device", "emulated:sm_120a", *self.INPUTS, "--output", "y=y.npy", stdin=b"add")
        self.assertEqual(read_floats(self.path("y.npy"))[1][14], 114.0)

    def test_fortran_order_and_big_endian_inputs(self):
        columns = [5 * row + column for column in range(5) for row in range(3)]
        self.write("x.npy", npy(">f8", (3, 5), struct.pack(">15d", *columns), fortran=True))
        self.tool("run", "spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--output", "y=y.npy")
        self.assertEqual(read_floats(self.path("y.npy"))[1], tuple(float(100 + i) for i in range(15)))

    def test_check_passes_and_fails(self):
        out, _ = self.tool("run", "spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--check")
        self.assertIn(b"check passed: 3 parts", out)
        out, _ = self.tool("run", "wrong.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--check", "--output",
                           "y=y.npy", status=1)
        self.assertIn(b"MISMATCH first at [0, 0]: device 100 (0x42c80000), evaluator 101 (0x42ca0000)", out)
        self.assertIn(b"check failed: 1 of 3", out)
        self.assertFalse(os.path.exists(self.path("y.npy")))

    def test_json(self):
        out, _ = self.tool("run", "spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--check", "--profile", "--json")
        result = json.loads(out)
        self.assertEqual(result["outputs"], [{"name": "y", "type": "f32", "shape": [3, 5]}])
        self.assertTrue(result["check"]["passed"])
        self.assertEqual([part["value"] for part in result["check"]["values"]], ["x", "w", "y"])
        launches = result["profile"]["launches"]
        self.assertEqual([launch["label"] for launch in launches], ["clear scratch", "add"])
        self.assertEqual(launches[1]["kernel"], "add_small")
        # Three loads and one store of 15 floats.
        self.assertEqual(launches[1]["counters"]["globalBytesRead"], 3 * 15 * 4)
        self.assertEqual(launches[1]["counters"]["globalBytesWritten"], 15 * 4)
        out, _ = self.tool("run", "wrong.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--check", "--json", status=1)
        self.assertFalse(json.loads(out)["check"]["passed"])

    def test_profile_table(self):
        out, _ = self.tool("run", "spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--profile")
        self.assertRegex(out.decode(), r"add +1 .* 180 +60 ")
        out, _ = self.tool("run", "spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--profile", "--gpu", "rtx5090")
        self.assertIn(b"least times on NVIDIA GeForce RTX 5090", out)

    def test_cost_model(self):
        out, _ = self.tool("run", "spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--profile=json", "--gpu", "rtx5090")
        launches = json.loads(out)["profile"]["model"]["launches"]
        self.assertEqual([launch["label"] for launch in launches], ["add"])  # a memset is no kernel
        self.assertIn("there is no GPU 'h300'", self.run_error("spec.mlir", *self.INPUTS, "--profile", "--gpu", "h300"))
        self.assertIn("does not run PTX for sm_120a; --device emulated:TARGET takes another target",
                      self.run_error("spec.mlir", "--device", "emulated:sm_120a", *self.INPUTS, "--profile", "--gpu", "h100"))

    # Bad input

    def test_inputs_missing_unknown_twice(self):
        self.assertIn("input 'w' of function 'add' in spec.mlir is missing", self.run_error("spec.mlir", "--input", "x=x.npy"))
        self.assertIn("unknown input 'z': function 'add' in spec.mlir has x, w",
                      self.run_error("spec.mlir", *self.INPUTS, "--input", "z=x.npy"))
        self.assertIn("--input 'x' is given twice: 'x.npy' and 'w.npy'",
                      self.run_error("spec.mlir", *self.INPUTS, "--input", "x=w.npy"))
        for bad in ("x", "=x.npy", "x="):
            self.assertIn("expected NAME=FILE", self.run_error("spec.mlir", "--input", bad))

    def test_outputs_unknown_twice_unwritable(self):
        self.assertIn("unknown output 'z': function 'add' in spec.mlir returns y",
                      self.run_error("spec.mlir", *self.INPUTS, "--output", "z=z.npy"))
        self.assertIn("given twice", self.run_error("spec.mlir", *self.INPUTS, "--output", "y=a.npy", "--output", "y=b.npy"))
        self.assertIn("cannot write 'no/y.npy'", self.run_error("spec.mlir", *self.INPUTS, "--output", "y=no/y.npy"))
        self.assertIn("cannot write '.'", self.run_error("spec.mlir", *self.INPUTS, "--output", "y=."))

    def test_shapes(self):
        self.write("w.npy", floats((5, 4), [1] * 20))
        self.assertIn("w.npy: input 'w' has 4 in dimension 1, but dimension d0 is 3 (x dimension 0)",
                      self.run_error("spec.mlir", *self.INPUTS))
        self.write("w.npy", floats((15,), [1] * 15))
        self.assertIn("w.npy: input 'w' has 1 dimensions (15), but the spec expects 2 (?x?)",
                      self.run_error("spec.mlir", *self.INPUTS))
        self.write("w.npy", floats((5, 0), []))
        self.assertIn("empty tensor", self.run_error("spec.mlir", *self.INPUTS))

    def test_bad_files(self):
        good = floats((3, 5), range(15))
        for content, message in ((b"", "not an .npy file"), (good[:-1], "truncated"), (good[:30], "truncated"),
                                 (npy("|O", (3, 5), b""), "'|O' is not a number"),
                                 (npy("<c8", (3, 5), b"\0" * 120), "'<c8' is not a number")):
            self.write("x.npy", content)
            self.assertIn("fourfold: error: x.npy: ", self.run_error("spec.mlir", *self.INPUTS))
            self.assertIn(message, self.run_error("spec.mlir", *self.INPUTS))
        os.remove(self.path("x.npy"))
        self.assertIn("cannot read 'x.npy': No such file", self.run_error("spec.mlir", *self.INPUTS))
        self.assertIn("cannot read 'none.mlir': No such file", self.run_error("none.mlir", *self.INPUTS))

    def test_devices(self):
        self.assertIn("unknown device 'gpu': expected auto or one of", self.run_error("spec.mlir", "--device", "gpu", *self.INPUTS))
        self.assertIn("no emulated device 'sm_1'", self.run_error("spec.mlir", "--device", "emulated:sm_1", *self.INPUTS))
        for device in ("evaluate", "host"):
            self.assertIn("--check compares", self.run_error("spec.mlir", "--device", device, "--check", *self.INPUTS))
        self.assertIn("has no host programs", self.run_error("spec.mlir", "--device", "host", *self.INPUTS))

    def test_syntax_error_names_the_place(self):
        self.write("bad.mlir", b"subtract")
        self.assertEqual(self.run_error("bad.mlir", *self.INPUTS), "bad.mlir:1:1: error: expected 'add'\n")

    # Compiling

    def test_compile(self):
        ptx, _ = self.tool("compile", "spec.mlir")
        self.assertTrue(ptx.startswith(b".version"))
        self.tool("compile", "-", "--emit", "ptx", "-o", "out.ptx", stdin=b"add")
        with open(self.path("out.ptx"), "rb") as file:
            self.assertEqual(file.read(), ptx)
        manifest, _ = self.tool("compile", "spec.mlir", "--emit", "manifest")
        self.assertEqual(json.loads(manifest)["spec"], "add")
        plan, _ = self.tool("compile", "spec.mlir", "--emit", "plan")
        self.assertTrue(plan.startswith(b"plan add for sm_120a"))

    def test_compile_errors(self):
        self.write("bad.mlir", b"subtract")
        _, err = self.tool("compile", "bad.mlir", "-o", "out.ptx", status=1)
        self.assertEqual(err, "bad.mlir:1:1: error: expected 'add'\n")
        self.assertFalse(os.path.exists(self.path("out.ptx")))
        _, err = self.tool("compile", "spec.mlir", "--emit", "asm", status=1)
        self.assertIn("unknown stage 'asm' for --emit: expected one of linked, plan,", err)
        for stage in ("plan", "manifest"):
            _, err = self.tool("compile", "spec.mlir", "--kernel", "add", "--emit", stage, status=1)
            self.assertIn(f"--kernel add needs --emit kernels, llvm, ptx or cubin: {stage} is of all kernels", err)
        _, err = self.tool("compile", "spec.mlir", "-o", "no/out.ptx", status=1)
        self.assertIn("cannot write 'no/out.ptx'", err)

    def test_recipes(self):
        for name in ("mine", "unfinished"):
            os.makedirs(self.path(f"recipes/{name}"))
        for name in ("mine/linear_forward", "mine/linear_dgrad", "mine/linear_wgrad", "unfinished/linear_forward"):
            self.write(f"recipes/{name}.mlir", b"add")
        here = {"FOURFOLD_RECIPES": "nowhere:recipes"}
        out, _ = self.tool("recipes", environment=here)
        names = [line.split()[0] for line in out.decode().splitlines()]
        self.assertIn("mine", names)
        self.assertNotIn("unfinished", names)
        self.assertEqual(names, sorted(names))
        _, err = self.tool("compile", "--recipe", "unfinished", status=1, environment=here)
        self.assertIn("there is no recipe 'unfinished'; there are ", err)
        self.assertIn("looked in nowhere, recipes, ", err)
        _, err = self.tool("compile", "--recipe", "recipes/unfinished", status=1)
        self.assertIn("'recipes/unfinished' is not the folder of a recipe", err)
        _, err = self.tool("compile", "--recipe", "mine", "--with", "bais", status=1, environment=here)
        self.assertIn("unknown argument 'bais' for --with: a recipe can have bias, mask, dw_in", err)
        for flags in (("--emit", "linked"), ("--distributed",)):
            _, err = self.tool("compile", "spec.mlir", *flags, status=1)
            self.assertIn("needs --recipe", err)
        self.tool("compile", "spec.mlir", "--recipe", "mine", status=2)
        self.tool("compile", status=2)

    # The rest

    def test_doctor(self):
        out, _ = self.tool("doctor")
        self.assertIn(b"compiler   found    fake", out)
        self.assertIn(b"emulated:sm_120a", out)
        out, _ = self.tool("doctor", status=1, environment={"FOURFOLD_JIT": "/nowhere/libfourfold_jit.so"})
        self.assertIn(b"compiler   missing", out)

    def test_missing_plugin(self):
        _, err = self.tool("compile", "spec.mlir", status=1, environment={"FOURFOLD_JIT": "/nowhere/jit.so"})
        self.assertIn("set FOURFOLD_JIT", err)
        self.assertIn("/nowhere/jit.so", err)

    def test_usage(self):
        for arguments in ((), ("frobnicate",), ("run",), ("run", "spec.mlir", "--frobnicate")):
            self.tool(*arguments, status=2)
        _, err = self.tool("frobnicate", "spec.mlir", status=2)
        self.assertIn("there is no command 'frobnicate'; there are compile run recipes cache doctor;", err)
        for command in ("compile", "run", "recipes", "doctor"):
            out, _ = self.tool(command, "--help")
            self.assertIn(b"Example", out)
            self.assertIn(b"Exit status", out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--plugin", required=True)
    arguments, rest = parser.parse_known_args()
    TOOL, PLUGIN = os.path.abspath(arguments.tool), os.path.abspath(arguments.plugin)
    unittest.main(argv=[sys.argv[0], *rest])
