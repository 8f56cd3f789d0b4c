"""Model directories, templates and rolls that mean harm: each is refused with exit status 1 and one line that names
the file, within 2 GiB of memory and 20 seconds of processor time, and without a crash.

    hostile.py FOLDER MODEL_DIR
"""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys

folder, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
os.environ["PIANOLA_CACHE"] = str(folder / "cache")
roll = folder / "good.roll"
deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
failures = []


def run(command, said):
    def begin():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    done = subprocess.run(["pianola", *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=300, preexec_fn=begin)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    if done.returncode != (0 if said is None else 1) or (said and not (len(errors) == 1 and
                                                                      re.search(said, errors[0]))):
        failures.append(f"{command}: exit status {done.returncode}\n{done.stderr[-600:]}\n  not: {said}")


def model(name, said, verbs=("compile", "run"), **files):
    """The good model with other files: bytes or a function that makes them."""
    directory = folder / name
    directory.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (directory / path.name).symlink_to(path.resolve())
    for key, content in files.items():
        path = directory / key.replace("__", ".")
        path.unlink(missing_ok=True)
        if callable(content):
            content(path)
        elif content is not None:
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    for verb in verbs:
        run([verb, directory, *(["-o", folder / "made.roll", "--slots", "1"] if verb == "compile" else
                                ["-p", "x", "-n", "1"])], said)


def tensors(header, data=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


config = json.loads((source / "config.json").read_text())
tokenizer = json.loads((source / "tokenizer.json").read_text())
weights = (source / "model.safetensors").read_bytes()
changed = lambda **fields: {**config, **fields}
with_model = lambda **fields: {**tokenizer, "model": {**tokenizer["model"], **fields}}

run(["compile", source, "-o", roll, "--slots", "1"], None)

# What is no file, and what is not there.
for name in ("config.json", "tokenizer.json", "model.safetensors", "generation_config.json"):
    key = name.replace(".", "__")
    model(f"fifo-{key}", re.escape(name), **{key: os.mkfifo})
    model(f"folder-{key}", re.escape(name), **{key: os.mkdir})
    if "safetensors" not in name:
        model(f"deep-{key}", re.escape(name), ["compile"], **{key: deep})
        if "tokenizer" not in name:  # an empty one is none
            model(f"nothing-{key}", re.escape(name), ["compile"], **{key: b""})
model("no-config", "config.json", config__json=None)
model("no-weights", "found neither", model__safetensors=None)
model("no-shard", "gone.safetensors: No such file", ["compile"], model__safetensors=None,
      **{"model.safetensors.index.json": {"weight_map": {"a": "gone.safetensors"}}})
model("far-shard", "the name of a file in the same directory", ["compile"], model__safetensors=None,
      **{"model.safetensors.index.json": {"weight_map": {"a": "../good.roll"}}})

# config.json
for number, (fields, said) in enumerate([
        ({"num_hidden_layers": 10 ** 9}, "num_hidden_layers: expected an integer from 1 to 4096"),
        ({"num_attention_heads": 0}, "num_attention_heads: expected"),
        ({"hidden_size": str(config["hidden_size"])}, "hidden_size: expected an integer"),
        ({"hidden_size": config["hidden_size"] * 2}, "tensor .*: shape: expected"),
        ({"num_hidden_layers": 4096}, "tensor .*: missing"),
        ({"vocab_size": 16777216}, "tensor .*: shape: expected"),
        ({"rope_theta": float("nan")}, "config.json: not valid JSON"),
        ({"architectures": ["x" * 100_000]}, "architectures: ")]):
    model(f"config-{number}", said, ["compile"], config__json=changed(**fields))

# model.safetensors
one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
for number, (content, said) in enumerate([
        (weights[:-1], "data_offsets: ends at"), (weights[:1000], "header length: expected at most"),
        (b"\xff" * 4096, "header length: expected at most 100000000"), (tensors(deep), "expected"),
        (tensors(b'{"a":1,"a":2}'), "expected an object"),
        (tensors(b'{"a":%s,"a":%s}' % ((json.dumps(one).encode(),) * 2), b"1234"), "appears twice"),
        (tensors({"a": {**one, "shape": [1 << 32, 1 << 32]}}, b"1234"), "is over"),
        (tensors({"a": one, "b": {**one, "data_offsets": [2, 6]}}, b"123456"), "where the tensor before ends"),
        # As many names as fit, of nothing.
        (tensors(b"{" + b",".join(b'"%x":{}' % i for i in range(8_000_000)) + b"}"), "missing")]):
    model(f"weights-{number}", "model.safetensors: .*" + said, ["compile"], model__safetensors=content)

# tokenizer.json
vocabulary = tokenizer["model"]["vocab"]
first, second = list(vocabulary)[:2]
for number, (content, said) in enumerate([
        (with_model(merges=[["no such", "token"]]), "is not in the vocabulary"),
        (with_model(vocab={**vocabulary, second: vocabulary[first]}), "is given to two tokens"),
        (with_model(vocab={**vocabulary, first: 1 << 62}), "expected an id"),
        (with_model(vocab={**vocabulary, first: (1 << 63) - 1}), "expected an id"),
        (with_model(vocab={**vocabulary, first: 1 << 23}), "is too large for a vocabulary"),
        ({**tokenizer, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(" * 100_000},
                                         "behavior": "Isolated", "invert": False}}, "pre_tokenizer")]):
    model(f"tokenizer-{number}", "tokenizer.json: .*" + said, ["run"], tokenizer__json=content)

# Chat templates
(folder / "case.json").write_text('{"messages": []}')
for number, (text, said) in enumerate([
        ("{% set ns = namespace(l=[]) %}{% for i in range(200) %}{% set ns.l = ns.l + ['x' * 60000000 ~ i] %}"
         "{% endfor %}", "more than 10000000 steps"),
        ("{% set l = [0] * 9000000 %}{% set m = l + l %}", "more than 10000000 steps"),
        ("{{ '{' * 60000000 }}{{ 'x' * 60000000 }}", "a text of more than 67108864 bytes"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "maximum recursion depth exceeded"),
        ("{{ " + "(" * 1_000_000 + ")" * 1_000_000 + " }}", "nested too")]):
    (folder / f"{number}.jinja").write_text(text)
    run(["template", folder / f"{number}.jinja", folder / "case.json"], f"{number}.jinja: .*{said}")

# Rolls
def bent(name, content, said):
    path = folder / name
    path.write_bytes(content)
    for command in (["run", path, "-p", "x"], ["inspect", path]):
        run(command, re.escape(str(path)) + ": " + said)


good = roll.read_bytes()
bent("nothing.roll", b"", "is not a roll")
bent("magic.roll", b"pianola\n" + good[8:], "is not a roll")
bent("version.roll", good[:8] + struct.pack("<I", 99) + good[12:], "is a roll of version 99; .* compile the model again")
bent("short.roll", good[:-4096], "is .* bytes long, expected .*: truncated?")
bent("long.roll", good + bytes(4096), "is .* bytes long, expected .*: truncated?")
sections = [struct.unpack_from("<QQ", good, 32 + 24 * kind) for kind in range(11)]
draw = random.Random(1)
for offset, size in [(0, 32 + 24 * 11), *(section for section in sections if section[1])]:
    at = offset + draw.randrange(size)
    damaged = bytearray(good)
    damaged[at] ^= 1 << draw.randrange(8)
    bent(f"flipped-{offset}.roll", damaged, "is ")
os.mkfifo(folder / "fifo.roll")
run(["run", folder / "fifo.roll", "-p", "x"], "is not a regular file")

print("\n".join(failures))
sys.exit(bool(failures))
