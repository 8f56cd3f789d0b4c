// Memory.cpp - what is read and written, and where: buffers, the embedding table, the context.
#include "lib/checkpoint/Encoding.h"
#include "test/targets/host/PlayedStage.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>

namespace pianola::test {
namespace {

class Memory : public ::testing::TestWithParam<std::string> {};

// Rounding to bf16 on the way out, and reading it back through an addition.
TEST_P(Memory, Bf16Buffers) {
  std::vector<float> x = randomNumbers(62, 9);
  for (uint32_t bits : {0x3f808000u, 0x3f818000u, 0x3f808001u, 0x7f7fffffu}) { // ties; overflow
    float value;
    std::memcpy(&value, &bits, 4);
    x.push_back(value);
  }
  x.insert(x.end(), {-0.0f, INFINITY, NAN, 1e-10f});
  x.resize(80, 3.0f);
  std::string f = buffer(1, 80), h = buffer(1, 80, "bf16");
  PlayedStage played(oneTile("%x: " + f + ", %h: " + h + ", %y: " + f,
                             "%0 = tile.load %x : " + f + " -> tensor<1x80xf32>\n" +
                                 "tile.store %0, %h : tensor<1x80xf32>, " + h + "\n" +
                                 "%1 = tile.load %h : " + h + " -> tensor<1x80xbf16>\n" +
                                 "%2 = tile.add %1, %1 : tensor<1x80xbf16>\n" +
                                 "tile.store %2, %y : tensor<1x80xbf16>, " + f + "\n"),
                     GetParam());
  AlignedBytes from(x), half(std::vector<uint16_t>(80)), to(x);
  for (AlignedBytes *bytes : {&from, &half, &to})
    played.bind(bytes->data());
  played.call.slots = 1;
  played.run("0", 0, 1);
  for (size_t i = 0; i < x.size(); ++i) {
    uint16_t stored = reinterpret_cast<uint16_t *>(half.data())[i];
    float sum = reinterpret_cast<float *>(to.data())[i];
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(fromBf16(stored)));
      ASSERT_TRUE(std::isnan(sum));
      continue;
    }
    ASSERT_EQ(stored, toBf16(x[i])) << x[i];
    ASSERT_EQ(sum, 2 * fromBf16(stored)) << x[i];
  }
}

TEST_P(Memory, Gather) {
  struct Case {
    int64_t tileRows;
    const char *element;
  };
  constexpr int64_t kRows = 150, kColumns = 41, kPad = 48, kSlots = 16, kValid = 9;
  for (Case c : {Case{0, "bf16"},
                 {0, "f16"},
                 {0, "f32"},
                 {16, "bf16"},
                 {32, "f16"},
                 {64, "f32"},
                 {24, "bf16"},
                 {48, "bf16"},
                 {80, "f32"}}) {
    SCOPED_TRACE(::testing::Message() << c.element << " in tiles of " << c.tileRows);
    std::vector<float> weights = randomNumbers(kRows * kPad, 11, /*exact=*/true);
    std::string b = buffer(kSlots, kPad), t = tensor(kSlots, kPad);
    std::string table = llvm::formatv("!tile.table<rows = {0}, columns = {1}, column_pad = {2}, "
                                      "tile_rows = {3}, element = {4}>",
                                      kRows, kColumns, kPad, c.tileRows, c.element);
    PlayedStage played(oneTile("%e: " + table + ", %y: " + b,
                               "%0 = tile.gather %e scale = 1.5 : " + table + " -> " + t +
                                   "\ntile.store %0, %y : " + t + ", " + b + "\n"),
                       GetParam());
    std::vector<std::unique_ptr<AlignedBytes>> tiles;
    std::vector<void *> addresses;
    if (c.tileRows == 0) {
      // Row-major: a group of one row, so to say.
      int64_t bytes = std::string(c.element) == "f32" ? 4 : 2;
      std::vector<uint8_t> rows;
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t k = 0; k < kPad; ++k) {
          float value = weights[r * kPad + k];
          uint16_t half = toBf16(value);
          if (std::string(c.element) == "f16") {
            auto f16 = static_cast<_Float16>(value);
            std::memcpy(&half, &f16, 2);
          }
          auto *raw =
              bytes == 4 ? reinterpret_cast<uint8_t *>(&value) : reinterpret_cast<uint8_t *>(&half);
          rows.insert(rows.end(), raw, raw + bytes);
        }
      tiles.push_back(std::make_unique<AlignedBytes>(rows));
      played.bind(tiles[0]->data());
    } else {
      int64_t pad = (c.tileRows + 15) / 16 * 16;
      for (int64_t first = 0; first < kRows; first += c.tileRows) {
        std::vector<float> tile(pad * kPad);
        for (int64_t r = 0; r < std::min(c.tileRows, kRows - first); ++r)
          std::copy_n(&weights[(first + r) * kPad], kPad, &tile[r * kPad]);
        tiles.push_back(std::make_unique<AlignedBytes>(packTile(tile, pad, kPad, c.element)));
        addresses.push_back(tiles.back()->data());
      }
      played.bind(addresses.data());
    }
    AlignedBytes to(std::vector<float>(kSlots * kPad, -77.0f));
    played.bind(to.data());
    std::vector<int32_t> tokens = {0, 149, 31, 32, 47, 48, 79, 80, 23};
    played.call.tokens = tokens.data();
    played.call.slots = kValid;
    played.run("0", 0, 1);
    const auto *y = reinterpret_cast<const float *>(to.data());
    for (int64_t s = 0; s < kSlots; ++s)
      for (int64_t k = 0; k < kPad; ++k)
        ASSERT_EQ(y[s * kPad + k], s < kValid ? weights[tokens[s] * kPad + k] * 1.5f : -77.0f)
            << "slot " << s << " column " << k;
  }
}

