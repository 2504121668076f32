#!/usr/bin/env python3
# The tool and its cache, from outside: many processes at once, folders that do not work, a GPU that is not one.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import argparse
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = PLUGIN = FAKE = None


def npy(shape, values):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }" % "".join("%d, " % extent for extent in shape)
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + struct.pack("<%df" % len(values), *values)


class CacheToolTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("spec.mlir", b"add")
        self.write("x.npy", npy((3, 5), range(15)))
        self.write("w.npy", npy((5, 3), [100] * 15))
        self.environment = {"FOURFOLD_JIT": PLUGIN, "FOURFOLD_CACHE_DIR": self.path("cache"), "FAKE_JIT_COUNTER": self.path("counter"),
                            "CUDA_HOME": os.path.dirname(FAKE)}

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)

    def start(self, *arguments, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FOURFOLD_", "FAKE_", "XDG_"))}
        return subprocess.Popen([TOOL, *arguments], cwd=self.folder.name, env={**clean, **self.environment, **environment},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def tool(self, *arguments, status=0, **environment):
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, status, err)
        return out.decode(), err.decode()

    def compilations(self):
        if not os.path.exists(self.path("counter")):
            return 0
        with open(self.path("counter")) as file:
            return len(file.readlines())

    def entries(self):
        return json.loads(self.tool("cache", "list", "--json")[0])["entries"]

    def entry_path(self):
        key = self.entries()[0]["key"]
        return self.path("cache", "v1", key[:2], key)

    COMPILE = ("compile", "spec.mlir", "--emit", "ptx")
    RUN = ("run", "spec.mlir", "--input", "x=x.npy", "--input", "w=w.npy")

    # Processes

    def test_eight_processes_compile_once(self):
        processes = [self.start(*self.COMPILE, FAKE_JIT_SLEEP="500") for _ in range(8)]
        results = {process.communicate(timeout=120) for process in processes}
        self.assertEqual({process.returncode for process in processes}, {0})
        self.assertEqual(len(results), 1)
        self.assertIn(b".visible .entry add_small", results.pop()[0])
        self.assertEqual(self.compilations(), 1)
        self.assertEqual(len(self.entries()), 1)

    def test_without_waiting_they_all_compile(self):
        # So that the test above can fail: it is the lock that makes it one.
        processes = [self.start(*self.COMPILE, FAKE_JIT_SLEEP="500", FOURFOLD_CACHE_WAIT="0") for _ in range(8)]
        results = {process.communicate(timeout=120)[0] for process in processes}
        self.assertEqual({process.returncode for process in processes}, {0})
        self.assertEqual(len(results), 1)
        self.assertGreater(self.compilations(), 1)
        self.assertEqual(len(self.entries()), 1)

    def test_a_killed_compiler_is_not_waited_for(self):
        process = self.start(*self.COMPILE, FAKE_JIT_SLEEP="60000")
        for _ in range(1000):
            if self.compilations():
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        out, err = self.tool(*self.COMPILE)
        self.assertIn(".visible .entry", out)
        self.assertEqual(err, "")
        self.assertEqual(self.compilations(), 2)

    def test_a_stopped_compiler_is_waited_for_so_long(self):
        self.tool(*self.COMPILE)
        # All byte ranges of the lock file, by a process that does nothing.
        with open(self.path("cache", "v1", "locks"), "rb+") as locks:
            os.unlink(self.entry_path())
            fcntl.lockf(locks, fcntl.LOCK_EX)
            out, err = self.tool(*self.COMPILE, FOURFOLD_CACHE_WAIT="0.2")
        self.assertIn(".visible .entry", out)
        self.assertIn("another process has been compiling the same", err)
        self.assertEqual(err.count("\n"), 1)
        self.assertEqual(self.compilations(), 2)

    # Folders

    def test_folders_that_do_not_work_cost_one_warning(self):
        self.write("file", b"")
        expected = self.tool(*self.COMPILE)[0]
        for folder in ("file", "file/below", "/proc/nothing", "/sys/fourfold"):
            out, err = self.tool(*self.COMPILE, FOURFOLD_CACHE_DIR=folder)
            self.assertEqual(out, expected)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertIn("fourfold: warning: the cache of compiled kernels: cannot", err)
            self.assertIn("compiled anew", err)

    def test_truncated_and_flipped(self):
        expected = self.tool(*self.COMPILE)[0]
        path = self.entry_path()
        with open(path, "rb") as file:
            good = file.read()
        for number, bad in enumerate((good[:-1], b"", good[:100] + bytes([good[100] ^ 1]) + good[101:], b"x" * len(good))):
            with open(path, "wb") as file:
                file.write(bad)
            out, err = self.tool(*self.COMPILE)
            self.assertEqual(out, expected)
            self.assertIn("is damaged", err)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertEqual(self.compilations(), 2 + number)
            self.assertEqual(self.tool(*self.COMPILE), (expected, ""))

    def test_where_it_is(self):
        home = {"FOURFOLD_CACHE_DIR": "", "HOME": self.path("home")}
        self.tool(*self.COMPILE, **home)
        self.assertTrue(os.path.isdir(self.path("home", ".cache", "fourfold", "v1")))
        self.assertEqual(self.tool("cache", "path", **home)[0], self.path("home", ".cache", "fourfold") + "\n")
        self.tool(*self.COMPILE, XDG_CACHE_HOME=self.path("xdg"), **home)
        self.assertTrue(os.path.isdir(self.path("xdg", "fourfold", "v1")))
        self.assertEqual(self.tool("cache", "path", FOURFOLD_CACHE_DIR="./a/../b")[0], self.path("b") + "\n")
        self.assertEqual(self.tool("cache", "path", XDG_CACHE_HOME="relative", **home)[0],
                         self.path("home", ".cache", "fourfold") + "\n")

    def test_off_and_in_memory(self):
        for mode in ("off", "memory"):
            self.tool(*self.COMPILE, FOURFOLD_CACHE=mode)
            self.assertFalse(os.path.exists(self.path("cache")))
        _, err = self.tool(*self.COMPILE, FOURFOLD_CACHE="of")
        self.assertIn("FOURFOLD_CACHE is 'of': expected on, memory or off", err)
        _, err = self.tool(*self.COMPILE, FOURFOLD_CACHE_SIZE="much")
        self.assertIn("FOURFOLD_CACHE_SIZE is 'much'", err)

    # fourfold cache

    def test_commands(self):
        self.assertEqual(self.tool("cache", "size", "--json")[0].count('"entries": 0'), 1)
        self.tool(*self.COMPILE)
        self.tool(*self.COMPILE, "--target", "sm_80")
        entries = self.entries()
        self.assertEqual([entry["about"] for entry in entries], ["ptx of spec.mlir for sm_80", "ptx of spec.mlir for sm_120a"])
        self.assertIn("ptx of spec.mlir for sm_80", self.tool("cache", "list")[0])
        size = json.loads(self.tool("cache", "size", "--json")[0])
        self.assertEqual((size["entries"], size["bytes"]), (2, sum(entry["bytes"] for entry in entries)))
        self.assertIn("2 entries", self.tool("cache", "size")[0])
        self.assertEqual(json.loads(self.tool("cache", "verify", "--json")[0])["good"], 2)
        with open(self.entry_path(), "ab") as file:
            file.write(b"x")
        self.assertIn("problem", self.entries()[0])
        out, _ = self.tool("cache", "verify", status=1)
        self.assertIn("1 good entries, 1 damaged", out)
        self.assertIn("1 good entries, 0 damaged", self.tool("cache", "verify")[0])
        self.assertIn("removed 1 entries", self.tool("cache", "clear")[0])
        self.assertEqual(self.entries(), [])
        self.tool("cache", status=2)
        for command in ("path", "size", "list", "verify", "clear"):
            self.assertIn("Examples:", self.tool("cache", command, "--help")[0])
        self.assertIn("FOURFOLD_CACHE_SIZE", self.tool("cache", "--help")[0])

    def test_the_bound_holds(self):
        self.tool(*self.COMPILE)
        bytes_each = self.entries()[0]["bytes"]
        for target in ("sm_80", "sm_90a", "sm_121a"):
            time.sleep(0.02)
            self.tool(*self.COMPILE, "--target", target, FOURFOLD_CACHE_SIZE=str(bytes_each * 5 // 2))
        entries = self.entries()
        self.assertEqual([entry["about"].split()[-1] for entry in entries], ["sm_121a", "sm_90a"])

    # A GPU

    def gpu(self, **more):
        return {"LD_LIBRARY_PATH": FAKE, **more}

    def test_auto_takes_the_gpu_and_says_so(self):
        out, err = self.tool(*self.RUN, "--profile", "--check", **self.gpu())
        self.assertEqual(err, "fourfold: note: ran on cuda:0 (Fake GPU 0): the first GPU with kernels (sm_120a)\n")
        self.assertIn("buffers, bytes", out)
        self.assertIn("0.250", out)
        profile = json.loads(self.tool(*self.RUN, "--profile", "--json", **self.gpu())[0])
        self.assertEqual(profile["device"], "cuda:0")
        self.assertEqual([launch["milliseconds"] for launch in profile["profile"]["launches"]], [0.125, 0.125])
        self.assertEqual([launch["bufferBytes"] for launch in profile["profile"]["launches"]], [60, 240])

    def test_auto_without_a_gpu_says_why(self):
        _, err = self.tool(*self.RUN, **self.gpu(FAKE_CUDA_CAPABILITY="11.0"))
        self.assertIn("note: ran on emulated:sm_120a: device 'cuda:0' (Fake GPU 0) has compute capability 11.0", err)
        _, err = self.tool(*self.RUN, **self.gpu(FAKE_CUDA_CAPABILITY="8.6"))
        self.assertIn("needs kernels for sm_80, and the compiler has those for sm_120a", err)
        _, err = self.tool(*self.RUN, **self.gpu(FAKE_CUDA_INIT="803"))
        self.assertIn("the NVIDIA driver is installed but does not start: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", err)
        _, err = self.tool(*self.RUN, "--profile")
        self.assertIn("note: ran on emulated:sm_120a: no NVIDIA driver (libcuda.so.1", err)

    def test_doctor(self):
        out, _ = self.tool("doctor", **self.gpu(FAKE_CUDA_COUNT="2", FAKE_CUDA_CAPABILITY="12.0,11.0", FAKE_CUDA_VERSION="12080"))
        for part in ("for CUDA 12.8, takes PTX up to 8.7", "cuda:0             Fake GPU 0 (sm_120a), 8192 of 8192 MiB free",
                     "device 'cuda:1' (Fake GPU 1) has compute capability 11.0", "auto       found    cuda:0", "13.5 (",
                     "1 entries, "):
            self.assertIn(part, out)
        out, _ = self.tool("doctor", FOURFOLD_CACHE_DIR="/proc/nothing")
        self.assertIn("cannot make the folder '/proc/nothing'", out)
        self.assertIn("in memory only", self.tool("doctor", FOURFOLD_CACHE="memory")[0])
        out, _ = self.tool("doctor")
        self.assertIn("no NVIDIA driver (libcuda.so.1", out)
        self.assertIn("auto       found    emulated:sm_120a", out)

    def test_errors_of_a_gpu(self):
        for environment, parts in (
                ({"FAKE_CUDA_FREE": "10"}, ("60 bytes for buffer 'x'", "10 of its 8589934592 bytes are free")),
                ({"FAKE_CUDA_CUBIN": "222", "FAKE_CUDA_VERSION": "12040"}, ("PTX 8.7", "CUDA 12.8 or later", "CUDA 12.4")),
                ({"FAKE_CUDA_LAUNCH": "719"}, ("launch 0", "CUDA_ERROR_LAUNCH_FAILED", "context of cuda:0 is lost"))):
            if "FAKE_CUDA_LAUNCH" in environment:
                parts = ("launch 1 ('add')", *parts[1:])
            _, err = self.tool(*self.RUN, "--device", "cuda:0", status=1, **self.gpu(**environment))
            for part in parts:
                self.assertIn(part, err)
        _, err = self.tool(*self.RUN, "--device", "cuda:0", status=1)
        self.assertIn("device 'cuda:0' does not exist: no NVIDIA driver (libcuda.so.1", err)
        self.assertIn("use emulated:sm_120a", err)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--fake", required=True)
    options, rest = parser.parse_known_args()
    TOOL, PLUGIN, FAKE = options.tool, options.plugin, options.fake
    unittest.main(argv=[sys.argv[0], *rest])
