"""Sets the peers up in a virtual environment of their own; each is optional."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

# Results name versions; these are the ones that the players in play.py are written for.
_TRANSFORMERS = ["torch==2.15.0", "transformers==5.5.4"]
PACKAGES = {
    "llama.cpp": ["llama-cpp-python==0.3.16"],
    "OpenVINO": ["openvino-genai==2026.4.1.0", "optimum-intel==2.2.0", "nncf==3.4.0", *_TRANSFORMERS],
    "ONNX Runtime": ["onnxruntime-genai==0.18.0", "onnx-ir==1.1.0", *_TRANSFORMERS],
    "PyTorch": _TRANSFORMERS,
}


def environment(jobs):
    """llama.cpp is built for this machine, by the compiler that Pianola is built with where that is installed."""
    variables = dict(os.environ, CMAKE_BUILD_PARALLEL_LEVEL=str(jobs), CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF")
    if shutil.which("clang-19") and shutil.which("clang++-19"):
        variables.update(CC="clang-19", CXX="clang++-19")
    return variables


def last_error(log):
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return re.sub("^error: ", "", (errors or lines or ["no reason given"])[-1], flags=re.I)[:160]


def fetch(cache, wanted, jobs):
    """The environment's Python, and the names in `wanted` that are there, in order. Says why others are not."""
    python = cache / "venv" / "bin" / "python"
    if not python.exists():
        done = subprocess.run([sys.executable, "-m", "venv", str(cache / "venv")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            print(f"peers: no virtual environment: {last_error(done.stdout)}", file=sys.stderr)
            return python, []
    there = []
    for name in wanted:
        print(f"peers: {name}", file=sys.stderr, flush=True)
        # A wheel of llama.cpp would be built for another CPU.
        done = subprocess.run([str(python), "-m", "pip", "install", "-v", "--no-binary", "llama-cpp-python",
                               *PACKAGES[name]], env=environment(jobs), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        log = pathlib.Path(cache / f"{name.replace(' ', '-').lower()}.log")
        log.write_text(done.stdout)
        if done.returncode != 0:
            print(f"peers: without {name}: {last_error(done.stdout)} ({log})", file=sys.stderr)
            continue
        if name == "llama.cpp" and "OpenMP not found" in done.stdout:
            print("peers: llama.cpp is built without OpenMP (libomp-19-dev has it for clang-19)", file=sys.stderr)
        there.append(name)
    return python, there
