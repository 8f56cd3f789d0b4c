"""Checks the page and the trace that `pianola predict` has drawn, and prints what they say."""
import collections
import html.parser
import json
import pathlib
import re
import sys

page = pathlib.Path(sys.argv[1]).read_text()
trace = json.loads(pathlib.Path(sys.argv[2]).read_text())


class Page(html.parser.HTMLParser):
    """Ids, addresses of other files, and the script that holds the data."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.payload, self.inside = set(), [], "", False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        self.links += [attributes[name] for name in ("src", "href", "action", "data") if name in attributes]
        self.inside = tag == "script" and attributes.get("id") == "data"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, text):
        if self.inside:
            self.payload += text


parsed = Page()
parsed.feed(page)
assert not parsed.links, parsed.links
assert not re.search(r"https?:|//cdn|url\(|import\s*\(|fetch\(|XMLHttpRequest", page)
wanted = set(re.findall(r'getElementById\("(\w+)"\)', page))
assert wanted and wanted <= parsed.ids, wanted - parsed.ids
styled = set(re.findall(r"^  #(\w+)", page, re.M))
assert styled <= parsed.ids, styled - parsed.ids

data = json.loads(parsed.payload)
Span = collections.namedtuple("Span", data["fields"])
lanes = [[Span(*span) for span in lane] for lane in data["workers"]]
tiles = collections.Counter()
for lane in lanes:
    for span, after in zip(lane, lane[1:] + [None]):
        assert span.arrive <= span.ready <= span.work <= span.end <= data["ns"], span
        assert 0 <= span.starved <= span.end - span.work + 1, span
        assert 0 <= span.filledBefore <= data["ring"] and 0 <= span.filledAfter <= data["ring"], span
        assert span.tiles > 0
        tiles[span.step] += span.tiles
        if after:
            assert span.end == after.arrive and span.step < after.step, (span, after)
assert abs(sum(step["ns"] for step in data["steps"]) - data["ns"]) <= len(data["steps"])
assert abs(sum(step["floor"] for step in data["steps"]) - data["floor"]) <= len(data["steps"])
assert len(tiles) == len(data["steps"])

complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
assert {event["tid"] for event in complete} == set(range(len(lanes)))
shown = sum(span.end > span.work for lane in lanes for span in lane)
assert sum(event["cat"] not in ("wait", "prologue") for event in complete) == shown
rings = {event["name"] for event in trace["traceEvents"] if event["ph"] == "C"}
assert len(rings) == len(lanes)

print(len(lanes), "workers,", len(data["steps"]), "steps")
for step, count in sorted(tiles.items()):
    print(data["steps"][step]["kind"], "tiles", count)
