#!/usr/bin/env python3
"""Pianola beside its peers on one CPU: the same random model in each one's formats, played in turns.

    bench/peers/run.py bench/llama-1.0b [--weights bf16,int8,int4] [--peers llama.cpp,OpenVINO] [--rounds N]
    bench/peers/run.py bench/llama-1.0b --check-inputs      # only what needs no peer and no network

Prints a table and writes bench/results/DATE-peers-SHAPE.json. bench/README.md says what the columns are.
"""
import argparse
import array
import datetime
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import check_inputs
import formats
import machine
import play
from fetch import PACKAGES, fetch, last_error
from random_model import InputError, Shape, write_directory

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "bench"))
import table  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description="Pianola beside its peers on one CPU")
    parser.add_argument("shape", type=pathlib.Path, help="a folder with a config.json: bench/llama-1.0b")
    parser.add_argument("--weights", default="bf16,int8,int4", help="which of bf16, int8 and int4")
    parser.add_argument("--peers", default=",".join(PACKAGES), help="which of " + ", ".join(PACKAGES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="of the build of llama.cpp")
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / "build" / "peers")
    parser.add_argument("--pianola", type=pathlib.Path, default=ROOT / "build" / "bin" / "pianola")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench" / "results")
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait until others leave the cores alone")
    parser.add_argument("--tries", type=int, default=3, help="of a measurement that others disturb")
    parser.add_argument("--keep", action="store_true", help="keep the models, for another run")
    parser.add_argument("--check-inputs", action="store_true", help="write the model, check what is written, and end")
    options = parser.parse_args()
    for value in ("rounds", "prompt", "tokens", "threads", "jobs", "tries"):
        if getattr(options, value) < 1:
            parser.error(f"--{value}: at least 1")
    for value, known in (("weights", formats.CLASSES), ("peers", PACKAGES)):
        setattr(options, value, [part for part in getattr(options, value).split(",") if part])
        for part in getattr(options, value):
            if part not in known:
                parser.error(f"--{value}: {part} is none of {', '.join(known)}")
    if options.threads > len(os.sched_getaffinity(0)):
        parser.error(f"--threads: {options.threads} is more than the cores of this process")
    return options


