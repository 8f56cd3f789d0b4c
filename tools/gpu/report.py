"""report.py WORK OUT: what the parts of check.sh have found, as OUT/report.json and OUT/report.md, which it prints."""
import json
import pathlib
import statistics
import sys

work, out = map(pathlib.Path, sys.argv[1:])


def lines_of(name):
    path = work / name
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []


def load(path):
    return json.loads(path.read_text()) if path.exists() else None


parts = [dict(zip(("part", "result", "seconds", "note"), line.split("\t")))
         for line in (work / "parts.tsv").read_text().splitlines()]
bandwidth = load(work / "bandwidth.json")
gpu = (work / "gpu").read_text().strip() if (work / "gpu").exists() else None

# One row for each model: its facts, and of each way the median of the measurements' mean time of a token.
models = {}
for line in lines_of("bench.jsonl"):
    row = models.setdefault(line["roll"], {"ways": {}})
    if "us" in line:
        row["ways"].setdefault(line["launch"], []).append(statistics.fmean(line["us"]))
        row["context"] = line["context"]
    else:
        row.update({key: value for key, value in line.items() if key != "roll"})
bench = []
for name, row in models.items():
    ways = {way: {"us": statistics.median(means), "least": min(means), "most": max(means), "measurements": len(means)}
            for way, means in row.pop("ways").items()}
    bench.append({"model": name, **{key: value for key, value in row.items() if key != "model"}, "ways": ways})
    if bandwidth and "bytes" in row:
        floor = row["bytes"] / bandwidth["read"] * 1e6
        bench[-1]["floor_us"] = floor
        for way in ways.values():
            way["share_of_floor"] = floor / way["us"]
stages = {path.name.split(".stages")[0]: load(path) for path in sorted(work.glob("*.stages.json"))}
verified = lines_of("verify.jsonl")
report = {"gpu": gpu, "parts": parts, "bandwidth": bandwidth, "bench": bench, "verified": verified, "stages": stages}
(out / "report.json").write_text(json.dumps(report, indent=1) + "\n")

text = ["# " + (gpu or "No GPU: the emulator, whose times mean nothing"), ""]
text += ["| part | result | s | |", "|---|---|---:|---|"]
text += [f"| {part['part']} | {part['result']} | {part['seconds']} | {part['note'].replace('|', '/')} |" for part in parts]
if bandwidth:
    text += ["", f"Memory: read at {bandwidth['read'] * 1e-9:.0f} GB/s, copied at {bandwidth['copy'] * 1e-9:.0f} GB/s "
                 "(read and written)."]
if bench:
    ways = sorted({way for row in bench for way in row["ways"]})
    text += ["", f"Microseconds of a token, greedy, after {bench[0].get('context')} positions: median of the measurements, "
                 "and in brackets the share that the floor has of it. The floor is the bytes of weights that a token "
                 "reads, at the read bandwidth above.", ""]
    text += ["| model | MB a token | floor | predicted | " + " | ".join(ways) + " |"]
    text += ["|---|" + "---:|" * (3 + len(ways))]
    for row in bench:
        cells = []
        for way in ways:
            found = row["ways"].get(way)
            share = f" ({found['share_of_floor'] * 100:.0f} %)" if found and "share_of_floor" in found else ""
            cells.append(f"{found['us']:.0f}{share}" if found else "")
        floor = f"{row['floor_us']:.0f}" if "floor_us" in row else ""
        text.append(f"| {row['model']} | {row.get('bytes', 0) * 1e-6:.1f} | {floor} | {row.get('predicted_us', 0):.0f} | "
                    + " | ".join(cells) + " |")
for model, found in stages.items():
    if not found:
        continue
    text += ["", f"{model}: by how much each kind of stage makes a token longer, microseconds.", "",
             "| stage | steps | predicted | recorded | of it waiting |", "|---|---:|---:|---:|---:|"]
    text += [f"| {kind['kind']} | {kind['steps']} | {kind['predicted_us']:.1f} | {kind['recorded_us']:.1f} | "
             f"{kind['waiting_us']:.1f} |" for kind in found["kinds"]]
wrong = [line for line in verified if not line.get("ok")]
text += ["", f"Rolls: {len(verified) - len(wrong)} of {len(verified)} say what they should; the farthest logits are "
             f"{max((max(line.get('prefill', 0), line.get('decode', 0)) for line in verified), default=0):.1e} away."]
text += [f"- {line['roll']}, {line['launch']}: {line.get('error', 'ended early')}" for line in wrong]
(out / "report.md").write_text("\n".join(text) + "\n")
print("\n".join(text))