constexpr int64_t kHeads = 2, kSize = 48, kSlots = 64, kCapacity = 192;

// What a buffer has goes to a context as keys, and twice of it as values.
std::string appendStage(const std::string &element) {
  std::string b = buffer(kSlots, kHeads * kSize), t = tensor(kSlots, kSize);
  std::string c = llvm::formatv("!tile.context<{0} x {1} x {2}>", kHeads, kSize, element);
  std::string load = llvm::formatv("tile.load %x columns affine_map<(h) -> (h * {0})> : ", kSize);
  std::string append = " head affine_map<(h) -> (h)> : " + t + ", " + c + "\n";
  return "tile.stage @s(%x: " + b + ", %c: " + c + ") {\ntile.section grid = [2] {\n" +
         "^bb0(%h: index):\n%0 = " + load + b + " -> " + t + "\ntile.append %0, %c key" + append +
         "%1 = tile.add %0, %0 : " + t + "\ntile.append %1, %c value" + append + "}\n}\n";
}

TEST_P(Memory, Append) {
  for (const char *element : {"f32", "bf16"})
    for (auto [position, valid] : {std::pair{0, 1}, {13, 5}, {63, 64}, {100, 31}}) {
      SCOPED_TRACE(::testing::Message() << element << " from " << position << ", " << valid);
      bool isPair = std::string(element) == "bf16";
      int64_t bytes = isPair ? 2 : 4, half = kHeads * kCapacity * kSize;
      PlayedStage played(appendStage(element), GetParam());
      std::vector<float> x = randomNumbers(kSlots * kHeads * kSize, 12);
      AlignedBytes from(x);
      std::vector<uint8_t> blank(2 * half * bytes, 0x11), want = blank;
      AlignedBytes context(blank);
      played.bind(from.data());
      played.bind(context.data());
      played.placeSlots(position, valid);
      played.call.capacity = kCapacity;
      played.run("0", 0, kHeads);
      auto put = [&](int64_t at, float value) {
        uint16_t rounded = toBf16(value);
        std::memcpy(&want[at * bytes], isPair ? static_cast<void *>(&rounded) : &value, bytes);
      };
      for (int64_t s = 0; s < valid; ++s)
        for (int64_t h = 0; h < kHeads; ++h)
          for (int64_t d = 0; d < kSize; ++d) {
            int64_t p = position + s, head = h * kCapacity * kSize;
            float value = x[(s * kHeads + h) * kSize + d];
            put(head + (isPair ? ((p / 16) * kSize / 2 + d / 2) * 32 + (p % 16) * 2 + d % 2
                               : ((p / 16) * kSize + d) * 16 + p % 16),
                value);
            put(half + head + (isPair ? ((p / 2) * kSize + d) * 2 + p % 2 : p * kSize + d),
                2 * value);
            // The second position of a pair is blank until it is appended.
            if (isPair && p % 2 == 0)
              put(half + head + ((p / 2) * kSize + d) * 2 + 1, 0);
          }
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_EQ(context.data()[i], want[i]) << "byte " << i << " of " << want.size();
    }
}

