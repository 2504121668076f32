#!/usr/bin/env bash
# Fetches English prose from a Debian package into a folder, without root, and prints the path of the text.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: fetch_text.sh [--source kjv|anarchism] [FOLDER]

Downloads a Debian package with apt-get (no root, nothing is installed), takes its prose out and prints the path of the text file, which
is kept: the next call prints it at once. FOLDER is ~/.cache/fourfold/text unless given.

  kjv        the King James Bible, 4.2 MB (bible-kjv-text; public domain; the default)
  anarchism  An Anarchist FAQ, 9 MB of modern essays (anarchism; GPL-2)
HELP
}

source=kjv
folder=${XDG_CACHE_HOME:-$HOME/.cache}/fourfold/text
while (( $# )); do
  case $1 in
    --help|-h) usage; exit 0 ;;
    --source) source=${2:-}; shift 2 || { usage >&2; exit 2; } ;;
    -*) echo "fetch_text: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) folder=$1; shift ;;
  esac
done
case $source in
  kjv) packages=(bible-kjv-text bible-kjv) ;;
  anarchism) packages=(anarchism) ;;
  *) echo "fetch_text: there is no source '$source'; there are kjv and anarchism" >&2; exit 2 ;;
esac

text=$folder/$source.txt
if [[ -s $text ]]; then
  echo "$text"
  exit 0
fi
for tool in apt-get dpkg-deb python3; do
  command -v "$tool" >/dev/null || { echo "fetch_text: needs $tool (this is for Debian and its relatives); any other text of 3 MB does as well" >&2; exit 1; }
done
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! apt-get download -qq "${packages[@]}" >&2 2>apt.log; then
  echo "fetch_text: apt-get cannot download ${packages[*]}: $(grep -m1 '^E:' apt.log || head -1 apt.log); perhaps 'apt-get update' is due" >&2
  exit 1
fi
for package in *.deb; do
  dpkg-deb -x "$package" root
done

case $source in
  kjv)
    # One verse a line, "Ge1:1 In the beginning ...": the reference goes.
    (cd root/usr/lib && ../bin/bible -f 'gen1:1-rev22:21' < /dev/null) | sed -E 's/^[0-9A-Za-z]+:[0-9]+ //' > prose.txt ;;
  anarchism)
    python3 - root/usr/share/doc/anarchism/html > prose.txt <<'PYTHON'
import html, pathlib, re, sys
for page in sorted(pathlib.Path(sys.argv[1]).glob("*.html")):
    body = page.read_text(encoding="utf-8", errors="replace").partition("<body")[2]
    for paragraph in re.split(r"</(?:p|h\d|li|div|blockquote)>", body):
        text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", "<" + paragraph)).split())
        if len(text) > 40:
            print(text)
PYTHON
    ;;
esac
size=$(wc -c < prose.txt)
if (( size < 3000000 )); then
  echo "fetch_text: only $size bytes of prose came out of ${packages[*]}; its layout must have changed" >&2
  exit 1
fi
mv prose.txt "$text"
echo "$text"
