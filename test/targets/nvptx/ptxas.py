#!/usr/bin/env python3
"""Gives the PTX of well-known shapes to ptxas and holds what it says against the device's row.

    ptxas.py PTXAS PIANOLA SOURCE [all]

No kernel may spill, all must fit in an SM's registers and shared memory; and the compiler must take little time
and memory, and as much text for many layers as for few. Without `all` each device gets one shape, so that it takes
a minute or two.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

CHIPS = {"a100": "sm_80", "l40s": "sm_89", "h200": "sm_90a", "b200": "sm_100", "rtx5090": "sm_120"}
MODELS = ["qwen3-8b", "llama-3.2-1b", "qwen3-0.6b", "smollm2-135m"]
CODES = ["int4", "int8", "fp8", "mxfp4", "int4/64z"]
KEPT = ["bf16", "int8", "fp8"]  # keys and values
FEW = [("qwen3-8b", "rtx5090", "bf16", "f32"), ("qwen3-0.6b", "b200", "bf16", "f32"),
       ("smollm2-135m", "l40s", "bf16", "f32"), ("llama-3.2-1b", "h200", "int4", "fp8"),
       ("qwen3-0.6b", "a100", "int8", "f32")]
REGISTERS = 65536  # of an SM, given to warps in eights for each thread
# Of compiling the largest shape for 132 workers: about twenty seconds and 160 MB.
MOST_SECONDS, MOST_BYTES = 60, 2 << 30
MOST_GROWTH = 1.05  # of the text, from 4 layers to 36

failures = []


def expect(condition, message):
    if not condition:
        failures.append(message)
        print("FAILED: " + message)


def run(command, output):
    """Its own seconds, whoever else uses the machine, and the most memory it had."""
    with open(output, "wb") as file:
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {pathlib.Path(output).read_text(errors='replace')[:2000]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def emit(model, device, weights, kept, ptx):
    seconds, most = run([pianola, "compile", model, "--weights-from-seed", "1", "--weights", weights, "--kv", kept,
                         "--target", device, "--emit", "ptx"], ptx)
    expect(seconds <= MOST_SECONDS, f"{model} for {device} took {seconds:.0f} s")
    expect(most <= MOST_BYTES, f"{model} for {device} took {most >> 20} MiB")
    return seconds, most


def shared_of_blocks():
    """KiB that a block may have, by device."""
    text = subprocess.run([pianola, "predict", "--target", "list"], stdout=subprocess.PIPE, text=True, check=True)
    return {line.split()[0]: int(line.split()[-1]) << 10 for line in text.stdout.splitlines()[1:]
            if line and line.split()[-1].isdigit()}


def kernels_of(ptx):
    """Threads and dynamic shared memory of each program."""
    head = re.findall(r"^// (\w+): (\d+) threads, (\d+) bytes of shared memory", ptx, re.M)
    expect(head, "the text does not begin with what its programs need")
    return {name: (int(threads), int(shared)) for name, threads, shared in head}


def assemble(model, device, weights, kept, folder, shared):
    ptx = f"{folder}/code.ptx"
    seconds, most = emit(source / "bench" / model, device, weights, kept, ptx)
    text = pathlib.Path(ptx).read_text()
    programs = kernels_of(text)
    begin = time.monotonic()
    run([ptxas, "-v", "-arch=" + CHIPS[device], ptx, "-o", f"{folder}/code.cubin"], f"{folder}/log")
    took = time.monotonic() - begin
    log = pathlib.Path(f"{folder}/log").read_text()
    found = re.findall(r"Compiling entry function '([^']+)'.*\n(?:.*\n)*?.* (\d+) bytes stack frame, (\d+) bytes spill "
                       r"stores, (\d+) bytes spill loads\n.*Used (\d+) registers(.*)", log)
    expect(len(found) == len(re.findall(r"\.entry ", text)), f"{model}, {device}: ptxas names {len(found)} kernels")
    most_registers = {}
    for entry, frame, stores, loads, registers, rest in found:
        where = f"{model}, {weights}, keys of {kept}, {device}, {entry}"
        program = entry.split("$")[0]
        threads, dynamic = programs[program]
        static = re.search(r"(\d+) bytes smem", rest)
        static = int(static[1]) if static else 0
        warps, rounded = (threads + 31) // 32, (int(registers) + 7) // 8 * 8
        expect(stores == loads == "0", f"{where}: spills {stores} and {loads} bytes")
        expect(frame == "0", f"{where}: a stack of {frame} bytes")
        expect(warps * 32 * rounded <= REGISTERS, f"{where}: {registers} registers for {threads} threads")
        expect(static + dynamic <= shared[device], f"{where}: {static} + {dynamic} bytes of shared memory")
        most_registers[program] = max(most_registers.get(program, 0), int(registers))
    for program, (threads, dynamic) in programs.items():
        print(f"{model:14} {weights:9} {kept:5} {device:8} {CHIPS[device]:7} {program:12} {threads:8} {most_registers.get(program, 0):10} "
              f"{dynamic:8} {shared[device]:8} {seconds:9.1f} {most >> 20:5} {took:7.1f}", flush=True)


def check_growth(folder):
    """Layers share their kernels: their number is no matter of the text."""
    sizes = []
    for layers in (4, 36):
        config = json.loads((source / "bench" / "qwen3-8b" / "config.json").read_text())
        config["num_hidden_layers"] = layers
        config.pop("layer_types", None)
        pathlib.Path(folder, "config.json").write_text(json.dumps(config))
        emit(folder, "h200", "bf16", "f32", f"{folder}/layers.ptx")
        sizes.append(pathlib.Path(f"{folder}/layers.ptx").stat().st_size)
    print(f"4 layers: {sizes[0]} bytes of PTX, 36 layers: {sizes[1]}")
    expect(sizes[1] <= MOST_GROWTH * sizes[0], f"36 layers take {sizes[1]} bytes of PTX, 4 take {sizes[0]}")


ptxas, pianola, source = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
wanted = FEW
if sys.argv[4:] == ["all"]:
    wanted = [(model, device, "bf16", "f32") for model in MODELS for device in CHIPS]
    wanted += [(model, device, codes, "f32") for model in MODELS[:3] for device in ("h200", "a100") for codes in CODES]
    wanted += [(model, device, weights, kept) for model in MODELS[:3] for device in ("h200", "a100")
               for weights in ("bf16", "int4") for kept in KEPT]
print(f"{'model':14} {'weights':9} {'keys':5} {'device':8} {'chip':7} {'program':12} {'threads':>8} {'registers':>10} {'shared':>8} {'of':>8} "
      f"{'compile s':>9} {'MiB':>5} {'ptxas s':>7}")
with tempfile.TemporaryDirectory() as folder:
    shared = shared_of_blocks()
    for model, device, weights, kept in wanted:
        assemble(model, device, weights, kept, folder, shared)
    check_growth(folder)
print(f"{len(failures)} failures")
sys.exit(bool(failures))
