// Decoded.cpp - what quantised checkpoints mean: codes, scales and zero points are written as each
// format lays them out, and read back as numbers.
#include "ScratchDirectory.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/QuantisedCheckpoint.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

using namespace pianola;
using nlohmann::json;

namespace {

constexpr int64_t kRows = 16, kColumns = 128;

/// A safetensors file, tensor by tensor.
class File {
public:
  template <typename T>
  void add(const std::string &name, const char *dtype, json shape, const std::vector<T> &values) {
    size_t begin = data.size();
    data.resize(begin + values.size() * sizeof(T));
    std::memcpy(data.data() + begin, values.data(), values.size() * sizeof(T));
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string bytes() const {
    std::string all = safeTensors(header.dump(), data.size());
    std::copy(data.begin(), data.end(), all.end() - data.size());
    return all;
  }

private:
  json header;
  std::string data;
};

/// A matrix of unsigned codes below 2^bits in groups, and what it means.
struct Matrix {
  int64_t bits, group;
  std::vector<int> codes, zeros; // [row][column], [row][group]
  std::vector<float> scales;
  std::vector<int32_t> groupOf; // of a column

  Matrix(int64_t bits, int64_t group, bool isMiddle = false) : bits(bits), group(group) {
    std::mt19937 engine(unsigned(bits * 1000 + group));
    int64_t count = 1 << bits;
    codes.resize(kRows * kColumns);
    for (int &code : codes)
      code = int(engine() % count);
    for (int64_t i = 0; i < kRows * groups(); ++i) {
      zeros.push_back(isMiddle ? int(count / 2) : int(engine() % count));
      scales.push_back(float(1 + engine() % 1000) / 4096); // exact in f16
    }
    zeros[0] = isMiddle ? zeros[0] : 0; // the ends
    zeros.back() = isMiddle ? zeros.back() : int(count - 1);
    for (int64_t column = 0; column < kColumns; ++column)
      groupOf.push_back(int32_t(column / group));
  }

