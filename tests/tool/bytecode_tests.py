#!/usr/bin/env python3
# Specs in bytecode, whole and damaged, given to the tools: a result or one clear error, and never a signal.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import argparse
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = OPT = SOURCE = None


class BytecodeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.spec = os.path.join(SOURCE, "kernels_spec/averis/linear_forward.mlir")
        cls.whole = os.path.join(cls.folder.name, "whole.mlirbc")
        subprocess.run([OPT, cls.spec, "-emit-bytecode", "-o", cls.whole], check=True)
        with open(cls.whole, "rb") as file:
            cls.bytes = file.read()
        assert cls.bytes.startswith(b"ML\xefR")

    def run_tool(self, *arguments, stdin=None):
        env = {**os.environ, "FOURFOLD_CACHE": "off"}
        return subprocess.run(arguments, cwd=self.folder.name, env=env, input=stdin, capture_output=True, timeout=300)

    def test_whole_bytecode_compiles_as_its_text_does(self):
        plans = [self.run_tool(TOOL, "compile", spec, "--emit", "plan") for spec in (self.spec, self.whole)]
        for plan in plans:
            self.assertEqual((plan.returncode, plan.stderr), (0, b""))
        self.assertEqual(plans[0].stdout, plans[1].stdout)
        piped = self.run_tool(TOOL, "compile", "-", "--emit", "plan", stdin=self.bytes)
        self.assertEqual((piped.returncode, piped.stdout), (0, plans[0].stdout), piped.stderr)

    def test_what_is_wrong_with_a_spec_in_bytecode_is_said(self):
        done = self.run_tool(TOOL, "compile", self.whole, "--function", "no_such", "--emit", "plan")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(b"has no function 'no_such'", done.stderr)

    def test_a_recipe_in_bytecode_is_refused(self):
        folder = os.path.join(self.folder.name, "recipe")
        os.makedirs(folder, exist_ok=True)
        for part in ("forward", "dgrad", "wgrad"):
            spec = os.path.join(SOURCE, "kernels_spec/averis/linear_%s.mlir" % part)
            with open(os.path.join(folder, "linear_%s.mlir" % part), "wb") as file:
                file.write(self.bytes if part == "forward" else open(spec, "rb").read())
        done = self.run_tool(TOOL, "compile", "--recipe", "./recipe", "--emit", "linked")
        self.assertEqual((done.returncode, done.stdout), (1, b""), done)
        self.assertIn(b"linear_forward.mlir:1:1: error: is MLIR bytecode, which is not read here", done.stderr)

    def check_damaged(self, damaged, what):
        path = os.path.join(self.folder.name, "damaged.mlirbc")
        with open(path, "wb") as file:
            file.write(damaged)
        outcomes = []
        for command in ([TOOL, "compile", path, "--emit", "plan"], [OPT, path]):
            done = self.run_tool(*command)
            outcomes.append(done.returncode)
            self.assertIn(done.returncode, (0, 1), (what, done))
            if done.returncode == 1:
                self.assertEqual(done.stdout, b"", what)
                self.assertIn(b"error: ", done.stderr, what)
                self.assertNotIn(b"Stack dump", done.stderr, what)
                self.assertNotIn(b"PLEASE submit a bug report", done.stderr, what)
        return outcomes

    def test_flipped_bytes(self):
        # A sample: the frontend's test flips more.
        refused = 0
        for at in range(4, len(self.bytes), 97):
            damaged = bytearray(self.bytes)
            damaged[at] ^= 0xff
            refused += self.check_damaged(bytes(damaged), "byte %d" % at)[0]
        self.assertGreater(refused, 0)

    def test_truncated(self):
        for size in (5, len(self.bytes) // 3, len(self.bytes) - 1):
            self.assertEqual(self.check_damaged(self.bytes[:size], "cut to %d" % size), [1, 1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("tool", "opt", "source"):
        parser.add_argument("--" + name, required=True)
    arguments, rest = parser.parse_known_args()
    TOOL, OPT, SOURCE = arguments.tool, arguments.opt, arguments.source
    unittest.main(argv=[sys.argv[0], *rest])
