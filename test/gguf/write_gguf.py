"""Writes a GGUF file of a model directory, and a directory that says exactly the same.

    write_gguf.py DIRECTORY OUT.gguf OUT_DIRECTORY [--type Q8_0] [--tokenizer DIRECTORY --pre NAME]

Matrices whose rows are whole blocks get the type; all else is F32, and experts of MXFP4 stay MXFP4. The directory
that is written has the numbers that the file's blocks mean, as F32. What GGUF cannot say of a model is made what
everybody takes it for, in the directory too. With `made:WIDTH` for a directory the model is a small Llama whose
numbers are made up; with a tokenizer it has rows for all of its tokens.
"""
import argparse
import json
import math
import pathlib
import random
import re
import struct

from blocks import TYPES, f32
from container import Tensor, decode, gguf, numbers_of, read_safetensors, write_safetensors
from tokens import tokenizer_metadata

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3",
                 "Qwen3MoeForCausalLM": "qwen3moe", "Gemma2ForCausalLM": "gemma2", "Gemma3ForCausalLM": "gemma3",
                 "GptOssForCausalLM": "gpt-oss"}
NAMES = [("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"),
         ("self_attn.o_proj", "attn_output"), ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
         ("self_attn.sinks", "attn_sinks.weight"), ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"),
         ("mlp.down_proj", "ffn_down"), ("mlp.gate.", "ffn_gate_inp."), ("mlp.router", "ffn_gate_inp"),
         ("input_layernorm", "attn_norm"), ("pre_feedforward_layernorm", "ffn_norm"),
         ("post_feedforward_layernorm", "post_ffw_norm")]


def gguf_name(name, arch):
    for before, after in (("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")):
        if name.startswith(before):
            return name.replace(before, after)
    layer, rest = re.fullmatch(r"model\.layers\.(\d+)\.(.*)", name).groups()
    for before, after in NAMES:
        rest = rest.replace(before, after)
    behind_attention = "post_attention_norm" if arch.startswith("gemma") or arch == "gpt-oss" else "ffn_norm"
    return f"blk.{layer}.{rest.replace('post_attention_layernorm', behind_attention)}"


