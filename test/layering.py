"""Fails where a folder includes one that lies downstream of it. Data flows one way:

    include <- (nothing)     runtime <- include              dialects <- dialects to their left
    passes <- dialects       targets <- dialects, include    lib, tools <- all of the compiler

The emulator of targets/nvptx/ is like the runtime: it knows nothing of the compiler or LLVM, and shares with the
runtime how errors are spelled (runtime/Status.h). As a driver (targets/nvptx/driver/) it also shares the types of
the CUDA driver API with who calls it (runtime/cuda/DriverTypes.h).
"""
import pathlib
import re
import sys

DIALECTS = ["encoding", "transformer", "tile", "schedule"]
ALLOWED = {
    "include": {"pianola"},
    "runtime": {"pianola", "runtime"},
    "dialects": {"dialects"},
    "passes": {"dialects", "passes"},
    "targets": {"dialects", "targets", "pianola"},
}
OURS = {*ALLOWED, "pianola", "lib", "tools", "mlir", "llvm"}
# The compiler's folders may use MLIR; include/ and runtime/ may not.
for folder in ("dialects", "passes", "targets"):
    ALLOWED[folder] |= {"mlir", "llvm"}

EMULATOR, DRIVER = "targets/nvptx/emulator", "targets/nvptx/driver"
EMULATOR_MAY = {EMULATOR, "targets/nvptx/Devices", "runtime/Status"}
# Folders with rules of their own.
NARROW = {EMULATOR: EMULATOR_MAY, DRIVER: EMULATOR_MAY | {DRIVER, "runtime/cuda/DriverTypes"}}

root = pathlib.Path(sys.argv[1]).resolve()
bad, seen = [], 0
for folder, allowed in ALLOWED.items():
    for path in sorted((root / folder).rglob("*")):
        if path.suffix not in {".h", ".hpp", ".cpp", ".td"}:
            continue
        seen += 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#?include ["<](\w+)/(\w+)?', line)
            if not match or match[1] not in OURS:
                continue
            where = f"{path.relative_to(root)}:{number}"
            narrow = next((each for each in NARROW if path.is_relative_to(root / each)), None)
            if narrow:
                included = re.search(r'["<](.*?)(\.h)?[">]', line)[1]
                if not any(included.startswith(prefix) for prefix in NARROW[narrow]):
                    bad.append(f"{where}: {narrow}/ may not include {included}")
                continue
            if match[1] not in allowed:
                bad.append(f"{where}: {folder}/ may not include {match[1]}/")
            if folder == "dialects" and match[1] == "dialects":
                user = path.relative_to(root).parts[1]
                if DIALECTS.index(match[2]) > DIALECTS.index(user):
                    bad.append(f"{where}: dialect {user} may not know dialect {match[2]}")
bad += [] if seen else ["no sources found"]
print("\n".join(bad))
sys.exit(bool(bad))
