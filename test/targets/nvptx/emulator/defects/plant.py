"""Plants the defects of defects.py into the good kernels' PTX: one file here for each.

    plant.py          writes <name>.ptx
    plant.py --check  compares with what is there

A planted file names the case that it plays as, and marks each line where the defect may be reported with
`// defect: <kinds>`.
"""
import pathlib
import re
import sys

sys.dont_write_bytecode = True
folder = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(folder))
from defects import DEFECTS


def only(text, kernel):
    """The PTX with no other kernel than that one."""
    for name in re.findall(r"\.entry (\w+)\(", text):
        if name != kernel:
            # A brace at the start of a line may also end a scope of inline assembly.
            text, count = re.subn(rf"\.visible \.entry {name}\(.*?\n}}\n(?=\s*(?:// \.globl|\.visible|\Z))",
                                  "", text, flags=re.S)
            assert count == 1, f"cannot take out {name}"
    text = re.sub(r"\t// \.globl.*\n|// .* has been demoted\n", "", text)
    return re.sub(r"\n{3,}", "\n\n", text)


def find(lines, pattern, nth):
    """The indices of the lines with `pattern` below the kernel's name; all, or the nth from 1."""
    start = next(i for i, line in enumerate(lines) if ".entry " in line)
    hits = [i for i in range(start, len(lines)) if pattern in lines[i]]
    assert hits, f"no line has {pattern!r}"
    return hits if nth is None else [hits[nth - 1]]


def plant(defect):
    case, architecture = defect["as"].rsplit(".", 1)
    kernel = defect["kernel"]
    source = folder.parent / "kernels" / f"{defect['file']}.{architecture}.ptx"
    text = only(source.read_text(), kernel)
    # Lists of one, so that a line stays itself while others come and go around it.
    lines = [[line] for line in text[text.index(".version"):].rstrip().split("\n")]
    texts = lambda: [line[0] for line in lines]
    marks = {}
    for verb, pattern, *rest in defect["edits"]:
        if verb == "drop":  # pattern, nth
            for i in find(texts(), pattern, rest[0] if rest else 1):
                lines[i][0] = re.sub(r"^(\t*)", r"\1// dropped: ", lines[i][0])
        elif verb == "change":  # pattern, new text of it, nth
            for i in find(texts(), pattern, rest[1] if len(rest) > 1 else 1):
                lines[i][0] = lines[i][0].replace(pattern, rest[0])
        elif verb in ("before", "after"):  # pattern, lines, nth
            [i] = find(texts(), pattern, rest[1] if len(rest) > 1 else 1)
            new = [["\t" + line if not line.startswith("$") else line] for line in rest[0].split("\n")]
            at = i + (verb == "after")
            lines[at:at] = new
    for kinds, pattern, *rest in defect["marks"]:
        for i in find(texts(), pattern, rest[0] if rest else None):
            if "// dropped" not in lines[i][0]:
                marks[i] = kinds
    for i, kinds in marks.items():
        lines[i][0] += f" // defect: {kinds}"
    head = [f"// {defect['what']}", f"// plays as {case}.{architecture}", ""]
    return "\n".join(head + texts()) + "\n"


def main():
    check = sys.argv[1:] == ["--check"]
    bad = []
    names = {name + ".ptx" for name in DEFECTS}
    for name, defect in DEFECTS.items():
        try:
            text = plant(defect)
        except AssertionError as error:
            bad.append(f"{name}: {error}")
            continue
        target = folder / f"{name}.ptx"
        if not check:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            bad.append(f"{target.name} is not what plant.py makes")
    bad += [f"{p.name} is not in defects.py" for p in folder.glob("*.ptx") if p.name not in names]
    print("\n".join(bad))
    return bool(bad)


sys.exit(main())
