#!/usr/bin/env python3
# Every rule of the dialect is described, verified and tested: compares the three sets of labels.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
# matmul_c2, fp4_name_c1, quantized_c3
LABEL = re.compile(r"\b([a-z][a-z0-9_]*_c[0-9]+)(?=\b|_)")


def labels(paths, pattern):
    found = set()
    for path in paths:
        for line in path.read_text().splitlines():
            if re.search(pattern, line):
                found.update(re.match(r"(.*?_c[0-9]+)", label).group(1) for label in LABEL.findall(line))
    return found


described = labels((root / "dialect").glob("*.td"), r"^ *- `")
verified = labels((root / "dialect").glob("*.cpp"), r"//")
tests = list((root / "tests/dialect/ops").glob("*_errors.mlir"))
rejected, accepted = labels(tests, r"@[a-z0-9_]+_c[0-9]+(?!_valid|_mx_valid)(_|\()"), labels(tests, r"@[a-z0-9_]+_valid")

failures = []
for what, missing in (("described in .td but not labelled in a verifier", described - verified),
                      ("labelled in a verifier but not described in .td", verified - described),
                      ("without a test that rejects", described - rejected),
                      ("without a valid twin", described - accepted),
                      ("tested but not described", rejected - described)):
    failures += [f"{label}: {what}" for label in sorted(missing)]
if not described:
    failures.append("found no rules at all")
print("\n".join(failures) if failures else f"{len(described)} rules, each described, verified, tested")
sys.exit(bool(failures))