class Comparison:
    def __init__(self, options, shape, folder):
        self.options, self.shape, self.folder = options, shape, folder
        self.cores = sorted(os.sched_getaffinity(0))[:options.threads]
        self.rows = []

    def check(self, run, what):
        if run.status != 0:
            raise InputError(f"{what}: {last_error(run.errors + run.output)}")
        return run

    def pianola(self, *command):
        return self.check(machine.Run([self.options.pianola, *command], set(os.sched_getaffinity(0)), {}), command[0])

    def prepare(self):
        """The rolls and the peers' formats, as rows without samples."""
        options = self.options
        python, peers = fetch(options.cache, options.peers, options.jobs)
        directory = self.folder / "model"
        if not (directory / "model.safetensors").exists():
            write_directory(self.shape, options.seed, directory)
        maker = formats.Formats(self.shape, self.folder, python, options.threads)
        for weights in options.weights:
            roll = self.folder / f"{weights}.roll"
            if not roll.exists():
                # The peers, too, take activations in 16 bits or fewer.
                self.pianola("compile", directory, "-o", roll, "--weights", weights, "--activations", "bf16",
                             "--threads", options.threads)
            self.rows.append({"engine": "Pianola", "format": weights, "class": weights, "path": str(roll)})
            for engine, name in formats.CLASSES[weights]:
                made = maker.make(engine, name) if engine in peers else None
                if made:
                    self.rows.append({"engine": engine, "format": name, "class": weights, "path": made.path,
                                      "bytes_per_token": made.bytes_read})
        self.python = python
        for row in self.rows:
            row.update(prompt=[], decode=[], bandwidth=[], others=[])

    def likely(self):
        """The rank of each token after the prompt by the most exact roll there is."""
        ids, logits = self.folder / "ids.json", self.folder / "logits.safetensors"
        ids.write_text(json.dumps(play.prompt_ids(self.options.prompt, self.shape.vocabulary)))
        self.pianola("logits", self.rows[0]["path"], "--ids-file", ids, "-o", logits)
        data = logits.read_bytes()
        logits.unlink()
        start = 8 + struct.unpack("<Q", data[:8])[0]
        last = array.array("f", data[start:][-4 * self.shape.vocabulary:])
        order = sorted(range(len(last)), key=last.__getitem__, reverse=True)
        return {token: rank for rank, token in enumerate(order)}

    def play_ours(self, row):
        options = self.options
        run = machine.quietest([options.pianola, "bench", row["path"], "-p", options.prompt, "-n", options.tokens, "-t",
                                options.threads, "-r", 1, "-o", "json"], self.cores, {}, options.patience, options.tries)
        prompt, decode = json.loads(self.check(run, f"bench {row['path']}").output)
        row["bytes_per_token"] = decode["bytes_per_token"]
        return run, prompt["avg_ts"], decode["avg_ts"], decode["read_bandwidth"]

    def play_theirs(self, row, ranks):
        """The same threads on the same cores, each on one, as Pianola's are."""
        options = self.options
        variables = {"OMP_NUM_THREADS": str(options.threads), "OMP_PROC_BIND": "true", "OMP_PLACES": "threads",
                     "OPENBLAS_NUM_THREADS": "1"}
        run = machine.quietest([self.python, pathlib.Path(play.__file__), row["engine"], row["path"], "--vocabulary",
                                self.shape.vocabulary, "--prompt", options.prompt, "--tokens", options.tokens,
                                "--threads", options.threads], self.cores, variables, options.patience, options.tries)
        said = json.loads(self.check(run, row["engine"]).output.splitlines()[-1])
        row["version"], row["rank_of_best"] = said["version"], ranks[said["best"]]
        # A wrong layout gives any token; rounding to 4 bits one of the likely ones.
        if ranks[said["best"]] > self.shape.vocabulary // 50:
            raise InputError(f"its first token is number {ranks[said['best']] + 1} of Pianola's likeliest: it does not "
                             "play the same model")
        return run, options.prompt / said["prompt_seconds"], options.tokens / said["token_seconds"], None

    def measure(self):
        ranks = self.likely()
        for number in range(self.options.rounds):
            bandwidth = None
            for row in list(self.rows):
                print(f"peers: round {number + 1}: {row['engine']} {row['format']}", file=sys.stderr, flush=True)
                ours = row["engine"] == "Pianola"
                try:
                    run, prompt, decode, measured = self.play_ours(row) if ours else self.play_theirs(row, ranks)
                except InputError as error:
                    if ours:
                        raise
                    print(f"peers: without {row['engine']} {row['format']}: {error}", file=sys.stderr)
                    self.rows.remove(row)
                    continue
                bandwidth = measured or bandwidth
                for key, value in zip(("prompt", "decode", "bandwidth", "others"),
                                      (prompt, decode, bandwidth, run.others)):
                    row[key].append(value)

    def result(self):
        options = self.options
        version = self.pianola("--version").output.strip()
        for row in self.rows:
            del row["path"]
            row.setdefault("version", version)
        return {"kind": "peers", "date": datetime.date.today().isoformat(), "machine": machine.describe(),
                "model": options.shape.resolve().name, "parameters": self.shape.parameters(),
                "prompt": options.prompt, "tokens": options.tokens, "threads": options.threads,
                "load": list(os.getloadavg()), "rows": self.rows}


def enough_room(shape, options, folder):
    # 16 bits of each kind of file, for which 8 and 4 bits stand too; some tools keep another while they convert.
    wanted = 2 * shape.parameters() * (4 + 3 * len(options.weights))
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise InputError(f"{folder}: {free / 1e9:.0f} GB are free; the models take {wanted / 1e9:.0f} at most")


def main():
    options = arguments()
    try:
        shape = Shape(options.shape / "config.json")
        if options.check_inputs:
            with tempfile.TemporaryDirectory() as folder:
                check_inputs.check(shape, options.seed, pathlib.Path(folder))
            return
        if not options.pianola.exists():
            raise InputError(f"{options.pianola}: not there; build it, or give --pianola")
        folder = options.cache / "models" / f"{options.shape.resolve().name}-{options.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            enough_room(shape, options, folder)
            comparison = Comparison(options, shape, folder)
            comparison.prepare()
            comparison.measure()
            result = comparison.result()
        finally:
            if not options.keep:
                shutil.rmtree(folder)
        options.results.mkdir(parents=True, exist_ok=True)
        path = options.results / f"{result['date']}-peers-{result['model']}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(table.peers(result), end="")
        print(f"peers: wrote {path}", file=sys.stderr)
    except (InputError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"error: {error}")


main()
