// GgufBlocks.cpp - element types of GGUF files, and what their blocks mean.
#include "lib/checkpoint/GgufBlocks.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/ErrorHandling.h"

#include <algorithm>
#include <cmath>

namespace pianola {
namespace {

constexpr int64_t kSmall = 32, kLarge = 256; // columns of blocks

enum : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  BF16 = 30,
  MXFP4 = 39
};

const std::vector<GgufType> &types() {
  const Scaling bytes{Code::I8, kSmall, ScaleType::F16}, halves{Code::I4, kSmall, ScaleType::F16},
      fp4{Code::F4E2M1, kSmall, ScaleType::E8M0};
  static const std::vector<GgufType> all = {
      {F32, "F32", 1, 4, DType::F32},
      {F16, "F16", 1, 2, DType::F16},
      {BF16, "BF16", 1, 2, DType::BF16},
      {Q8_0, "Q8_0", kSmall, 34, std::nullopt, bytes},
      {Q4_0, "Q4_0", kSmall, 18, std::nullopt, halves},
      {Q5_0, "Q5_0", kSmall, 22, std::nullopt, bytes},
      {MXFP4, "MXFP4", kSmall, 17, std::nullopt, fp4},
      {Q4_1, "Q4_1", kSmall, 20},
      {Q5_1, "Q5_1", kSmall, 24},
      {Q4_K, "Q4_K", kLarge, 144},
      {Q5_K, "Q5_K", kLarge, 176},
      {Q6_K, "Q6_K", kLarge, 210},
  };
  return all;
}

struct UnsupportedType {
  uint32_t id;
  const char *name;
};
constexpr UnsupportedType unsupported[] = {
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {40, "NVFP4"}};

float halfAt(const uint8_t *bytes) { return fromF16(llvm::support::endian::read16le(bytes)); }

// Of 32 columns, the low halves of sixteen bytes and then the high ones.
uint8_t nibble(const uint8_t *bytes, int64_t column) {
  return column < 16 ? bytes[column] & 15 : bytes[column - 16] >> 4;
}

// With a fifth bit, that of each column in `high`.
uint8_t fiveBits(const uint8_t *bytes, uint32_t high, int64_t column) {
  return uint8_t(nibble(bytes, column) | (high >> column & 1) << 4);
}

// Twelve bytes are eight scales and eight minima of six bits. The low six bits of the first eight
// bytes are the first four of each; the others have their low halves in the last four bytes, and
// their upper two bits where the first eight bytes have room left.
struct SixBits {
  int scale, least;

  SixBits(const uint8_t *packed, int64_t group) {
    if (group < 4) {
      scale = packed[group] & 63;
      least = packed[group + 4] & 63;
    } else {
      scale = (packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4;
      least = packed[group + 4] >> 4 | (packed[group] >> 6) << 4;
    }
  }
};

// Groups of 32 columns take turns: low halves of 32 bytes, then the high halves of the same.
void decodeK(const uint8_t *block, bool hasFifth, float *out) {
  float d = halfAt(block), m = halfAt(block + 2);
  const uint8_t *packed = block + 4, *fifth = block + 16, *halves = block + (hasFifth ? 48 : 16);
  for (int64_t group = 0; group < kLarge / 32; ++group) {
    SixBits six(packed, group);
    float scale = d * float(six.scale), least = m * float(six.least);
    for (int64_t i = 0; i < 32; ++i) {
      uint8_t pair = halves[group / 2 * 32 + i];
      int n = group % 2 ? pair >> 4 : pair & 15;
      if (hasFifth)
        n |= (fifth[i] >> group & 1) << 4;
      out[group * 32 + i] = scale * float(n) - least;
    }
  }
}

// 128 columns at a time: four runs of 32, two in low and two in high halves of 64 bytes, with two
// bits more each, all four in one byte.
void decodeQ6K(const uint8_t *block, float *out) {
  const uint8_t *low = block, *high = block + 128;
  const auto *scales = reinterpret_cast<const int8_t *>(block + 192);
  float d = halfAt(block + 208);
  for (int64_t column = 0; column < kLarge; ++column) {
    int64_t half = column / 128, run = column % 128 / 32, i = column % 32;
    uint8_t pair = low[half * 64 + run % 2 * 32 + i];
    int n = (run < 2 ? pair & 15 : pair >> 4) | (high[half * 32 + i] >> (2 * run) & 3) << 4;
    out[column] = d * float(scales[column / 16]) * float(n - 32);
  }
}

bool areFinite(const float *values, int64_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

} // namespace

const GgufType *ggufType(uint32_t id) {
  for (const GgufType &type : types())
    if (type.id == id)
      return &type;
  return nullptr;
}

std::string ggufTypeName(uint32_t id) {
  if (const GgufType *type = ggufType(id))
    return type->name.str();
  for (const UnsupportedType &type : unsupported)
    if (type.id == id)
      return type.name;
  return "type " + std::to_string(id);
}

std::string ggufTypeNames() {
  std::vector<std::string> names;
  for (const GgufType &type : types())
    names.push_back(type.name.str());
  return llvm::join(names, ", ");
}

bool readBlock(const GgufType &type, const uint8_t *block, uint8_t *codes, float &scale) {
  switch (type.id) {
  case Q8_0:
    scale = halfAt(block);
    for (int64_t i = 0; i < kSmall; ++i)
      codes[i] = block[2 + i] ^ 0x80; // our zero is 128
    break;
  case Q4_0:
    scale = halfAt(block);
    for (int64_t i = 0; i < kSmall; ++i)
      codes[i] = nibble(block + 2, i);
    break;
  case Q5_0: {
    scale = halfAt(block);
    uint32_t high = llvm::support::endian::read32le(block + 2);
    for (int64_t i = 0; i < kSmall; ++i)
      codes[i] = uint8_t(fiveBits(block + 6, high, i) + 128 - 16);
    break;
  }
  case MXFP4:
    scale = fromE8M0(block[0]);
    for (int64_t i = 0; i < kSmall; ++i)
      codes[i] = nibble(block + 1, i);
    break;
  default:
    llvm_unreachable("a type without codes");
  }
  return std::isfinite(scale);
}

bool decodeBlock(const GgufType &type, const uint8_t *block, float *out) {
  switch (type.id) {
  case Q4_1:
  case Q5_1: {
    float d = halfAt(block), m = halfAt(block + 2);
    uint32_t high = type.id == Q5_1 ? llvm::support::endian::read32le(block + 4) : 0;
    for (int64_t i = 0; i < kSmall; ++i)
      out[i] = d * float(fiveBits(block + type.bytes - 16, high, i)) + m;
    break;
  }
  case Q4_K:
  case Q5_K:
    decodeK(block, type.id == Q5_K, out);
    break;
  case Q6_K:
    decodeQ6K(block, out);
    break;
  default: {
    EncodedRows row{1, kSmall, 1, std::vector<uint8_t>(kSmall), {0}, {}};
    if (!readBlock(type, block, row.codes.data(), row.scales[0]))
      return false;
    decodeRow(*type.exact, row, 0, {out, size_t(kSmall)});
  }
  }
  return areFinite(out, type.columns);
}

} // namespace pianola
