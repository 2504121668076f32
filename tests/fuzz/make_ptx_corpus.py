#!/usr/bin/env python3
# Makes small seeds of the PTX fuzzer out of large PTX files: every instruction with its modifiers once, in kernels of a few lines.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Usage: make_ptx_corpus.py OUT FILE.ptx...
import pathlib
import re
import sys

LINES = 16  # instructions a seed: a change of one byte should spoil one of few


def functions(text):
    """The bodies of all functions with their register declarations."""
    for match in re.finditer(r"^\.?(?:visible|weak|entry|func)[^;{]*\{(.*?)^\}", text, re.M | re.S):
        yield match.group(1)


def main():
    out, files = pathlib.Path(sys.argv[1]), sys.argv[2:]
    seen, groups = set(), {}
    for path in files:
        text = re.sub(r"//[^\n]*", "", pathlib.Path(path).read_text())
        version = re.search(r"^\.version\s+(\S+)", text, re.M)
        target = re.search(r"^\.target\s+([^\n]+)", text, re.M)
        if not version or not target:
            continue
        header = (version.group(1), target.group(1).strip())
        for body in functions(text):
            registers = {prefix: kind for kind, prefix in re.findall(r"\.reg\s+(\.\w+)\s+(%\w+?)<\d+>;", body)}
            for statement in body.split(";"):
                statement = " ".join(statement.split())
                words = re.match(r"(@!?%\w+ )?([a-z][\w.:]*)\s*(.*)", statement)
                if not words or words.group(2) in seen:
                    continue
                # Alone, without the labels, parameters and variables of its kernel.
                operands = re.sub(r"%[a-z_]\w*(\.[xyzw])?", "", re.sub(r"\b0[fdxX][0-9a-fA-F]+\b", "", words.group(3)))
                if re.search(r"[A-Za-z_$]", operands) or words.group(2).startswith(("bra", "call", "ret")):
                    continue
                seen.add(words.group(2))
                groups.setdefault(header, []).append((statement, registers))
    out.mkdir(parents=True, exist_ok=True)
    for (version, target), lines in sorted(groups.items()):
        for start in range(0, len(lines), LINES):
            part = lines[start:start + LINES]
            declared, body, highest = {}, [], {}
            for statement, registers in part:
                # One prefix may have another type elsewhere: each type has a prefix of its own here.
                def rename(match):
                    kind = registers.get(match.group(1))
                    if not kind:
                        return match.group(0)
                    prefix = "%" + kind[1:] + "_"
                    declared[prefix] = kind
                    number = highest.setdefault((prefix, match.group(0)), len([k for k in highest if k[0] == prefix]))
                    return prefix + str(number)
                body.append("  " + re.sub(r"(%[a-z]+)\d+", rename, statement) + ";\n")
            counts = {prefix: 1 + max(n for (p, _), n in highest.items() if p == prefix) for prefix in declared}
            text = f".version {version}\n.target {target}\n.address_size 64\n.visible .entry k(.param .u64 p) {{\n"
            text += "".join(f"  .reg {declared[p]} {p}<{counts[p]}>;\n" for p in sorted(declared))
            text += "".join(body) + "  ret;\n}\n"
            name = re.sub(r"\W+", "_", target) + "_" + version.replace(".", "") + f"_{start // LINES:02}.ptx"
            (out / name).write_text(text)


if __name__ == "__main__":
    main()