// Each sequence's context becomes what it would if its slots came one by one.
TEST_P(Memory, AppendToSeveralSequences) {
  struct Slot {
    uint32_t sequence;
    uint64_t position;
  };
  const std::vector<Slot> slots = {{2, 12}, {0, 12}, {2, 13}, {0, 191}, {2, 14}, {1, 0}, {0, 13}};
  constexpr size_t kSequences = 3;
  for (const char *element : {"f32", "bf16", "i8", "f8E4M3FN"}) {
    SCOPED_TRACE(element);
    PlayedStage played(appendStage(element), GetParam());
    std::vector<float> x = randomNumbers(kSlots * kHeads * kSize, 12);
    AlignedBytes from(x);
    bool isCode = element[1] == '8';
    int64_t bytes = 2 * kHeads * kCapacity *
                    (isCode ? kSize + 4 : kSize * (std::string(element) == "f32" ? 4 : 2));
    std::vector<uint8_t> blank(bytes, 0x11);
    std::vector<std::unique_ptr<AlignedBytes>> wanted;
    for (size_t q = 0; q < kSequences; ++q)
      wanted.push_back(std::make_unique<AlignedBytes>(blank));
    played.call.capacity = kCapacity;
    auto run = [&](const uint8_t *rows, uint8_t *context) {
      played.unbind();
      played.bind(const_cast<uint8_t *>(rows));
      played.bind(context);
      played.run("0", 0, kHeads);
    };
    std::vector<uint64_t> positions;
    std::vector<uint32_t> sequences;
    for (auto [sequence, position] : slots) {
      AlignedBytes row(&x[positions.size() * kHeads * kSize], kHeads * kSize * sizeof(float));
      played.placeSlots(position, 1);
      run(row.data(), wanted[sequence]->data());
      positions.push_back(position);
      sequences.push_back(sequence);
    }
    AlignedBytes contexts(std::vector<uint8_t>(kSequences * bytes, 0x11));
    played.placeSlots(positions, sequences);
    run(from.data(), contexts.data());
    for (size_t q = 0; q < kSequences; ++q)
      EXPECT_EQ(std::memcmp(contexts.data() + q * bytes, wanted[q]->data(), bytes), 0)
          << "sequence " << q;
  }
}

float codeOf(const std::string &element, uint8_t code) {
  return element == "i8" ? static_cast<int8_t>(code) : fromF8E4M3(code);
}

// A scale beside the codes of each position's head; each code as near as it can be; nothing else
// touched.
TEST_P(Memory, AppendCodes) {
  constexpr int64_t kPosition = kSize + 4, kGroup = 16 * kPosition, kHalf = kCapacity * kPosition;
  for (std::string element : {"i8", "f8E4M3FN"})
    for (auto [position, valid] : {std::pair{0, 1}, {13, 5}, {63, 64}, {100, 31}}) {
      SCOPED_TRACE(::testing::Message() << element << " from " << position << ", " << valid);
      PlayedStage played(appendStage(element), GetParam());
      std::vector<float> x = randomNumbers(kSlots * kHeads * kSize, 12);
      std::fill_n(x.begin(), kSize, 0.0f); // slot 0's first head: a scale of 0
      for (int64_t d = 0; d < kSize; ++d)
        x[kSize + d] *= 1e-32f; // and the second's: numbers too small for one
      AlignedBytes from(x);
      std::vector<uint8_t> blank(2 * kHeads * kHalf, 0x11);
      AlignedBytes context(blank);
      played.bind(from.data());
      played.bind(context.data());
      played.placeSlots(position, valid);
      played.call.capacity = kCapacity;
      played.run("0", 0, kHeads);
      std::vector<bool> touched(blank.size());
      float greatestCode = element == "i8" ? 127 : 448;
      for (int64_t part = 0; part < 2; ++part)
        for (int64_t h = 0; h < kHeads; ++h)
          for (int64_t s = 0; s < valid; ++s) {
            const float *row = &x[(s * kHeads + h) * kSize];
            int64_t p = position + s;
            int64_t group = (part * kHeads + h) * kHalf + p / 16 * kGroup,
                    scaleAt = group + p % 16 * 4;
            float most = 0, scale;
            for (int64_t d = 0; d < kSize; ++d)
              most = std::max(most, std::fabs(row[d] * (1 + part)));
            std::memcpy(&scale, context.data() + scaleAt, 4);
            ASSERT_EQ(scale, most / greatestCode);
            std::fill_n(touched.begin() + scaleAt, 4, true);
            for (int64_t d = 0; d < kSize; ++d) {
              int64_t at = group + 64 + (part ? p % 16 * kSize + d : d * 16 + p % 16);
              touched[at] = true;
              float value = row[d] * (1 + part), got = scale * codeOf(element, context.data()[at]);
              float error =
                  element == "i8" ? most / 254 : std::max(std::fabs(value) / 16, most / (1 << 18));
              ASSERT_LE(std::fabs(got - value), std::max(error * 1.0001f, 1e-30f))
                  << "part " << part << " head " << h << " slot " << s << " lane " << d;
            }
          }
      for (size_t i = 0; i < blank.size(); ++i)
        if (!touched[i])
          ASSERT_EQ(context.data()[i], 0x11) << "byte " << i;
    }
}

