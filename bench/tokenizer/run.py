#!/usr/bin/env python3
"""`pianola tokenize --jsonl` beside the Rust library of the package `tokenizers`, on one thread each.

    run.py TOKENIZER_JSON... [--rounds 5] [-o RESULT.json]

Both read the same JSON strings, a line each, and write ids; the text is this repository's own. The
package must be there (pip install tokenizers). Fails if their ids differ.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PIANOLA = os.environ.get("PIANOLA", ROOT / "build" / "bin" / "pianola")
PEER = """
import json, sys, time
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
start = time.perf_counter()
ids = [tokenizer.encode(json.loads(line)).ids for line in open(sys.argv[2])]
seconds = time.perf_counter() - start
json.dump({"seconds": seconds, "ids": ids}, sys.stdout)
"""


def texts(whole):
    """The lines of all sources, or whole files."""
    for path in sorted(ROOT.rglob("*")):
        if path.suffix in (".md", ".cpp", ".h", ".td", ".py", ".test", ".jinja") and \
                "build" not in path.relative_to(ROOT).parts[0]:
            text = path.read_text(errors="replace")
            yield from [text] if whole else text.splitlines()


def once(tokenizer, lines):
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    start = time.perf_counter()
    ours = subprocess.run([PIANOLA, "tokenize", tokenizer, "--jsonl"], stdin=open(lines),
                          capture_output=True, check=True).stdout
    seconds = time.perf_counter() - start
    # Without its start, which takes longer than ours.
    theirs = json.loads(subprocess.run([sys.executable, "-c", PEER, tokenizer, lines],
                                       env=environment, capture_output=True, check=True).stdout)
    if [json.loads(line) for line in ours.splitlines()] != theirs["ids"]:
        raise SystemExit(f"{tokenizer}: ids differ")
    return seconds, theirs["seconds"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    results = []
    for whole in (False, True):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
            size = 0
            for text in texts(whole):
                lines.write(json.dumps(text) + "\n")
                size += len(text.encode())
            lines.flush()
            for tokenizer in options.tokenizers:
                rounds = [once(tokenizer, lines.name) for _ in range(options.rounds)]
                ours, theirs = (statistics.median(column) for column in zip(*rounds))
                name = pathlib.Path(tokenizer).parent.name
                unit = "files" if whole else "lines"
                print(f"{name}, {unit}: {size / ours / 1e6:.2f} MB/s with start and JSON, tokenizers "
                      f"{size / theirs / 1e6:.2f} MB/s without its start: x {theirs / ours:.2f}")
                results.append({"tokenizer": name, "texts": unit, "bytes": size, "seconds": ours,
                                "tokenizersSeconds": theirs})
    if options.output:
        pathlib.Path(options.output).write_text(json.dumps(results, indent=1) + "\n")


main()
