#!/usr/bin/env python3
# The package and its library: the ctypes declarations against the C headers, where the library is looked for, and versions that do not fit.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import reference
from reference import SOURCE

import fourfold
from fourfold import _abi, _library

HEADERS = SOURCE / "runtime/include/fourfold/c"
SCALARS = {"size_t": ctypes.c_size_t, "uint64_t": ctypes.c_uint64, "int64_t": ctypes.c_int64, "int32_t": ctypes.c_int32,
           "uint32_t": ctypes.c_uint32, "int": ctypes.c_int, "void": None}


def header_text():
    text = "\n".join(path.read_text() for path in sorted(HEADERS.glob("*.h")))
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def kind(declaration):
    """The ctypes type of a C type; "" for what is a pointer or a hook."""
    words = declaration.replace("const ", "").strip()
    return SCALARS.get(words, "")


class Declarations(unittest.TestCase):
    def test_structs(self):
        found = {name: body for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} Fourfold(\w+);", header_text(), flags=re.S)}
        ours = {name: value for name, value in vars(_abi).items()
                if isinstance(value, type) and issubclass(value, ctypes.Structure) and not name.startswith("_")}
        self.assertEqual(sorted(found), sorted(ours))
        for name, body in found.items():
            fields = re.findall(r"([\w ]+?[\w*][\s*]*?(?:const \*)?)(\w+);", body)
            self.assertEqual([field for _, field in fields], [field for field, _ in ours[name]._fields_], name)
            for (declared, field), (_, ours_type) in zip(fields, ours[name]._fields_):
                wanted = kind(declared)
                if wanted:
                    self.assertIs(ours_type, wanted, f"{name}.{field}")
                else:
                    self.assertEqual(ctypes.sizeof(ours_type), ctypes.sizeof(ctypes.c_void_p), f"{name}.{field}")
                    self.assertNotIn(ours_type, SCALARS.values(), f"{name}.{field}")

    def test_functions(self):
        found = re.findall(r"FOURFOLD_C_API ([\w *]+?)(fourfold\w+)\((.*?)\);", header_text(), flags=re.S)
        self.assertEqual(sorted(name for _, name, _ in found), sorted(_abi.PROTOTYPES))
        for result, name, arguments in found:
            ours_result, ours = _abi.PROTOTYPES[name]
            arguments = [] if arguments == "void" else [" ".join(argument.split()) for argument in arguments.split(",")]
            self.assertEqual(len(arguments), len(ours), name)
            if result.strip() == "int":
                self.assertIs(ours_result, _abi.CODE, name)
            elif "*" in result:
                self.assertIs(ours_result, ctypes.c_char_p, name)
            else:
                self.assertIs(ours_result, kind(result), name)
            for argument, ours_type in zip(arguments, ours):
                declared, pointer = re.sub(r"\w+$", "", argument).strip(), "*" in argument
                if pointer:
                    self.assertEqual(ctypes.sizeof(ours_type), ctypes.sizeof(ctypes.c_void_p), (name, argument))
                    self.assertNotIn(ours_type, [value for value in SCALARS.values() if value], (name, argument))
                else:
                    self.assertIs(ours_type, kind(declared), (name, argument))

    def test_element_types(self):
        names = re.findall(r"FOURFOLD_(F32|BF16|F16|I64|I32|I8) = (\d)", header_text())
        from fourfold._dtypes import NAMES
        self.assertEqual([name.lower() for name, _ in sorted(names, key=lambda pair: int(pair[1]))], list(NAMES))

    def test_version(self):
        project = re.search(r"project\(Fourfold VERSION ([\d.]+)", (SOURCE / "CMakeLists.txt").read_text())[1]
        self.assertEqual(fourfold.__version__, project)
        metadata = re.search(r'^version = "(.*)"', (SOURCE / "python/pyproject.toml").read_text(), flags=re.M)[1]
        self.assertEqual(metadata, project)
        self.assertEqual(_library.library().version, project)


class Finding(unittest.TestCase):
    def run_python(self, code, **environment):
        """A process of its own: the library is loaded once a process."""
        kept = {name: value for name, value in os.environ.items() if name != "FOURFOLD_LIBRARY"}
        return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True,
                              env={**kept, "PYTHONPATH": str(SOURCE / "python"), **environment})

    def fails(self, words, **environment):
        done = self.run_python("import fourfold; fourfold.devices()", **environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("fourfold._errors.LibraryError: ", done.stderr)
        self.assertIn(words, done.stderr)

    def test_by_the_variable(self):
        path = fourfold.library_path()
        for value in (path, os.path.dirname(path)):
            done = self.run_python("import fourfold; print(fourfold.library_path())", FOURFOLD_LIBRARY=value)
            self.assertEqual((os.path.realpath(done.stdout.strip()), done.stderr), (os.path.realpath(path), ""))
        # A file that is not there, one that is no library, and a library of somebody else.
        self.fails("set FOURFOLD_LIBRARY to its path; tried:", FOURFOLD_LIBRARY="/nowhere/libfourfold.so")
        self.fails("cannot be loaded from", FOURFOLD_LIBRARY=__file__)
        self.fails("has no fourfoldVersion: it is older than this package", FOURFOLD_LIBRARY=_libc())

    @unittest.skipUnless(shutil.which("cc"), "skipped: no C compiler")
    def test_versions_that_do_not_fit(self):
        with tempfile.TemporaryDirectory() as folder:
            for version, words in (("9.9.0", "is Fourfold 9.9.0, this package is 0.1.0"),
                                   (fourfold.__version__, "has no fourfoldLastMessage")):
                library = pathlib.Path(folder) / f"libfourfold-{version}.so"
                subprocess.run(["cc", "-shared", "-x", "c", "-", "-o", library], text=True, check=True,
                               input=f'const char *fourfoldVersion(void) {{ return "{version}"; }}')
                self.fails(words, FOURFOLD_LIBRARY=str(library))

    def test_in_a_prefix(self):
        """As installed: share/fourfold/python beside lib."""
        with tempfile.TemporaryDirectory() as folder:
            prefix = pathlib.Path(folder)
            (prefix / "lib").mkdir()
            shutil.copytree(SOURCE / "python/fourfold", prefix / "share/fourfold/python/fourfold", ignore=shutil.ignore_patterns("__pycache__"))
            os.symlink(fourfold.library_path(), prefix / "lib/libfourfold.so")
            done = self.run_python("import fourfold; print(fourfold.library_path())", PYTHONPATH=str(prefix / "share/fourfold/python"))
            self.assertEqual(done.stdout.strip(), str(prefix.resolve() / "lib/libfourfold.so"), done.stderr)

    def test_commands(self):
        done = self.run_python("import runpy, sys; sys.argv = ['fourfold', 'doctor']; runpy.run_module('fourfold', run_name='__main__')",
                               FOURFOLD_LIBRARY=fourfold.library_path())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("emulated:sm_120a", done.stdout)
        done = subprocess.run([sys.executable, "-m", "fourfold", "nonsense"], text=True, capture_output=True,
                              env={**os.environ, "PYTHONPATH": str(SOURCE / "python")})
        self.assertEqual(done.returncode, 2)


def _libc():
    """The file of a library that is loaded in every process."""
    with open("/proc/self/maps") as maps:
        return next(line.split()[-1] for line in maps if "libc.so" in line or "/libc-" in line)


if __name__ == "__main__":
    reference.main()
