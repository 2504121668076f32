#!/usr/bin/env python3
# Makes small seeds of the PTX fuzzer out of large PTX files: every instruction with its modifiers once, in kernels of a few lines.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Usage: make_ptx_corpus.py LINES OUT FILE.ptx...
#
# LINES instructions a seed: a change of one byte should spoil few of them. Every register has a value, and every address points somewhere: to
# shared memory where the instruction speaks of it, else to what the parameter points to.
import pathlib
import re
import sys

VALUES = {".pred": "setp.eq.u32 {}, 0, {};", ".b16": "mov.b16 {}, {};", ".b32": "mov.b32 {}, {};", ".b64": "mov.b64 {}, {};"}


def functions(text):
    """The bodies of all functions with their register declarations."""
    for match in re.finditer(r"^\.?(?:visible|weak|entry|func)[^;{]*\{(.*?)^\}", text, re.M | re.S):
        yield match.group(1)


def main():
    size, out, files = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
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
        for start in range(0, len(lines), size):
            declared, numbers, body = {}, {}, []
            for statement, registers in lines[start:start + size]:
                space = "s" if re.search(r"shared|mbarrier|matrix|cp\.async", statement) else "g"
                inside = 0

                # One prefix may have another type elsewhere: each type has a prefix of its own here, and addresses have theirs.
                def rename(match):
                    nonlocal inside
                    if match.group(0) in "[]":
                        inside += 1 if match.group(0) == "[" else -1
                        return match.group(0)
                    kind = registers.get(match.group(1))
                    if not kind:
                        return match.group(0)
                    prefix = "%" + (space if inside and kind in (".b32", ".b64") else "") + kind[1:] + "_"
                    declared[prefix] = kind
                    known = numbers.setdefault(prefix, {})
                    return prefix + str(known.setdefault(match.group(0), len(known)))
                body.append("  " + re.sub(r"\[|\]|(%[a-z]+)\d+", rename, statement) + ";\n")
            text = f".version {version}\n.target {target}\n.address_size 64\n.visible .entry k(.param .u64 p) {{\n"
            text += "  .shared .align 128 .b8 tile[4096];\n"
            text += "".join(f"  .reg {declared[p]} {p}<{len(numbers[p])}>;\n" for p in sorted(declared))
            for prefix, known in sorted(numbers.items()):
                for number in range(len(known)):
                    if prefix.startswith("%gb64"):
                        text += f"  ld.param.u64 {prefix}{number}, [p];\n"
                    elif declared[prefix] in VALUES:
                        value = f"tile+{128 * number % 2048}" if prefix.startswith("%sb") else number
                        text += "  " + VALUES[declared[prefix]].format(prefix + str(number), value) + "\n"
            text += "".join(body) + "  ret;\n}\n"
            name = re.sub(r"\W+", "_", target) + "_" + version.replace(".", "") + f"_{start // size:02}.ptx"
            (out / name).write_text(text)


if __name__ == "__main__":
    main()
