"""One name, four places: def FooBar : Pass<"foo-bar"> in passes/Passes.td (and so in its generated
documentation), passes/FooBar.cpp, test/passes/foo-bar.mlir."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1]).resolve()
defs = dict(re.findall(r'def (\w+) : Pass<"([\w-]+)"', (root / "passes/Passes.td").read_text()))
want = {f"passes/{name}.cpp" for name in defs} | {f"test/passes/{flag}.mlir" for flag in defs.values()}
have = {str(p.relative_to(root)) for p in [*root.glob("passes/*.cpp"), *root.glob("test/passes/*.mlir")]}


def kebab(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


bad = [f"missing {p}" for p in sorted(want - have)] + [f"unexpected {p}" for p in sorted(have - want)]
bad += [f"{name} should be called {kebab(name)}, not {flag}"
        for name, flag in defs.items() if kebab(name) != flag]
bad += [] if defs else ["no passes found"]
print("\n".join(bad))
sys.exit(bool(bad))
