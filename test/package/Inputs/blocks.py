"""Writes the programs in README.md, with how it says to build them: blocks.py README.md FOLDER

Each ```c, ```cpp and ```python block becomes FOLDER/LANGUAGE/ask.*, and the comment in the first line of what is to be
compiled FOLDER/LANGUAGE/build.sh.
"""
import pathlib
import re
import sys

ENDINGS = {"c": "c", "cpp": "cpp", "python": "py"}
found = dict(re.findall(r"^```(\w+)\n(.*?)^```$", pathlib.Path(sys.argv[1]).read_text(), re.S | re.M))
for language, ending in ENDINGS.items():
    folder = pathlib.Path(sys.argv[2], language)
    folder.mkdir(parents=True)
    (folder / f"ask.{ending}").write_text(found[language])
    if language != "python":
        (folder / "build.sh").write_text(re.match(r"(?:/\*|//) (.*?)(?: \*/)?\n", found[language])[1])
