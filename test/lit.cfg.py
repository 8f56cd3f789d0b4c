import os
import shutil

import lit.formats

config.name = "pianola"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["golden", "Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.obj_root
config.environment["PATH"] = os.pathsep.join(
    [config.bin_dir, config.llvm_tools_dir, config.environment["PATH"]])
if config.ptxas:
    config.available_features.add("ptxas")
config.substitutions += [
    ("%exits", f"{config.python} {config.test_source_root}/tools/Inputs/exits.py"),
    ("%pianola-ptx", os.path.join(config.bin_dir, "pianola-ptx")),
    ("%python", config.python),
    ("%source", config.source_dir),
    ("%golden", os.path.join(config.source_dir, "test", "golden")),
    ("%libdir", config.lib_dir),
    ("%objdir", os.path.dirname(config.lib_dir)),
]

# Of the CUDA toolkit, where it is installed.
ptxas = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
if ptxas:
    config.available_features.add("ptxas")
    config.substitutions.append(("%ptxas", ptxas))
else:
    lit_config.note("ptxas is not installed: what it says of the kernels is not tested")

# OpenAI's own client, where tools/test.sh could fetch it.
openai = os.path.join(os.path.dirname(config.lib_dir), "clients", "bin", "python")
if os.path.exists(openai):
    config.available_features.add("openai")
    config.substitutions.append(("%openai", openai))
else:
    lit_config.note("the package openai is not there: the server is not asked by it")

chromium = shutil.which("chromium")
if chromium:
    config.available_features.add("chromium")
    config.substitutions.append(("%chromium", chromium))
else:
    lit_config.note("chromium is not installed: the chat page is not tried in it")
