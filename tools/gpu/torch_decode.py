"""torch_decode.py CONFIG: decoding in PyTorch, to compare with: one step with a static KV cache, captured as a CUDA
graph and replayed, weights made up. Greedy; the token that is chosen is the next one's input, all on the device.

Prints one line of JSON when it is ready, and one for each measurement, as `pianola-play measure` does:

    {"launch": "torch", "context": 256, "us": [mean time of a token]}

With --wait each measurement waits for a line of input, so that two programs can take turns.
"""
import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--context", type=int, default=256)
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--wait", action="store_true")
parser.add_argument("--compile", action="store_true", help="let torch.compile fuse what it can, before the capture")
parser.add_argument("--device", default="cuda", help="cpu: without a graph, to try this script out")
options = parser.parse_args()
torch.manual_seed(1)
torch.set_grad_enabled(False)

with open(options.config) as file:
    config = json.load(file)
hidden, layers, heads = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
groups = config.get("num_key_value_heads", heads)
size = config.get("head_dim") or hidden // heads
inner, vocabulary, epsilon = config["intermediate_size"], config["vocab_size"], config["rms_norm_eps"]
has_head_norms = config["model_type"] == "qwen3"
theta = config.get("rope_theta", 10000.0)
capacity = (options.context + options.tokens + 64) // 64 * 64
kind = {"device": options.device, "dtype": torch.bfloat16}


def weight(rows, columns):
    return torch.randn(rows, columns, **kind) * 0.02


class Layer:
    """What is read of one layer; products that have the same operand are one."""

    def __init__(self):
        self.before, self.after = torch.ones(hidden, **kind), torch.ones(hidden, **kind)
        self.qkv = weight((heads + 2 * groups) * size, hidden)
        self.out = weight(hidden, heads * size)
        self.gate_up = weight(2 * inner, hidden)
        self.down = weight(hidden, inner)
        self.q_norm, self.k_norm = torch.ones(size, **kind), torch.ones(size, **kind)
        self.keys = torch.zeros(groups, capacity, size, **kind)
        self.values = torch.zeros(groups, capacity, size, **kind)


model = [Layer() for _ in range(layers)]
embedding = weight(vocabulary, hidden)
head = embedding if config.get("tie_word_embeddings") else weight(vocabulary, hidden)
last_norm = torch.ones(hidden, **kind)
angles = torch.outer(torch.arange(capacity).float(), theta ** (-torch.arange(0, size, 2).float() / size))
angles = torch.cat([angles, angles], dim=1)
cosines, sines = angles.cos().to(**kind), angles.sin().to(**kind)
places = torch.arange(capacity, device=options.device)
token = torch.zeros(1, dtype=torch.long, device=options.device)
position = torch.zeros(1, dtype=torch.long, device=options.device)


def rotate(x, cosine, sine):
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-second, first], dim=-1) * sine


def attend(layer, qkv, cosine, sine, bias):
    q, k, v = qkv.view(-1, size).split([heads, groups, groups])
    if has_head_norms:
        q, k = F.rms_norm(q, (size,), layer.q_norm, epsilon), F.rms_norm(k, (size,), layer.k_norm, epsilon)
    q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
    layer.keys.index_copy_(1, position, k.unsqueeze(1))
    layer.values.index_copy_(1, position, v.unsqueeze(1))
    scores = torch.baddbmm(bias, q.view(groups, heads // groups, size), layer.keys.transpose(1, 2), alpha=size ** -0.5)
    return torch.bmm(torch.softmax(scores, dim=-1, dtype=torch.float32).to(torch.bfloat16), layer.values).view(1, -1)


def step():
    x = F.embedding(token, embedding)
    cosine, sine = cosines.index_select(0, position), sines.index_select(0, position)
    bias = torch.where(places <= position, 0.0, float("-inf")).to(torch.bfloat16).view(1, 1, capacity)
    for layer in model:
        normal = F.rms_norm(x, (hidden,), layer.before, epsilon)
        x = x + attend(layer, F.linear(normal, layer.qkv), cosine, sine, bias) @ layer.out.T
        gate, up = F.linear(F.rms_norm(x, (hidden,), layer.after, epsilon), layer.gate_up).chunk(2, dim=-1)
        x = x + F.linear(F.silu(gate) * up, layer.down)
    logits = F.linear(F.rms_norm(x, (hidden,), last_norm, epsilon), head)
    token.copy_(logits.argmax(dim=-1))
    position.add_(1)


if options.compile:
    step = torch.compile(step, mode="max-autotune-no-cudagraphs")
on_gpu = options.device == "cuda"
play = step
if on_gpu:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    play = graph.replay


def synchronise():
    if on_gpu:
        torch.cuda.synchronize()


def measure():
    position.fill_(options.context)
    token.fill_(1)
    play()
    synchronise()
    begin = time.perf_counter()
    for _ in range(options.tokens):
        play()
    synchronise()
    us = (time.perf_counter() - begin) * 1e6 / options.tokens
    name = "torch compiled" if options.compile else "torch"
    print(json.dumps({"launch": name, "context": options.context, "us": [us]}), flush=True)


name = torch.cuda.get_device_name() if on_gpu else "cpu"
print(json.dumps({"device": name, "torch": torch.__version__}), flush=True)
for _ in range(options.rounds):
    if options.wait and not sys.stdin.readline():
        break
    measure()
