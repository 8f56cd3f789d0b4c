"""A random model of the shape that a config.json gives: the names, shapes and bytes of its tensors, and the Hugging
Face directory that they stand in.

Every value is a bf16 number, so what is written in 16 bits or more is the same model everywhere. No numpy: bytes are
drawn, and their upper halves mapped to signs and exponents that weights have.
"""
import json
import math
import pathlib
import random
import shutil
import struct

# Exponents of trained weights: +-2^-11 to 2^-5, most of them in the upper quarter of that.
_UPPER = bytes(sign | exponent for exponent in (0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3B, 0x3B, 0x3A) for sign in (0, 0x80))
_WEIGHT = bytes(_UPPER[i % 16] for i in range(256))
# Of norms: 0.875 to 1.25.
_NORM = bytes(0x60 + i % 64 for i in range(256))
_CHUNK = 1 << 22


class InputError(Exception):
    """One line, for whoever gave the input."""


class Shape:
    """The fields of config.json that say which tensors there are."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        try:
            self.config = json.loads(self.path.read_text())
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}") from None
        if not isinstance(self.config, dict):
            raise InputError(f"{path}: an object was expected")
        self.family = self.config.get("model_type")
        if self.family not in ("llama", "qwen3"):
            raise InputError(f"{path}: model_type is {self.family!r}; llama and qwen3 can be written for the peers")
        if self.config.get("attention_bias") or self.config.get("mlp_bias"):
            raise InputError(f"{path}: models with biases are not written for the peers")
        self.vocabulary = self.count("vocab_size")
        self.hidden = self.count("hidden_size")
        self.inner = self.count("intermediate_size")
        self.layers = self.count("num_hidden_layers")
        self.heads = self.count("num_attention_heads")
        self.kv_heads = self.count("num_key_value_heads")
        self.positions = self.count("max_position_embeddings")
        self.head_size = self.count("head_dim", self.hidden // self.heads)
        self.eps = self.number("rms_norm_eps")
        self.theta = self.number("rope_theta")
        self.tied = bool(self.config.get("tie_word_embeddings"))

    def count(self, field, default=None):
        value = self.config.get(field, default)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise InputError(f"{self.path}: {field} is {value!r}; a positive integer was expected")
        return value

    def number(self, field):
        value = self.config.get(field)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise InputError(f"{self.path}: {field} is {value!r}; a positive number was expected")
        return value

    def tensors(self):
        """(name, shape) of each, in the order of the file."""
        yield "model.embed_tokens.weight", (self.vocabulary, self.hidden)
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        for i in range(self.layers):
            layer = f"model.layers.{i}."
            yield layer + "input_layernorm.weight", (self.hidden,)
            yield layer + "self_attn.q_proj.weight", (queries, self.hidden)
            yield layer + "self_attn.k_proj.weight", (keys, self.hidden)
            yield layer + "self_attn.v_proj.weight", (keys, self.hidden)
            if self.family == "qwen3":
                yield layer + "self_attn.q_norm.weight", (self.head_size,)
                yield layer + "self_attn.k_norm.weight", (self.head_size,)
            yield layer + "self_attn.o_proj.weight", (self.hidden, queries)
            yield layer + "post_attention_layernorm.weight", (self.hidden,)
            yield layer + "mlp.gate_proj.weight", (self.inner, self.hidden)
            yield layer + "mlp.up_proj.weight", (self.inner, self.hidden)
            yield layer + "mlp.down_proj.weight", (self.hidden, self.inner)
        yield "model.norm.weight", (self.hidden,)
        if not self.tied:
            yield "lm_head.weight", (self.vocabulary, self.hidden)

    def parameters(self):
        return sum(math.prod(shape) for _, shape in self.tensors())

    def rope_factors(self):
        """What Llama 3 divides the frequencies by, or None."""
        scaling = self.config.get("rope_scaling")
        if scaling is None:
            return None
        kind = scaling.get("rope_type") if isinstance(scaling, dict) else scaling
        if kind != "llama3":
            raise InputError(f"{self.path}: rope_scaling.rope_type is {kind!r}; llama3 can be written for the peers")
        fields = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
        values = [scaling.get(field) for field in fields]
        for field, value in zip(fields, values):
            if not isinstance(value, (int, float)):
                raise InputError(f"{self.path}: rope_scaling.{field} is {value!r}; a number was expected")
        factor, low, high, original = values
        factors = []
        for i in range(0, self.head_size, 2):
            turns = original / (2 * math.pi * self.theta ** (i / self.head_size))  # within the trained positions
            share = min(max((turns - low) / (high - low), 0), 1)
            factors.append(1 / ((1 - share) / factor + share))
        return factors


def draw(generator, count, is_norm):
    """The bytes of `count` bf16 numbers."""
    values = bytearray(generator.randbytes(2 * count))
    if is_norm:
        values[0::2] = values[0::2].translate(_NORM)
        values[1::2] = b"\x3f" * count
    else:
        values[1::2] = values[1::2].translate(_WEIGHT)
    return bytes(values)


def write_directory(shape, seed, folder):
    """config.json and model.safetensors."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if shape.path.resolve() != (folder / "config.json").resolve():
        shutil.copyfile(shape.path, folder / "config.json")
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dimensions in shape.tensors():
        end = offset + 2 * math.prod(dimensions)
        header[name] = {"dtype": "BF16", "shape": list(dimensions), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = random.Random(seed)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, dimensions in shape.tensors():
            count = math.prod(dimensions)
            for start in range(0, count, _CHUNK):
                file.write(draw(generator, min(_CHUNK, count - start), len(dimensions) == 1))


class Safetensors:
    """Reads what write_directory() wrote, a tensor at a time."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "model.safetensors"
        self.file = open(self.path, "rb")
        size = struct.unpack("<Q", self.file.read(8))[0]
        self.header = json.loads(self.file.read(size))
        self.start = 8 + size

    def read(self, name):
        begin, end = self.header[name]["data_offsets"]
        self.file.seek(self.start + begin)
        return self.file.read(end - begin)

    def shape(self, name):
        return self.header[name]["shape"]
