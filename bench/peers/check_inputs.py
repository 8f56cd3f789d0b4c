"""Checks what random_model.py and gguf_file.py write, by reading it again."""
import struct

import gguf_file
from random_model import InputError, Safetensors, write_directory


def _bf16(data):
    return [struct.unpack("<f", b"\0\0" + data[i:i + 2])[0] for i in range(0, len(data), 2)]


def _expect(holds, what):
    if not holds:
        raise InputError(what)


def _check_values(shape, weights):
    for name, dimensions in shape.tensors():
        values = _bf16(weights.read(name))
        count = 1
        for size in dimensions:
            count *= size
        _expect(weights.shape(name) == list(dimensions) and len(values) == count, f"{name}: another shape")
        low, high = (0.8, 1.3) if len(dimensions) == 1 else (0, 0.04)
        _expect(all(low <= abs(value) <= high for value in values), f"{name}: a value out of range")
        _expect(len(dimensions) == 1 or min(values) < 0 < max(values), f"{name}: all of one sign")


def _rotated(rows, row, size):
    """Where row `row` of a Hugging Face matrix stands in GGUF: i beside i + half a head."""
    head, i = divmod(row, size)
    half, i = divmod(i, size // 2)
    return rows[head * size + 2 * i + half]


def _check_gguf(shape, weights, path):
    fields, tensors, start = gguf_file.read(path)
    _expect(fields["general.architecture"] == shape.family, "general.architecture: another family")
    _expect(fields[f"{shape.family}.block_count"] == shape.layers, "block_count: another count")
    wanted = len(list(shape.tensors())) + (shape.rope_factors() is not None)
    _expect(len(tensors) == wanted, f"{path.name}: {len(tensors)} tensors in place of {wanted}")
    data = path.read_bytes()
    last = shape.layers - 1
    for source, name, turned in (("embed_tokens", "token_embd", False), ("layers.0.self_attn.q_proj", "blk.0.attn_q", True),
                                 ("layers.0.self_attn.k_proj", "blk.0.attn_k", True),
                                 (f"layers.{last}.mlp.down_proj", f"blk.{last}.ffn_down", False)):
        dimensions, kind, offset, _ = tensors[name + ".weight"]
        count, columns = dimensions[1], dimensions[0]
        ours = weights.read(f"model.{source}.weight")
        begin = start + offset
        theirs = data[begin:begin + len(ours)]
        split = [theirs[i:i + 2 * columns] for i in range(0, len(theirs), 2 * columns)]
        _expect(kind == gguf_file.BF16 and len(split) == count, f"{name}: another type or shape")
        for row in range(count):
            found = _rotated(split, row, shape.head_size) if turned and shape.family == "llama" else split[row]
            _expect(found == ours[2 * columns * row:2 * columns * (row + 1)], f"{name}: row {row} differs")
    _, _, offset, _ = tensors["output_norm.weight"]
    norm = struct.unpack(f"<{shape.hidden}f", data[start + offset:start + offset + 4 * shape.hidden])
    _expect(list(norm) == _bf16(weights.read("model.norm.weight")), "output_norm: other values")
    padding = 32 * len(tensors)
    read = 2 * shape.parameters() - (0 if shape.tied else 2 * shape.vocabulary * shape.hidden)
    vectors = 2 * sum(dimensions[0] for _, dimensions in shape.tensors() if len(dimensions) == 1)
    _expect(read <= gguf_file.bytes_read(path) <= read + vectors + padding + 2 * shape.head_size,
            f"{path.name}: {gguf_file.bytes_read(path)} bytes are read for a token, not {read}")


def check(shape, seed, folder):
    write_directory(shape, seed, folder / "a")
    write_directory(shape, seed, folder / "b")
    first = (folder / "a" / "model.safetensors").read_bytes()
    _expect(first == (folder / "b" / "model.safetensors").read_bytes(), "the same seed gave another model")
    write_directory(shape, seed + 1, folder / "b")
    _expect(first != (folder / "b" / "model.safetensors").read_bytes(), "another seed gave the same model")
    weights = Safetensors(folder / "a")
    _check_values(shape, weights)
    gguf_file.write(shape, weights, folder / "model.gguf")
    _check_gguf(shape, weights, folder / "model.gguf")
    print(f"inputs: {shape.family}, {len(list(shape.tensors()))} tensors, {shape.parameters()} weights: as expected")
