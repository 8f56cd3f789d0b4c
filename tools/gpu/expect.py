"""expect.py PIANOLA MODEL OUTPUT: writes what a model should say, as test/golden has it, by playing it on the host.

Of OUTPUT: input_ids (36 of them, the model's own words), logits after each, greedy_ids after the first 12, and by how
much each of those was ahead (greedy_margin).
"""
import array
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

pianola, model, output = sys.argv[1:]
PROMPT, INPUT, TOKENS = 12, 36, 24
TEXT = "lantern: a light in a case that keeps the wind from it. To carry a lantern is to bring light where there is none."


def run(*arguments):
    return subprocess.run([pianola, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def logits_of(roll, ids, folder):
    (folder / "ids.json").write_text(json.dumps(ids))
    run("logits", roll, "--ids-file", folder / "ids.json", "-o", folder / "logits")
    data = (folder / "logits").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + size])["logits"]
    begin, end = entry["data_offsets"]
    return entry["shape"][1], array.array("f", data[8 + size + begin:8 + size + end])


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    roll = folder / "host.roll"
    run("compile", model, "-o", roll)
    ids = [int(line.split("\t")[0]) for line in run("tokenize", model, TEXT).splitlines()][:INPUT]
    assert len(ids) > PROMPT, "the text is too short for this tokenizer"
    columns, logits = logits_of(roll, ids, folder)
    prompt = ids[:PROMPT]
    greedy = [int(token) for token in run("run", roll, "--ids", ",".join(map(str, prompt)), "-n", TOKENS, "--temp", 0,
                                          "--ignore-eos", "--print-ids").strip().split(",")]
    _, after = logits_of(roll, prompt + greedy[:-1], folder)
    margins = []
    for i in range(len(greedy)):
        row = after[(PROMPT - 1 + i) * columns:(PROMPT + i) * columns]
        first, second = sorted(row)[-1:-3:-1]
        margins.append(first - second)

tensors = [("greedy_ids", "I32", [len(greedy)], array.array("i", greedy)),
           ("greedy_margin", "F32", [len(margins)], array.array("f", margins)),
           ("input_ids", "I32", [len(ids)], array.array("i", ids)),
           ("logits", "F32", [len(ids), columns], logits)]
header, body = {}, b""
for name, dtype, shape, values in tensors:
    data = values.tobytes()
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
    body += data
text = json.dumps(header).encode()
pathlib.Path(output).write_bytes(struct.pack("<Q", len(text)) + text + body)
