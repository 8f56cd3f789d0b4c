"""Prints every ```mlir example of the .td files, for pianola-opt to parse and verify."""
import pathlib, re, sys, textwrap
root = pathlib.Path(sys.argv[1])
blocks = [textwrap.dedent(block) for td in sorted(root.rglob("*.td"))
          for block in re.findall(r"```mlir\n(.*?)```", td.read_text(), re.S)]
print("\n// -----\n".join(blocks))
