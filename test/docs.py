"""Prints every ```mlir example of the .td files below a folder, for pianola-opt to parse and verify."""
import pathlib
import re
import sys
import textwrap

blocks = [textwrap.dedent(block)
          for td in sorted(pathlib.Path(sys.argv[1]).rglob("*.td"))
          for block in re.findall(r"```mlir\n(.*?)```", td.read_text(), re.S)]
assert blocks, "no examples found"
print("\n// -----\n".join(blocks))
