"""The blocks of GGUF files, after the format's description: numbers in, bytes out, and back.

For tests, and independent of the compiler: it shares nothing with lib/checkpoint/GgufBlocks.cpp. Plain Python
floats are doubles; what a block means is computed in them and rounded to f32 once, as the compiler's result is.
"""
import math
import struct


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def f16(value):
    return struct.unpack("<e", struct.pack("<e", value))[0]


def bf16_bytes(value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


FP4 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def nearest(number, least, most):
    return min(max(math.floor(number + 0.5), least), most)


def halves(numbers):
    """32 numbers of four bits: byte j has j below and j + 16 above."""
    return bytes(numbers[j] | numbers[j + 16] << 4 for j in range(16))


def unhalve(raw):
    return [byte & 15 for byte in raw] + [byte >> 4 for byte in raw]


# Each: columns, bytes, numbers to bytes, bytes to numbers.

def pack_q8_0(x):
    d = f16(max(abs(v) for v in x) / 127)
    return struct.pack("<e", d) + bytes(nearest(v / d if d else 0, -127, 127) & 255 for v in x)


def unpack_q8_0(raw):
    d = struct.unpack_from("<e", raw)[0]
    return [d * q for q in struct.unpack_from("<32b", raw, 2)]


def pack_q4_0(x):
    d = f16(max(x, key=abs) / -8)
    return struct.pack("<e", d) + halves([nearest(v / d + 8 if d else 8, 0, 15) for v in x])


def unpack_q4_0(raw):
    d = struct.unpack_from("<e", raw)[0]
    return [d * (n - 8) for n in unhalve(raw[2:])]


def pack_q5_0(x):
    d = f16(max(x, key=abs) / -16)
    n = [nearest(v / d + 16 if d else 16, 0, 31) for v in x]
    high = sum((v >> 4) << j for j, v in enumerate(n))
    return struct.pack("<eI", d, high) + halves([v & 15 for v in n])


def unpack_q5_0(raw):
    d, high = struct.unpack_from("<eI", raw)
    return [d * ((n | (high >> j & 1) << 4) - 16) for j, n in enumerate(unhalve(raw[6:]))]


def pack_q4_1(x):
    m = f16(min(x))
    d = f16((max(x) - m) / 15)
    return struct.pack("<ee", d, m) + halves([nearest((v - m) / d if d else 0, 0, 15) for v in x])


def unpack_q4_1(raw):
    d, m = struct.unpack_from("<ee", raw)
    return [f32(d * n + m) for n in unhalve(raw[4:])]


def pack_q5_1(x):
    m = f16(min(x))
    d = f16((max(x) - m) / 31)
    n = [nearest((v - m) / d if d else 0, 0, 31) for v in x]
    high = sum((v >> 4) << j for j, v in enumerate(n))
    return struct.pack("<eeI", d, m, high) + halves([v & 15 for v in n])


def unpack_q5_1(raw):
    d, m, high = struct.unpack_from("<eeI", raw)
    return [f32(d * (n | (high >> j & 1) << 4) + m) for j, n in enumerate(unhalve(raw[8:]))]


def pack_mxfp4(x):
    most = max(abs(v) for v in x)
    e = min(max(math.frexp(most)[1] - 3 + 127, 0), 254) if most else 127
    d = 2.0 ** (e - 127)
    codes = [min(range(8), key=lambda c: abs(FP4[c] * d - abs(v))) | (8 if v < 0 else 0) for v in x]
    return bytes([e]) + halves(codes)


def unpack_mxfp4(raw):
    d = 2.0 ** (raw[0] - 127)
    return [d * FP4[c & 7] * (-1 if c & 8 else 1) for c in unhalve(raw[1:])]


def pack_six_bits(scales, mins):
    """Eight scales and eight minima of six bits in twelve bytes."""
    raw = bytearray(12)
    for j in range(4):
        raw[j] = scales[j] | (scales[j + 4] >> 4) << 6
        raw[j + 4] = mins[j] | (mins[j + 4] >> 4) << 6
        raw[j + 8] = (scales[j + 4] & 15) | (mins[j + 4] & 15) << 4
    return bytes(raw)


def unpack_six_bits(raw):
    scales = [raw[j] & 63 for j in range(4)] + [raw[j + 8] & 15 | raw[j] >> 6 << 4 for j in range(4)]
    mins = [raw[j + 4] & 63 for j in range(4)] + [raw[j + 8] >> 4 | raw[j + 4] >> 6 << 4 for j in range(4)]
    return scales, mins


def pack_k(x, bits):
    top = (1 << bits) - 1
    groups = [x[32 * g:32 * g + 32] for g in range(8)]
    least = [max(0.0, -min(group)) for group in groups]
    step = [(max(group) + low) / top if max(group) + low > 0 else 0.0 for group, low in zip(groups, least)]
    d, m = f16(max(step) / 63), f16(max(least) / 63)
    scales = [nearest(s / d if d else 0, 0, 63) for s in step]
    mins = [nearest(low / m if m else 0, 0, 63) for low in least]
    n = []
    for group, scale, low in zip(groups, scales, mins):
        n += [nearest((v + m * low) / (d * scale) if d * scale else 0, 0, top) for v in group]
    raw = struct.pack("<ee", d, m) + pack_six_bits(scales, mins)
    if bits == 5:
        raw += bytes(sum((n[32 * g + i] >> 4) << g for g in range(8)) for i in range(32))
    for pair in range(4):
        low, high = n[64 * pair:64 * pair + 32], n[64 * pair + 32:64 * pair + 64]
        raw += bytes((a & 15) | (b & 15) << 4 for a, b in zip(low, high))
    return raw


def unpack_k(raw, bits):
    d, m = struct.unpack_from("<ee", raw)
    scales, mins = unpack_six_bits(raw[4:16])
    at = 48 if bits == 5 else 16
    out = []
    for g in range(8):
        for i in range(32):
            byte = raw[at + g // 2 * 32 + i]
            n = byte >> 4 if g % 2 else byte & 15
            if bits == 5:
                n |= (raw[16 + i] >> g & 1) << 4
            out.append(f32(d * scales[g] * n - m * mins[g]))
    return out


def pack_q6_k(x):
    groups = [x[16 * g:16 * g + 16] for g in range(16)]
    step = [max(group, key=abs) / -32 for group in groups]
    d = f16(max(abs(s) for s in step) / 127)
    scales = [nearest(s / d if d else 0, -128, 127) for s in step]
    n = []
    for group, scale in zip(groups, scales):
        n += [nearest(v / (d * scale) + 32 if d * scale else 32, 0, 63) for v in group]
    low, high = bytearray(128), bytearray(64)
    for column, value in enumerate(n):
        half, run, i = column // 128, column % 128 // 32, column % 32
        low[64 * half + 32 * (run % 2) + i] |= (value & 15) << (4 if run >= 2 else 0)
        high[32 * half + i] |= (value >> 4) << (2 * run)
    return bytes(low) + bytes(high) + struct.pack("<16be", *scales, d)


def unpack_q6_k(raw):
    scales = struct.unpack_from("<16b", raw, 192)
    d = struct.unpack_from("<e", raw, 208)[0]
    out = []
    for column in range(256):
        half, run, i = column // 128, column % 128 // 32, column % 32
        n = raw[64 * half + 32 * (run % 2) + i] >> (4 if run >= 2 else 0) & 15
        n |= (raw[128 + 32 * half + i] >> (2 * run) & 3) << 4
        out.append(f32(d * scales[column // 16] * (n - 32)))
    return out


# name: (number, columns, bytes, pack, unpack)
TYPES = {
    "F32": (0, 1, 4, lambda x: struct.pack("<f", x[0]), lambda raw: list(struct.unpack("<f", raw))),
    "F16": (1, 1, 2, lambda x: struct.pack("<e", x[0]), lambda raw: list(struct.unpack("<e", raw))),
    "BF16": (30, 1, 2, lambda x: bf16_bytes(x[0]), lambda raw: list(struct.unpack("<f", b"\0\0" + raw))),
    "Q8_0": (8, 32, 34, pack_q8_0, unpack_q8_0),
    "Q4_0": (2, 32, 18, pack_q4_0, unpack_q4_0),
    "Q5_0": (6, 32, 22, pack_q5_0, unpack_q5_0),
    "Q4_1": (3, 32, 20, pack_q4_1, unpack_q4_1),
    "Q5_1": (7, 32, 24, pack_q5_1, unpack_q5_1),
    "MXFP4": (39, 32, 17, pack_mxfp4, unpack_mxfp4),
    "Q4_K": (12, 256, 144, lambda x: pack_k(x, 4), lambda raw: unpack_k(raw, 4)),
    "Q5_K": (13, 256, 176, lambda x: pack_k(x, 5), lambda raw: unpack_k(raw, 5)),
    "Q6_K": (14, 256, 210, pack_q6_k, unpack_q6_k),
}


def encode(kind, numbers):
    _, columns, _, pack, _ = TYPES[kind]
    return b"".join(pack(numbers[i:i + columns]) for i in range(0, len(numbers), columns))


def decode(kind, raw):
    _, _, size, _, unpack = TYPES[kind]
    return [v for i in range(0, len(raw), size) for v in unpack(raw[i:i + size])]
