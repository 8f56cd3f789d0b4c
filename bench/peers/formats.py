"""The model in each peer's formats, made by the peer's own tools where it has some."""
import math
import pathlib
import subprocess
import sys

import gguf_file
from fetch import last_error
from random_model import Safetensors

# Class: what is compared with what. (engine, format, what makes it)
CLASSES = {
    "bf16": [("llama.cpp", "F16"), ("llama.cpp", "BF16"), ("OpenVINO", "fp16"), ("PyTorch", "bf16")],
    "int8": [("llama.cpp", "Q8_0"), ("OpenVINO", "int8")],
    "int4": [("llama.cpp", "Q4_0"), ("llama.cpp", "Q4_K_M"), ("OpenVINO", "int4"), ("ONNX Runtime", "int4")],
}
# OpenVINO keeps f16 weights and computes in bf16 where the CPU can; int4 in groups of 32, as the others have it.
_OPENVINO = {"fp16": ["--weight-format", "fp16"], "int8": ["--weight-format", "int8"],
             "int4": ["--weight-format", "int4", "--sym", "--group-size", "32", "--ratio", "1.0"]}


class Format:
    def __init__(self, engine, name, path, bytes_read):
        self.engine, self.name, self.path, self.bytes_read = engine, name, str(path), bytes_read


class Formats:
    def __init__(self, shape, folder, python, threads):
        self.shape, self.folder, self.python, self.threads = shape, pathlib.Path(folder), python, threads
        self.directory = self.folder / "model"

    def make(self, engine, name):
        """A Format, or None: then a line says why."""
        print(f"peers: {engine} {name}", file=sys.stderr, flush=True)
        maker = {"llama.cpp": self.llama, "OpenVINO": self.openvino, "ONNX Runtime": self.onnx,
                 "PyTorch": self.torch}[engine]
        try:
            return Format(engine, name, *maker(name))
        except subprocess.CalledProcessError as error:
            print(f"peers: without {engine} {name}: {last_error(error.output)}", file=sys.stderr)
        return None

    def call(self, *command):
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace")

    def llama(self, name):
        whole = self.folder / "BF16.gguf"
        if not whole.exists():
            gguf_file.write(self.shape, Safetensors(self.directory), whole)
        path = self.folder / f"{name}.gguf"
        if not path.exists():
            self.call(self.python, pathlib.Path(__file__).with_name("quantise.py"), whole, path,
                      gguf_file.FILE_TYPES[name], self.threads)
        return path, gguf_file.bytes_read(path)

    def openvino(self, name):
        path = self.folder / f"openvino-{name}"
        if not (path / "openvino_model.bin").exists():
            self.call(self.python.parent / "optimum-cli", "export", "openvino", "--model", self.directory, "--task",
                      "text-generation-with-past", *_OPENVINO[name], path)
        size = (path / "openvino_model.bin").stat().st_size
        # The embedding is a tensor of its own, in 8 bits if any is in fewer than 16, if it is not the head too.
        return path, size if self.shape.tied else size - self.embedding(2 if name == "fp16" else 1)

    def onnx(self, name):
        path = self.folder / f"onnx-{name}"
        if not (path / "genai_config.json").exists():
            self.call(self.python, "-m", "onnxruntime_genai.models.builder", "-i", self.directory, "-o", path, "-p",
                      name, "-e", "cpu", "-c", self.folder / "onnx-cache", "--extra_options", "int4_block_size=32",
                      "int4_accuracy_level=4", "shared_embeddings=true")
        size = sum(part.stat().st_size for part in path.glob("*.data"))
        return path, size if self.shape.tied else size - self.embedding(2)

    def torch(self, _):
        size = 2 * self.shape.parameters()
        return self.directory, size if self.shape.tied else size - self.embedding(2)

    def embedding(self, width):
        return width * math.prod((self.shape.vocabulary, self.shape.hidden))