def paired(numbers, heads, columns):
    """Rows of each head so that what was i and i + half is 2i and 2i + 1."""
    rows = [numbers[i:i + columns] for i in range(0, len(numbers), columns)]
    size = len(rows) // heads
    out = []
    for head in range(heads):
        for i in range(size // 2):
            for j in range(2):
                out += rows[head * size + j * (size // 2) + i]
    return out


def llama3_factors(config):
    scaling, size = config["rope_scaling"], config["head_dim"]
    factors = []
    for i in range(size // 2):
        wavelength = 2 * math.pi * config["rope_theta"] ** (2 * i / size)
        low = scaling["original_max_position_embeddings"] / scaling["low_freq_factor"]
        high = scaling["original_max_position_embeddings"] / scaling["high_freq_factor"]
        if wavelength < high:
            factors.append(1.0)
        elif wavelength > low:
            factors.append(scaling["factor"])
        else:
            smooth = ((scaling["original_max_position_embeddings"] / wavelength - scaling["low_freq_factor"])
                      / (scaling["high_freq_factor"] - scaling["low_freq_factor"]))
            factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return factors


def metadata_of(config, arch):
    head_size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    pairs = [("general.architecture", "string", arch), ("general.name", "string", "tiny"),
             ("general.quantization_version", "u32", 2)]

    def add(key, kind, value):
        if value is not None:
            pairs.append((f"{arch}.{key}", kind, value))

    add("block_count", "u32", config["num_hidden_layers"])
    add("context_length", "u32", config["max_position_embeddings"])
    add("embedding_length", "u32", config["hidden_size"])
    add("feed_forward_length", "u32", config["intermediate_size"])
    add("attention.head_count", "u32", config["num_attention_heads"])
    add("attention.head_count_kv", "u32", config["num_key_value_heads"])
    add("attention.key_length", "u32", head_size)
    add("attention.value_length", "u32", head_size)
    add("rope.dimension_count", "u32", head_size if arch == "llama" else None)
    add("attention.layer_norm_rms_epsilon", "f32", config["rms_norm_eps"])
    add("rope.freq_base", "f32", config["rope_theta"])
    add("attn_logit_softcapping", "f32", config.get("attn_logit_softcapping"))
    add("final_logit_softcapping", "f32", config.get("final_logit_softcapping"))
    if arch in ("gemma2", "gemma3", "gpt-oss"):
        add("attention.sliding_window", "u32", config["sliding_window"])
    if arch == "gemma3":
        add("attention.sliding_window_pattern", "u32", config["sliding_window_pattern"])
        add("rope.freq_base_swa", "f32", config["rope_local_base_freq"])
    scaling = config.get("rope_scaling")
    if scaling and scaling["rope_type"] != "llama3":
        add("rope.scaling.type", "string", scaling["rope_type"])
        add("rope.scaling.factor", "f32", scaling["factor"])
        add("rope.scaling.original_context_length", "u32", scaling.get("original_max_position_embeddings"))
    experts = config.get("num_experts") or config.get("num_local_experts")
    add("expert_count", "u32", experts)
    add("expert_used_count", "u32", config.get("num_experts_per_tok"))
    if experts:
        add("expert_feed_forward_length", "u32", config.get("moe_intermediate_size", config["intermediate_size"]))
    return pairs


def made(width, rows):
    """A small Llama out of a seed."""
    config = {"architectures": ["LlamaForCausalLM"], "vocab_size": rows, "hidden_size": width, "head_dim": width // 4,
              "intermediate_size": width, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
              "rms_norm_eps": 1e-5, "max_position_embeddings": 128, "rope_theta": 10000.0,
              "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False}
    chance = random.Random(7)

    def tensor(*shape):
        count = math.prod(shape)
        return "F32", list(shape), struct.pack(f"<{count}f", *(chance.gauss(0, 0.08) for _ in range(count)))

    layer = "model.layers.0."
    tensors = {"model.embed_tokens.weight": tensor(rows, width), "model.norm.weight": tensor(width)}
    for name, count in (("q", width), ("k", width // 2), ("v", width // 2), ("o", width)):
        tensors[f"{layer}self_attn.{name}_proj.weight"] = tensor(count, width)
    for name in ("gate", "up", "down"):
        tensors[f"{layer}mlp.{name}_proj.weight"] = tensor(width, width)
    for name in ("input", "post_attention"):
        tensors[f"{layer}{name}_layernorm.weight"] = tensor(width)
    return config, tensors


class Writer:
    def __init__(self, config, source, kind):
        self.config, self.source, self.kind = config, source, kind
        self.arch = ARCHITECTURES[config["architectures"][0]]
        self.tensors, self.plain = [], {}  # of the file; of the directory

    def add(self, name, shape, numbers, kind=None, raw=None):
        """The numbers that it now has."""
        if kind is None:
            fits = len(shape) > 1 and shape[-1] % TYPES[self.kind][1] == 0 and "ffn_gate_inp" not in name
            kind = self.kind if fits else "F32"
        self.tensors.append(Tensor(name, shape, kind, numbers, raw))
        return decode(kind, self.tensors[-1].raw)

    def add_plain(self, name):
        _, shape, _ = self.source[name]
        numbers, heads = numbers_of(self.source[name]), 0
        if self.arch == "llama":
            heads = (self.config["num_attention_heads"] if ".q_proj." in name else
                     self.config["num_key_value_heads"] if ".k_proj." in name else 0)
        if self.arch.startswith("gemma") and name.endswith("norm.weight"):
            # What is multiplied with; the directory has one less.
            found = self.add(gguf_name(name, self.arch), shape, [f32(1 + v) for v in numbers])
            self.plain[name] = shape, numbers
            assert found == [f32(1 + v) for v in numbers]
            return
        columns = shape[-1] if len(shape) > 1 else 1
        stored = paired(numbers, heads, columns) if heads else numbers
        found = self.add(gguf_name(name, self.arch), shape, stored)
        if heads:  # back: which row of the file each row of the directory is
            order = paired(list(range(len(numbers) // columns)), heads, 1)
            back = [None] * len(order)
            for at, row in enumerate(order):
                back[row] = found[at * columns:(at + 1) * columns]
            found = [v for row in back for v in row]
        self.plain[name] = shape, found

    def add_experts(self, layer):
        """Of Qwen3-MoE: matrices of each expert become one tensor."""
        for part in ("gate", "up", "down"):
            names = [f"model.layers.{layer}.mlp.experts.{e}.{part}_proj.weight"
                     for e in range(self.config["num_experts"])]
            shape = self.source[names[0]][1]
            found = self.add(f"blk.{layer}.ffn_{part}_exps.weight", [len(names), *shape],
                             [v for name in names for v in numbers_of(self.source[name])])
            size = math.prod(shape)
            for e, name in enumerate(names):
                self.plain[name] = shape, found[e * size:(e + 1) * size]

    def add_gpt_oss(self, layer):
        """Gate and up apart, outputs as rows; back to taking turns, inputs as rows."""
        prefix, config = f"model.layers.{layer}.mlp.experts.", self.config
        experts, hidden, size = config["num_local_experts"], config["hidden_size"], config["intermediate_size"]
        halves = {}
        for name, width, depth in (("gate_up_proj", 2 * size, hidden), ("down_proj", hidden, size)):
            bias = numbers_of(self.source[f"{prefix}{name}_bias"])
            self.plain[f"{prefix}{name}_bias"] = [experts, width], bias
            parts = (("gate", 0, 2), ("up", 1, 2)) if name == "gate_up_proj" else (("down", 0, 1),)
            for part, first, step in parts:
                rows = range(first, width, step)
                self.add(f"blk.{layer}.ffn_{part}_exps.bias", [experts, len(rows)],
                         [bias[e * width + r] for e in range(experts) for r in rows], kind="F32")
                shape = [experts, len(rows), depth]
                if f"{prefix}{name}_blocks" in self.source:
                    raw = self.repack(f"{prefix}{name}", experts, width, depth, rows)
                    found = self.add(f"blk.{layer}.ffn_{part}_exps.weight", shape, None, "MXFP4", raw)
                else:
                    values = numbers_of(self.source[prefix + name])
                    found = self.add(f"blk.{layer}.ffn_{part}_exps.weight", shape,
                                     [values[(e * depth + k) * width + r]
                                      for e in range(experts) for r in rows for k in range(depth)])
                halves[part] = found, len(rows)
            whole = []
            for e in range(experts):
                for k in range(depth):
                    for row in range(width):
                        found, count = halves[parts[row % step][0]]
                        whole.append(found[(e * count + row // step) * depth + k])
            self.plain[prefix + name] = [experts, depth, width], whole

    def repack(self, name, experts, width, depth, rows):
        blocks, scales = self.source[f"{name}_blocks"][2], self.source[f"{name}_scales"][2]
        raw = b""
        for e in range(experts):
            for r in rows:
                for b in range(depth // 32):
                    at = (e * width + r) * (depth // 32) + b
                    pairs = blocks[16 * at:16 * at + 16]
                    codes = [half for byte in pairs for half in (byte & 15, byte >> 4)]
                    raw += scales[at:at + 1] + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))
        return raw

    def run(self):
        done = set()
        for name in sorted(self.source):
            layer = name.split(".")[2] if name.startswith("model.layers.") else ""
            if ".mlp.experts." not in name:
                self.add_plain(name)
            elif layer not in done:
                done.add(layer)
                (self.add_gpt_oss if self.arch == "gpt-oss" else self.add_experts)(layer)
        if (self.config.get("rope_scaling") or {}).get("rope_type") == "llama3":
            self.tensors.append(Tensor("rope_freqs.weight", [self.config["head_dim"] // 2], "F32",
                                       llama3_factors(self.config)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("gguf")
    parser.add_argument("directory")
    parser.add_argument("--type", default="F32", choices=TYPES)
    parser.add_argument("--tokenizer")
    parser.add_argument("--pre")
    options = parser.parse_args()
    generation = {"eos_token_id": 2}
    metadata, rows, tokenizer = [("tokenizer.ggml.eos_token_id", "u32", 2)], 64, None
    if options.tokenizer:
        metadata, rows, generation, tokenizer = tokenizer_metadata(options.tokenizer, options.pre)
    if options.source.startswith("made:"):
        config, source = made(int(options.source[5:]), rows)
    else:
        config = json.loads(pathlib.Path(options.source, "config.json").read_text())
        source = read_safetensors(options.source)
    arch = ARCHITECTURES[config["architectures"][0]]
    config.pop("quantization_config", None)
    for name in ("bos", "eos", "pad"):
        number = config.pop(f"{name}_token_id", None)
        if name != "eos" and number is not None and not options.tokenizer:
            generation[f"{name}_token_id"] = number
            metadata.append((f"tokenizer.ggml.{name if name == 'bos' else 'padding'}_token_id", "u32", number))
    if arch == "gpt-oss":
        config["swiglu_limit"] = 7.0
    if arch.startswith("gemma"):
        config["query_pre_attn_scalar"] = config["head_dim"]
    writer = Writer(config, source, options.type)
    writer.run()
    pathlib.Path(options.gguf).write_bytes(gguf(metadata_of(config, arch) + metadata, writer.tensors))
    directory = pathlib.Path(options.directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "generation_config.json").write_text(json.dumps(generation))
    if tokenizer:
        (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    write_safetensors(directory / "model.safetensors", writer.plain)


main()