// Tiles whose slots begin beyond the valid ones do nothing.
TEST_P(Memory, BlocksOfSlots) {
  constexpr int64_t kSlots = 64, kColumns = 48;
  std::string b = buffer(kSlots, kColumns), t = tensor(16, kColumns);
  PlayedStage played(
      "tile.stage @s(%x: " + b + ", %y: " + b + ") {\ntile.section grid = [4] {\n" +
          "^bb0(%t: index):\n%0 = tile.load %x slots affine_map<(t) -> (t * 16)> : " + b + " -> " +
          t + "\n%1 = tile.add %0, %0 : " + t +
          "\ntile.store %1, %y slots affine_map<(t) -> (t * 16)> : " + t + ", " + b + "\n}\n}\n",
      GetParam());
  std::vector<float> x = randomNumbers(kSlots * kColumns, 15);
  for (int64_t valid : {1, 16, 37, 64}) {
    AlignedBytes from(x), to(std::vector<float>(x.size(), -77.0f));
    played.unbind();
    played.bind(from.data());
    played.bind(to.data());
    played.call.slots = valid;
    played.run("0", 0, 4);
    for (int64_t i = 0; i < kSlots * kColumns; ++i)
      ASSERT_EQ(reinterpret_cast<float *>(to.data())[i], i / kColumns < valid ? 2 * x[i] : -77.0f)
          << valid << " valid, element " << i;
  }
}

// A prologue may look at a part of a buffer; and what was loaded stays what it was when the tile
// writes over it.
TEST_P(Memory, ViewsAndCopies) {
  constexpr int64_t kSlots = 2, kColumns = 64;
  std::string b = buffer(kSlots, kColumns), t = tensor(kSlots, 16);
  PlayedStage played("tile.stage @s(%x: " + b + ", %y: " + b + ") {\n%p = tile.prologue {\n" +
                         "%0 = tile.load %x columns affine_map<() -> (32)> : " + b + " -> " + t +
                         "\ntile.yield %0 : " + t + "\n} : " + t +
                         "\ntile.section grid = [1] {\n^bb0(%t: index):\n%0 = tile.load %y : " + b +
                         " -> " + t + "\n%1 = tile.add %0, %p : " + t +
                         "\ntile.store %1, %y : " + t + ", " + b + "\n%2 = tile.add %0, %0 : " + t +
                         "\ntile.store %2, %y columns affine_map<(t) -> (t + 16)> : " + t + ", " +
                         b + "\n}\n}\n",
                     GetParam());
  std::vector<float> x = randomNumbers(kSlots * kColumns, 16), y = randomNumbers(x.size(), 17);
  AlignedBytes from(x), to(y);
  played.bind(from.data());
  played.bind(to.data());
  played.call.slots = kSlots;
  played.run("prologue", 0, 1);
  played.run("0", 0, 1);
  const auto *got = reinterpret_cast<const float *>(to.data());
  for (int64_t s = 0; s < kSlots; ++s)
    for (int64_t i = 0; i < kColumns; ++i) {
      const float *in = &y[s * kColumns];
      float want = i < 16 ? in[i] + x[s * kColumns + 32 + i] : i < 32 ? 2 * in[i - 16] : in[i];
      ASSERT_EQ(got[s * kColumns + i], want) << "slot " << s << " column " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Host, Memory, ::testing::ValuesIn(runnableTargets()),
                         [](const auto &info) { return nameOf(info.param); });

} // namespace
} // namespace pianola::test
