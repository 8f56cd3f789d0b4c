"""The same model as a GGUF file in BF16, from which llama.cpp's own quantiser makes its other types; and the sizes of
the tensors of any GGUF file."""
import math
import struct

from random_model import InputError

F32, BF16 = 0, 30
_ALIGNMENT = 32
_UINT32, _FLOAT32, _STRING = 4, 6, 8
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# general.file_type of what llama.cpp's quantiser makes.
FILE_TYPES = {"F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}

_NAMES = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
          "lm_head.weight": "output.weight"}
_IN_LAYER = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
             "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
             "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _name(tensor):
    if tensor in _NAMES:
        return _NAMES[tensor]
    _, _, layer, rest = tensor.split(".", 3)
    return f"blk.{layer}.{_IN_LAYER[rest.removesuffix('.weight')]}.weight"


def _interleave(data, heads, row):
    """Rows of queries or keys as llama.cpp's rotation of neighbours wants them: 0, half, 1, half + 1, ..."""
    rows = [data[i:i + row] for i in range(0, len(data), row)]
    size = len(rows) // heads
    return b"".join(rows[head * size + half * size // 2 + i]
                    for head in range(heads) for i in range(size // 2) for half in range(2))


def _widen(data):
    """bf16 as f32."""
    values = bytearray(2 * len(data))
    values[2::4] = data[0::2]
    values[3::4] = data[1::2]
    return bytes(values)


def _metadata(shape):
    family = shape.family
    counts = {"general.alignment": _ALIGNMENT, f"{family}.block_count": shape.layers,
              f"{family}.context_length": shape.positions, f"{family}.embedding_length": shape.hidden,
              f"{family}.feed_forward_length": shape.inner, f"{family}.attention.head_count": shape.heads,
              f"{family}.attention.head_count_kv": shape.kv_heads, f"{family}.attention.key_length": shape.head_size,
              f"{family}.attention.value_length": shape.head_size, f"{family}.rope.dimension_count": shape.head_size,
              f"{family}.vocab_size": shape.vocabulary, "general.file_type": 32}
    numbers = {f"{family}.attention.layer_norm_rms_epsilon": shape.eps, f"{family}.rope.freq_base": shape.theta}
    strings = {"general.architecture": family, "general.name": shape.path.parent.name, "tokenizer.ggml.model": "no_vocab"}
    fields = [_string(key) + struct.pack("<I", _STRING) + _string(text) for key, text in strings.items()]
    fields += [_string(key) + struct.pack("<II", _UINT32, value) for key, value in counts.items()]
    fields += [_string(key) + struct.pack("<If", _FLOAT32, value) for key, value in numbers.items()]
    return fields


def write(shape, weights, path):
    """`weights` is a Safetensors of that shape."""
    tensors = []  # (name, dimensions, type, bytes() of it)
    for source, dimensions in shape.tensors():
        def read(source=source, dimensions=dimensions):
            data = weights.read(source)
            if len(dimensions) == 1:
                return _widen(data)
            heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(source.split(".")[-2])
            if heads and shape.family == "llama":
                return _interleave(data, heads, 2 * shape.hidden)
            return data
        tensors.append((_name(source), dimensions, F32 if len(dimensions) == 1 else BF16, read))
    if factors := shape.rope_factors():
        tensors.append(("rope_freqs.weight", (len(factors),), F32,
                        lambda: struct.pack(f"<{len(factors)}f", *factors)))
    fields = _metadata(shape)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields)
    offset = 0
    for name, dimensions, kind, _ in tensors:
        header += _string(name) + struct.pack("<I", len(dimensions))
        header += struct.pack(f"<{len(dimensions)}Q", *reversed(dimensions)) + struct.pack("<IQ", kind, offset)
        offset += math.prod(dimensions) * (4 if kind == F32 else 2)
        offset += -offset % _ALIGNMENT
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % _ALIGNMENT))
        for *_, read in tensors:
            data = read()
            file.write(data + bytes(-len(data) % _ALIGNMENT))


class _Reader:
    def __init__(self, file, path):
        self.file, self.path = file, path

    def take(self, form):
        data = self.file.read(struct.calcsize("<" + form))
        if len(data) != struct.calcsize("<" + form):
            raise InputError(f"{self.path}: truncated")
        return struct.unpack("<" + form, data)

    def string(self):
        return self.take(f"{self.take('Q')[0]}s")[0].decode()

    def value(self, kind):
        if kind == _STRING:
            return self.string()
        if kind == 9:
            element, count = self.take("IQ")
            return [self.value(element) for _ in range(count)]
        if kind not in _SCALARS:
            raise InputError(f"{self.path}: a field has type {kind}, which GGUF has not")
        return self.take(_SCALARS[kind])[0]


def read(path):
    """(fields, {name: (dimensions, type, offset, bytes with padding)}, offset of the data)"""
    with open(path, "rb") as file:
        reader = _Reader(file, path)
        if reader.take("4sI") != (b"GGUF", 3):
            raise InputError(f"{path}: not a GGUF file of version 3")
        tensors, fields = reader.take("QQ")
        values = {}
        for _ in range(fields):
            key = reader.string()
            values[key] = reader.value(reader.take("I")[0])
        found = []
        for _ in range(tensors):
            name = reader.string()
            dimensions = reader.take(f"{reader.take('I')[0]}Q")
            found.append((name, dimensions, *reader.take("IQ")))
        start = file.tell()
        start += -start % values.get("general.alignment", 32)
        end = file.seek(0, 2) - start
    ends = dict(zip(sorted(tensor[3] for tensor in found), sorted(tensor[3] for tensor in found)[1:] + [end]))
    return values, {name: (dimensions, kind, offset, ends[offset] - offset)
                    for name, dimensions, kind, offset in found}, start


def bytes_read(path):
    """What a token reads: all tensors, but an embedding that is not the head too."""
    _, tensors, _ = read(path)
    total = sum(size for *_, size in tensors.values())
    return total - tensors["token_embd.weight"][3] if "output.weight" in tensors else total
