"""Writes GGUF files, after the format's description; reads and writes safetensors files."""
import json
import pathlib
import struct

from blocks import TYPES, decode, encode

SCALARS = {"u8": (0, "<B"), "i8": (1, "<b"), "u16": (2, "<H"), "i16": (3, "<h"), "u32": (4, "<I"), "i32": (5, "<i"),
           "f32": (6, "<f"), "bool": (7, "<?"), "u64": (10, "<Q"), "i64": (11, "<q"), "f64": (12, "<d")}


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def payload(kind, value):
    return text(value) if kind == "string" else struct.pack(SCALARS[kind][1], value)


def number(kind):
    return 8 if kind == "string" else SCALARS[kind][0]


def pair(key, kind, value):
    """`kind` of an array is "[string]"."""
    if not kind.startswith("["):
        return text(key) + struct.pack("<I", number(kind)) + payload(kind, value)
    kind = kind[1:-1]
    return (text(key) + struct.pack("<IIQ", 9, number(kind), len(value))
            + b"".join(payload(kind, each) for each in value))


class Tensor:
    """Numbers in rows, or bytes that are blocks already."""

    def __init__(self, name, shape, kind, numbers=None, raw=None):
        self.name, self.shape, self.kind = name, shape, kind
        self.raw = raw if raw is not None else encode(kind, numbers)


def gguf(metadata, tensors, version=3, alignment=32):
    """The bytes of a file. `metadata`: (key, kind, value)."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(pair(*each) for each in metadata)
    data = b""
    for tensor in tensors:
        data += b"\0" * (-len(data) % alignment)
        head += text(tensor.name) + struct.pack("<I", len(tensor.shape))
        head += b"".join(struct.pack("<Q", size) for size in reversed(tensor.shape))
        head += struct.pack("<IQ", TYPES[tensor.kind][0], len(data))
        data += tensor.raw
    return head + b"\0" * (-len(head) % alignment) + data


def read_safetensors(directory):
    """{name: (dtype, shape, bytes)} of all shards."""
    tensors = {}
    for path in sorted(pathlib.Path(directory).glob("model*.safetensors")):
        raw = path.read_bytes()
        size = struct.unpack_from("<Q", raw)[0]
        for name, each in json.loads(raw[8:8 + size]).items():
            if name != "__metadata__":
                begin, end = each["data_offsets"]
                tensors[name] = each["dtype"], each["shape"], raw[8 + size + begin:8 + size + end]
    return tensors


def write_safetensors(path, tensors):
    """`tensors`: {name: (shape, numbers)}, written as F32."""
    header, data = {}, b""
    for name, (shape, numbers) in tensors.items():
        raw = struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(head)) + head + data)


def numbers_of(tensor):
    dtype, _, raw = tensor
    return decode(dtype, raw)
