#!/usr/bin/env python3
"""Cuts the committed kernels into texts with one entry each, for a fuzzer to begin with.

usage: seeds.py FOLDER
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent


def pieces(text):
    """Everything outside of entries, and the entries."""
    text = re.sub(r"//(?! stage:).*", "", text)
    text = re.sub(r"\n\s*\n+", "\n", text)
    starts = [match.start() for match in re.finditer(r"^(\.visible |\.weak )?\.entry", text, re.M)]
    common, entries, end = "", [], 0
    for start in starts:
        common += text[end:start]
        end = text.index("\n}", start) + 2
        entries.append(text[start:end])
    return common + text[end:], entries


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE.parent / "kernels").glob("*.ptx")):
        common, entries = pieces(path.read_text())
        for number, entry in enumerate(entries):
            (out / f"{path.stem}.{number}.ptx").write_text(f"{common.strip()}\n{entry.strip()}\n")


if __name__ == "__main__":
    sys.exit(__doc__ if len(sys.argv) != 2 else main())
