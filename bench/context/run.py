#!/usr/bin/env python3
"""What a context costs: decoding after so many tokens, with keys and values of several kinds, in turns.

    bench/context/run.py bench/llama-1.0b [--weights int8] [--kv bf16,int8,fp8] [--depths 0,4000] [-o RESULT]

The model is a shape; its weights are made up. The floor of each row is the bytes that a token reads, of weights, keys
and values, over the read bandwidth measured between the repetitions.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "bench"))
import table  # noqa: E402


def run(command):
    try:
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        sys.exit(f"error: {command[0]}: {error.strerror}")
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ")
        sys.exit(f"error: {command[1]}: {said or done.returncode}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description="What a context costs")
    parser.add_argument("shape", type=pathlib.Path, help="a folder with a config.json: bench/llama-1.0b")
    parser.add_argument("--weights", default="int8")
    parser.add_argument("--kv", default="bf16,int8,fp8", help="which of f32, bf16, int8 and fp8")
    parser.add_argument("--depths", default="0,4000", help="tokens of context")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pianola", default=str(ROOT / "build" / "bin" / "pianola"))
    parser.add_argument("-o", "--output", type=pathlib.Path)
    options = parser.parse_args()
    try:
        depths = [int(depth) for depth in options.depths.split(",")]
    except ValueError:
        parser.error(f"--depths: expected numbers, found {options.depths}")
    kinds = options.kv.split(",")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            run([options.pianola, "compile", options.shape, "--weights-from-seed", 1, "--weights", options.weights,
                 "--kv", kind, "--activations", "bf16", "-t", options.threads, "-c", max(depths) + options.tokens + 1,
                 "-o", f"{folder}/{kind}.roll"])
        for depth in depths:
            for kind in kinds:
                print(f"context: {kind} after {depth}", file=sys.stderr, flush=True)
                said = run([options.pianola, "bench", f"{folder}/{kind}.roll", "-p", 0, "-n", options.tokens, "-d", depth,
                            "-r", options.repetitions, "-t", options.threads, "-o", "json"])
                rows += [{"keys_values": kind, "weights": options.weights, **row} for row in json.loads(said)]
    print(table.bench(rows), end="")
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
