"""Compiles every kernel of a folder, or of this one, to PTX, beside its source, for each of its architectures.

    compile.py [folder]          writes <name>.<architecture>.ptx
    compile.py --check [folder]  compares with what is there; without nvcc it says so and passes

A source whose first line is `// architectures: ...` is compiled for those alone.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

check = "--check" in sys.argv
folders = [argument for argument in sys.argv[1:] if argument != "--check"]
folder = pathlib.Path(folders[0] if folders else __file__).resolve()
folder = folder if folders else folder.parent


def architectures(source):
    first = source.read_text().splitlines()[0]
    match = re.fullmatch(r"// architectures: (.*)", first)
    return match[1].split() if match else ["sm_80", "sm_90a"]


def essence(text):
    """The text without the compiler's name and version, and without names that tell the folder."""
    text = re.sub(r"(_INTERNAL_|GLOBAL__N__)[0-9a-f]{8}_", r"\1_", text)
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("//")]
    return "\n".join(line for line in lines if line and not line.startswith(".version"))


def main():
    nvcc = shutil.which("nvcc")
    if not nvcc:
        print("skipped: no nvcc on PATH")
        return not check
    bad = []
    sources = sorted(folder.glob("*.cu"))
    for source in sources:
        for architecture in architectures(source):
            target = source.with_suffix(f".{architecture}.ptx")
            with tempfile.TemporaryDirectory() as scratch:
                made = pathlib.Path(scratch) / target.name
                subprocess.run([nvcc, "-O3", "-ptx", f"-arch={architecture}", "-std=c++17",
                                source.name, "-o", made], cwd=folder, check=True)
                if not check:
                    shutil.copyfile(made, target)
                elif not target.exists() or essence(target.read_text()) != essence(made.read_text()):
                    bad.append(f"{target.name} is not what nvcc makes of {source.name}")
    bad += [] if sources else ["no kernels found"]
    print("\n".join(bad))
    return bool(bad)


sys.exit(main())