  int64_t groups() const { return kColumns / group; }
  int codeAt(int64_t row, int64_t column) const { return codes[row * kColumns + column]; }
  float at(int64_t row, int64_t column) const {
    int64_t i = row * groups() + groupOf[column];
    return scales[i] * float(codeAt(row, column) - zeros[i]);
  }
};

/// [a][b] numbers of a few bits as words: along a if `down`, else along b, the first in the lowest
/// bits.
std::vector<uint32_t> pack(int64_t a, int64_t b, int64_t bits, bool down,
                           const std::function<int(int64_t, int64_t)> &at) {
  int64_t per = 32 / bits, width = down ? b : b / per;
  std::vector<uint32_t> words((down ? a / per : a) * width);
  for (int64_t i = 0; i < a; ++i)
    for (int64_t j = 0; j < b; ++j) {
      int64_t word = down ? i / per * width + j : i * width + j / per;
      words[word] |= uint32_t(at(i, j)) << (down ? i : j) % per * bits;
    }
  return words;
}

std::vector<uint16_t> halves(int64_t a, int64_t b,
                             const std::function<float(int64_t, int64_t)> &at) {
  std::vector<uint16_t> bits;
  for (int64_t i = 0; i < a; ++i)
    for (int64_t j = 0; j < b; ++j)
      bits.push_back(toF16(at(i, j)));
  return bits;
}

void expect(const json &config, const File &file,
            const std::function<float(int64_t, int64_t)> &wanted) {
  SCOPED_TRACE(config.dump());
  ScratchDirectory scratch;
  std::string path = scratch.write("model.safetensors", file.bytes());
  QuantisedCheckpoint checkpoint(llvm::cantFail(Checkpoint::openFile(path)),
                                 llvm::cantFail(Quantisation::fromJson(config)));
  llvm::Expected<const TensorInfo *> tensor =
      checkpoint.require("a.weight", {kRows, kColumns}, TensorRole::Matrix);
  ASSERT_TRUE(bool(tensor)) << llvm::toString(tensor.takeError());
  ASSERT_TRUE((*tensor)->scaling);
  std::vector<float> values(kRows * kColumns);
  ASSERT_EQ(messageOf(checkpoint.readFloats(**tensor, 0, values)), "accepted");
  for (int64_t row = 0; row < kRows; ++row)
    for (int64_t column = 0; column < kColumns; ++column)
      ASSERT_EQ(values[row * kColumns + column], wanted(row, column)) << row << ", " << column;
  // From the middle of a row on.
  ASSERT_EQ(messageOf(checkpoint.readFloats(**tensor, 5 * kColumns + 7,
                                            llvm::MutableArrayRef(values.data(), 3))),
            "accepted");
  EXPECT_EQ(values[2], wanted(5, 9));
}

// All tensors stand with the matrix's rows as columns; version 1 stores zero points less one.
TEST(Decoded, Gptq) {
  for (int64_t bits : {4, 8})
    for (const char *version : {"gptq", "gptq_v2"})
      for (int64_t group : {32, 128})
        for (bool isOrdered : {false, true}) {
          Matrix m(bits, group);
          if (isOrdered) // a column's group, in turns
            for (int64_t column = 0; column < kColumns; ++column)
              m.groupOf[column] = int32_t((column * 5 + 1) % m.groups());
          File file;
          file.add("a.qweight", "I32", {kColumns * bits / 32, kRows},
                   pack(kColumns, kRows, bits, true,
                        [&](int64_t column, int64_t row) { return m.codeAt(row, column); }));
          int less = version == std::string("gptq");
          file.add("a.qzeros", "I32", {m.groups(), kRows * bits / 32},
                   pack(m.groups(), kRows, bits, false, [&](int64_t g, int64_t row) {
                     return (m.zeros[row * m.groups() + g] - less) & ((1 << bits) - 1);
                   }));
          file.add("a.scales", "F16", {m.groups(), kRows},
                   halves(m.groups(), kRows,
                          [&](int64_t g, int64_t row) { return m.scales[row * m.groups() + g]; }));
          file.add("a.g_idx", "I32", {kColumns}, m.groupOf);
          expect({{"quant_method", "gptq"},
                  {"bits", bits},
                  {"group_size", group},
                  {"checkpoint_format", version}},
                 file, [&](int64_t row, int64_t column) { return m.at(row, column); });
        }
}

// Packed along columns; zero points, which are packed along rows, of groups or whole rows.
TEST(Decoded, CompressedTensorsPacked) {
  for (int64_t bits : {4, 8})
    for (int64_t group : {int64_t(32), kColumns})
      for (bool hasZeros : {false, true}) {
        Matrix m(bits, group, !hasZeros);
        File file;
        file.add("a.weight_packed", "I32", {kRows, kColumns * bits / 32},
                 pack(kRows, kColumns, bits, false,
                      [&](int64_t row, int64_t column) { return m.codeAt(row, column); }));
        file.add("a.weight_scale", "F16", {kRows, m.groups()},
                 halves(kRows, m.groups(),
                        [&](int64_t row, int64_t g) { return m.scales[row * m.groups() + g]; }));
        file.add("a.weight_shape", "I64", {2}, std::vector<int64_t>{kRows, kColumns});
        if (hasZeros)
          file.add("a.weight_zero_point", "I32", {kRows * bits / 32, m.groups()},
                   pack(kRows, m.groups(), bits, true,
                        [&](int64_t row, int64_t g) { return m.zeros[row * m.groups() + g]; }));
        json weights = {{"num_bits", bits}, {"type", "int"}, {"symmetric", !hasZeros}};
        weights["strategy"] = group == kColumns ? "channel" : "group";
        if (group != kColumns)
          weights["group_size"] = group;
        expect({{"quant_method", "compressed-tensors"},
                {"format", "pack-quantized"},
                {"config_groups", {{"group_0", {{"weights", weights}}}}}},
               file, [&](int64_t row, int64_t column) { return m.at(row, column); });
      }
}

json codesOf(const char *format, const char *type, const char *strategy) {
  json weights = {{"num_bits", 8}, {"type", type}, {"strategy", strategy}};
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"config_groups", {{"group_0", {{"weights", weights}}}}}};
}

