"""Checks the page and the trace of a recorded play against each other, and prints what they say."""
import collections
import json
import pathlib
import re
import sys

page = pathlib.Path(sys.argv[1]).read_text()
trace = json.loads(pathlib.Path(sys.argv[2]).read_text())
data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])
assert data["recorded"] and data["ring"] == 0
Span = collections.namedtuple("Span", data["fields"])
lanes = [[Span(*span) for span in lane] for lane in data["workers"]]
tiles = collections.Counter()
for lane in lanes:
    for span, after in zip(lane, lane[1:] + [None]):
        assert span.arrive <= span.ready == span.work < span.end <= data["ns"], span
        assert span.tiles > 0
        tiles[span.step] += span.tiles
        # Cards are played in the order of steps, one after the other.
        assert not after or (span.end <= after.arrive and span.step < after.step), (span, after)
# What a step makes the play longer by adds up to the play, and every step was somebody's.
assert abs(sum(step["ns"] for step in data["steps"]) - data["ns"]) <= len(data["steps"])
assert len(tiles) == len(data["steps"])
# A step that reads what another one made is not ready before that one has ended everywhere.
ends = [max(span.end for lane in lanes for span in lane if span.step == s) for s in range(len(data["steps"]))]
starts = [min(span.ready for lane in lanes for span in lane if span.step == s) for s in range(len(data["steps"]))]
assert all(starts[s] >= max(ends[:s]) for s in range(len(starts)) if data["steps"][s]["kind"] == "lm_head")

complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
shown = [(event["tid"], event["name"]) for event in complete if event["cat"] != "wait"]
assert sorted(shown) == sorted((w, data["steps"][span.step]["label"]) for w, lane in enumerate(lanes) for span in lane)
assert {event["ph"] for event in trace["traceEvents"]} == {"M", "X"}

print(len(lanes), "workers,", len(data["steps"]), "steps, after", data["positions"], "positions")
for step, count in sorted(tiles.items()):
    print(data["steps"][step]["kind"], "tiles", count)
