"""The table of docs/models.md: what public models of each family would cost on an H200.

    models.py             checks that every family and shape is in it, and the rows of small models
    models.py --all       checks all rows
    models.py --update    writes it anew

Shapes are bench/*/config.json; floors and predictions are `pianola predict`'s.
"""
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
PAGE = SOURCE / "docs" / "models.md"
SMALL = 140  # M parameters
BEGIN, END = "<!-- shapes -->\n", "<!-- end of shapes -->\n"


def goldens():
    """Of each architecture: the checkpoints that prove it, and whether they choose positions."""
    listed = {}
    text = (SOURCE / "test" / "GoldenModels.h").read_text()
    for name, body in re.findall(r"k(\w+)\[\] = \{(.*?)\};", text, re.S):
        for model in re.findall(r'"(\w+)"', body):
            listed[model] = name == "ChoosingGoldens"
    found = {}
    for model, chooses in sorted(listed.items()):
        config = json.loads((SOURCE / "test" / "golden" / model / "config.json").read_text())
        found.setdefault(config["architectures"][0], []).append((model, chooses))
    return found


def predict(model, *options):
    done = subprocess.run(["pianola", "predict", str(SOURCE / "bench" / model), "--target", "h200", *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return re.search(r"'transformer.\w+' op (.*)", done.stderr)[1], None
    parameters = re.search(r"^model +\w+, ([\d.]+) M", done.stdout, re.M)[1]
    time, floor = re.search(r"^token +([\d.]+) us predicted, floor ([\d.]+) us", done.stdout, re.M).groups()
    if "it does not fit" in done.stdout:
        weights, there = re.search(r"^memory +([\d.]+ GB) of weights.* of ([\d.]+ GB):", done.stdout, re.M).groups()
        return parameters, f"does not fit: {weights} | of {there}"
    return parameters, f"{float(floor):,.0f} | {float(time):,.0f}"


def row(model):
    config = json.loads((SOURCE / "bench" / model / "config.json").read_text())
    architecture = config["architectures"][0]
    plain, wide = predict(model)
    if wide is None:
        return f"| {model} | {architecture} | {plain} | | | | |\n"
    return f"| {model} | {architecture} | {float(plain):,.1f} | {wide} | {predict(model, '--weights', 'int4')[1]} |\n"


def shapes():
    return sorted(path.parent.name for path in (SOURCE / "bench").glob("*/config.json"))


def sources():
    """The file of lib/import that writes each architecture, with how many lines it has."""
    found = {}
    for path in sorted((SOURCE / "lib" / "import").glob("*.cpp")):
        text = path.read_text()
        for architecture in re.findall(r'const Family \w+ = \{"(\w+)"', text):
            found[architecture] = f"{path.name}, {len(text.splitlines())} lines"
    return found


def families():
    lines = ["| architecture | written in | goldens | interpreter | host | GPU (emulated) |\n", "|---|---|---|---|---|---|\n"]
    written = sources()
    for architecture, models in sorted(goldens().items()):
        mark = "as the interpreter" if any(chooses for _, chooses in models) else "yes"
        names = ", ".join(model for model, _ in models)
        lines.append(f"| {architecture} | {written[architecture]} | {names} | yes | {mark} | {mark} |\n")
    return "".join(lines)


def main():
    head = ("| shape | architecture | M parameters | bf16: floor, us | predicted, us | int4: floor, us | predicted, us |\n"
            "|---|---|---|---|---|---|---|\n")
    text = PAGE.read_text() if PAGE.exists() else BEGIN + END
    if "--update" in sys.argv:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            rows = "".join(pool.map(row, shapes()))
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        before = re.sub(r"\| architecture \| (written|goldens).*?\n\n", lambda _: families() + "\n", before, flags=re.S)
        PAGE.write_text(before + BEGIN + head + rows + END + after)
        return
    if families() not in text:
        sys.exit("docs/models.md does not list the goldens of each family as they are; test/models.py --update")
    old = dict(re.findall(r"^\| ([\w.-]+) (\|.*\n)", text.split(BEGIN)[1].split(END)[0].replace(head, ""), re.M))
    if sorted(old) != shapes():
        sys.exit(f"docs/models.md has {sorted(old)}, bench/ has {shapes()}")
    for model in shapes():
        size = re.match(r"\| \w+ \| ([\d,.]+) \|", old[model])
        if "--all" not in sys.argv and size and float(size[1].replace(",", "")) > SMALL:
            continue
        new = row(model)
        if new != f"| {model} {old[model]}":
            sys.exit(f"docs/models.md has\n  | {model} {old[model]}and it is\n  {new}")


main()
