"""Says which tensors safetensors files hold, and whether logits are near those of the first file."""
import array
import json
import math
import struct
import sys


def load(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32"
        tensors[name] = entry["shape"], array.array("f", data[8 + size + begin:8 + size + end])
    return tensors


reference = load(sys.argv[1])
print("reference:", ", ".join(f"{name} {shape}" for name, (shape, _) in sorted(reference.items())))
wanted = reference["logits"][1]
for path in sys.argv[2:]:
    shape, values = load(path)["logits"]
    distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(values, wanted)) /
                         sum(b * b for b in wanted))
    print(f"{path.rsplit('.', 1)[1]}: logits {shape}", "near" if distance < 2e-3 else distance)