// Signed bytes, with a signed zero point a row.
TEST(Decoded, CompressedTensorsIntegers) {
  for (bool hasZeros : {false, true}) {
    Matrix m(8, kColumns, !hasZeros);
    std::vector<int8_t> codes, zeros;
    for (int code : m.codes)
      codes.push_back(int8_t(code - 128));
    for (int zero : m.zeros)
      zeros.push_back(int8_t(zero - 128));
    File file;
    file.add("a.weight", "I8", {kRows, kColumns}, codes);
    file.add("a.weight_scale", "F32", {kRows, 1}, m.scales);
    if (hasZeros)
      file.add("a.weight_zero_point", "I8", {kRows, 1}, zeros);
    expect(codesOf("int-quantized", "int", "channel"), file,
           [&](int64_t row, int64_t column) { return m.at(row, column); });
  }
}

// Every number of e4m3, in scales of the tensor, of rows and of blocks; the numbers are written
// down here once more, as sign, exponent and mantissa.
TEST(Decoded, Floats) {
  std::vector<uint8_t> codes;
  for (int64_t i = 0; i < kRows * kColumns; ++i)
    codes.push_back(i % 128 == 127 ? 0 : uint8_t(i));
  auto number = [&](int64_t row, int64_t column) {
    uint8_t code = codes[row * kColumns + column];
    int exponent = code >> 3 & 15, mantissa = code & 7;
    float size =
        exponent ? std::ldexp(1 + mantissa / 8.0f, exponent - 7) : std::ldexp(mantissa / 8.0f, -6);
    return code & 0x80 ? -size : size;
  };
  std::vector<float> scales;
  for (int64_t i = 0; i < kRows; ++i)
    scales.push_back(0.37f + 0.11f * i);
  struct Kind {
    json config, shape;
    const char *part;
    std::function<int64_t(int64_t, int64_t)> scale;
  };
  const Kind kinds[] = {{codesOf("float-quantized", "float", "tensor"),
                         {1},
                         "weight_scale",
                         [](int64_t, int64_t) { return 0; }},
                        {codesOf("float-quantized", "float", "channel"),
                         {kRows, 1},
                         "weight_scale",
                         [](int64_t row, int64_t) { return row; }},
                        {codesOf("naive-quantized", "float", "channel"),
                         {kRows, 1},
                         "weight_scale",
                         [](int64_t row, int64_t) { return row; }},
                        {{{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {8, 32}}},
                         {2, 4},
                         "weight_scale_inv",
                         [](int64_t row, int64_t column) { return row / 8 * 4 + column / 32; }}};
  for (const Kind &kind : kinds) {
    File file;
    file.add("a.weight", "F8_E4M3", {kRows, kColumns}, codes);
    size_t count = 1;
    for (const json &size : kind.shape)
      count *= size.get<size_t>();
    file.add(std::string("a.") + kind.part, "F32", kind.shape,
             std::vector<float>(scales.begin(), scales.begin() + count));
    expect(kind.config, file, [&](int64_t row, int64_t column) {
      return scales[kind.scale(row, column)] * number(row, column);
    });
  }
}

// Two numbers a byte, the first in the lower half; a scale of 32 is a power of two.
TEST(Decoded, CompressedTensorsMxfp4) {
  constexpr float kNumbers[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  std::mt19937 engine(11);
  std::vector<uint8_t> bytes(kRows * kColumns / 2), scales(kRows * kColumns / 32);
  for (uint8_t &byte : bytes)
    byte = uint8_t(engine());
  for (uint8_t &scale : scales)
    scale = uint8_t(100 + engine() % 50);
  File file;
  file.add("a.weight_packed", "U8", {kRows, kColumns / 2}, bytes);
  file.add("a.weight_scale", "U8", {kRows, kColumns / 32}, scales);
  json weights = {{"num_bits", 4}, {"type", "float"}, {"strategy", "group"}, {"group_size", 32}};
  expect({{"quant_method", "compressed-tensors"},
          {"format", "mxfp4-pack-quantized"},
          {"config_groups", {{"group_0", {{"weights", weights}}}}}},
         file, [&](int64_t row, int64_t column) {
           int64_t i = row * kColumns + column;
           int code = bytes[i / 2] >> i % 2 * 4 & 15;
           float scale = std::ldexp(1.0f, scales[i / 32] - 127);
           return scale * (code & 8 ? -kNumbers[code & 7] : kNumbers[code & 7]);
         });
}

} // namespace
