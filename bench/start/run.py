#!/usr/bin/env python3
"""How long from the start of `pianola run` to its first token on standard output, the file's pages in memory.

    bench/start/run.py [ROLL] [--times N] [--most MS]

Without ROLL the bundled model is compiled for it. Processor time is of the whole process: what others do on the
machine does not move it as much. With --most: status 1 if the median is above.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# 20 tokens of the bundled model.
PROMPT = "What is a piano? A piano is a keyboard instrument that is played by depressing keys that"


def compile_bundled(pianola, folder):
    roll = f"{folder}/pocket-dictionary.roll"
    done = subprocess.run([pianola, "compile", str(ROOT / "models" / "pocket-dictionary"), "-o", roll],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {pianola} compile: {done.stderr.strip() or done.returncode}")
    return roll


def start(pianola, roll):
    """Seconds to the first byte, and of processor time until the end."""
    begin = time.perf_counter()
    process = subprocess.Popen([pianola, "run", roll, "-p", PROMPT, "-n", "1"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    first = os.read(process.stdout.fileno(), 1)
    seconds = time.perf_counter() - begin
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or first in (b"", b"\n"):
        sys.exit(f"error: {pianola} run {roll}: status {process.returncode}, no token")
    return seconds, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description="The time from the start to the first token")
    parser.add_argument("roll", nargs="?")
    parser.add_argument("--pianola", default=str(ROOT / "build" / "bin" / "pianola"))
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--most", type=float, help="milliseconds")
    options = parser.parse_args()
    if options.times < 1:
        parser.error("--times: at least 1")
    with tempfile.TemporaryDirectory() as folder:
        try:
            roll = options.roll or compile_bundled(options.pianola, folder)
            start(options.pianola, roll)  # brings the pages in
            starts = [start(options.pianola, roll) for _ in range(options.times)]
        except OSError as error:
            sys.exit(f"error: {options.pianola}: {error.strerror}")
    seconds, processor = ([value * 1e3 for value in column] for column in zip(*starts))
    median = statistics.median(seconds)
    print(f"first token after {median:.1f} ms (fastest {min(seconds):.1f}, slowest {max(seconds):.1f}, "
          f"of {options.times}); processor time {statistics.median(processor):.1f} ms; "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.most is not None and median > options.most:
        sys.exit(f"error: the median is above {options.most:g} ms")


main()
