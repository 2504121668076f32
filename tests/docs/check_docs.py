#!/usr/bin/env python3
# Runs the commands of README.md and docs/, compares their output, and checks links and the table of environment variables.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_docs.py SOURCE_DIR BUILD_DIR

Every block of sh must succeed, in a folder that looks like the source tree. After `<!-- test: output -->` what it prints must also be the block of
text that follows: there, a line `...` stands for any lines, blanks are alike, and times (1.25 s) are not compared. After
`<!-- from: FILE -->` the lines of a block of code must stand in that file, with `...` for any lines between.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"(?P<output><!-- test: output -->\n)?^```sh\n(?P<command>.*?)^```\n(?:\n```text\n(?P<expected>.*?)^```\n)?", re.S | re.M)
OUTPUT = "<!-- test: output -->"
EXCERPT = re.compile(r"<!-- from: (?P<file>\S+) -->\n^```\w+\n(?P<code>.*?)^```\n", re.S | re.M)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")


def normalized(text):
    """Lines with single blanks, without times."""
    return [re.sub(r"\b\d+(?:\.\d+)? (s|ms)\b", r"TIME \1", " ".join(line.split())) for line in text.rstrip("\n").split("\n")]


def difference(expected, found):
    """Why `found` is not what the text promises; "" if it is."""
    position, gap = 0, False
    for line in expected:
        if line == "...":
            gap = True
            continue
        try:
            place = found.index(line, position)
        except ValueError:
            return f"prints no line '{line}'"
        if place != position and not gap:
            return f"prints '{found[position]}' where the text has '{line}'"
        position, gap = place + 1, False
    if position != len(found) and not gap:
        return f"prints more: '{found[position]}'"
    return ""


def self_test():
    """The comparison itself can fail: each pair differs from its twin in one line."""
    lines = ["a", "b", "c"]
    assert not difference(["a", "b", "c"], lines) and not difference(["a", "...", "c"], lines)
    assert not difference(["a", "..."], lines) and not difference(["...", "c"], lines)
    for wrong in (["a", "c"], ["a", "b"], ["a", "...", "d"], ["b", "..."], ["...", "b"]):
        assert difference(wrong, lines), wrong
    assert normalized("x  1.25 s\n") == normalized("x 3 s") != normalized("x 3 h")


def interpreter(module):
    """A Python that has a module: Debian's has Debian's packages, another that comes first in the path may not. None if there is none."""
    for candidate in ("python3", "/usr/bin/python3"):
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", f"import {module}"], capture_output=True).returncode == 0:
            return found
    return None


def run_commands(path, text, source, build, folder):
    """What is wrong with the page's commands, and how many ran."""
    cuda = os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin")
    # A cache that begins empty, as the reader's.
    environment = {**os.environ, "PATH": os.pathsep.join((os.environ.get("PATH", ""), cuda)), "FOURFOLD_CACHE": "on",
                   "FOURFOLD_CACHE_DIR": os.path.join(folder, "cache")}
    # Commands of Python run the package of the source tree with the library of this build.
    environment.update(FOURFOLD_LIBRARY=str(build / "lib/libfourfold.so"), PYTHONDONTWRITEBYTECODE="1")
    sanitized = "FOURFOLD_SANITIZE:BOOL=ON" in (build / "CMakeCache.txt").read_text()
    problems, count = [], 0
    blocks = list(BLOCK.finditer(text))
    if sum(1 for block in blocks if block["output"] and block["expected"]) != text.count(OUTPUT):
        problems.append(f"{path}: '{OUTPUT}' must stand right before a block of sh that a block of text follows")
    for block in blocks:
        command = block["command"].strip()
        if any(word in command and not shutil.which(word, path=environment["PATH"]) for word in ("ptxas", "nvcc")):
            print(f"not run, no CUDA toolkit: {command}")
            continue
        # Programs without AddressSanitizer cannot load a library that has it.
        if sanitized and any(word in command for word in ("cc -std", "PYTHONPATH=python")):
            print(f"not run, the build has sanitizers: {command}")
            continue
        if "PYTHONPATH=python" in command:
            module = "torch" if "torch" in command else "numpy"
            python = interpreter(module)
            if not python:
                print(f"not run, no {module}: {command}")
                continue
            command = command.replace("python3", python)
        # `make` would build first, which has been done; two steps are enough to see that the demo runs.
        executed = command.replace("make demo", f"'{source}/tools/demo' --build '{build}' --steps 2")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", executed], cwd=folder, env=environment, capture_output=True, text=True,
                              timeout=600)
        count += 1
        if done.returncode:
            problems.append(f"{path}: '{command}' ends with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        elif block["output"]:
            why = difference(normalized(block["expected"] or ""), normalized(done.stdout))
            if why:
                problems.append(f"{path}: '{command}' {why}")
    return problems, count


def check_excerpts(path, text, source):
    """Code that a page quotes is code that is built and run."""
    problems = []
    for block in EXCERPT.finditer(text):
        file = source / block["file"]
        if not file.exists():
            problems.append(f"{path}: code from {block['file']}, which does not exist")
            continue
        why = difference(["...", *normalized(block["code"]), "..."], normalized(file.read_text()))
        if why:
            problems.append(f"{path}: {block['file']} {why.replace('prints', 'has')}")
    return problems


def check_links(path, text):
    return [f"{path}: link to {target}, which does not exist" for target, _ in LINK.findall(text)
            if "://" not in target and not (path.parent / target).exists()]


def check_environment(readme, source):
    """The variables that the sources read are those of the table, no more and no fewer."""
    read = set()
    for folder in ("runtime", "compiler", "cuda", "plan", "dialect", "examples", "bench"):
        for file in (source / folder).rglob("*"):
            if file.suffix in (".cpp", ".h"):
                read |= set(re.findall(r'(?:getenv|\bread)\("([A-Z][A-Z_]+)"\)', file.read_text()))
    for file in (source / "python").rglob("*.py"):
        read |= set(re.findall(r'environ\.get\("([A-Z][A-Z_]+)"\)', file.read_text()))
    read -= {"LD_LIBRARY_PATH", "PATH", "HOME", "TERM", "XDG_CACHE_HOME"}  # the system's own
    table = set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", readme, flags=re.M))
    return [f"README.md: {name} is {'read but not in the table' if name in read else 'in the table but not read'}"
            for name in sorted(read ^ table)]


def main():
    self_test()
    source, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    problems, commands = [], 0
    pages = [source / "README.md", *sorted((source / "docs").glob("*.md"))]
    with tempfile.TemporaryDirectory() as folder:
        # Files that commands write stay here.
        for entry in source.iterdir():
            if entry != build and entry.name != "build" and not entry.name.startswith("."):
                os.symlink(entry, os.path.join(folder, entry.name))
        os.symlink(build, os.path.join(folder, "build"))
        for page in pages:
            text = page.read_text()
            found, count = run_commands(page, text, source, build, folder)
            problems += found + check_links(page, text) + check_excerpts(page, text, source)
            commands += count
    problems += check_environment((source / "README.md").read_text(), source)
    print("\n".join(problems) or f"{len(pages)} pages, {commands} commands as described")
    return 1 if problems or not commands else 0


if __name__ == "__main__":
    sys.exit(main())
