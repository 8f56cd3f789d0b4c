// Ops.cpp - every op but contract and attend, against its definition in double precision.
#include "test/targets/host/PlayedStage.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>

namespace pianola::test {
namespace {

std::string buffer(int64_t slots, int64_t columns, const char *element = "f32") {
  return llvm::formatv("!tile.buffer<{0} x {1} x {2}>", slots, columns, element);
}
std::string tensor(int64_t slots, int64_t columns, const char *element = "f32") {
  return llvm::formatv("tensor<{0}x{1}x{2}>", slots, columns, element);
}
// A stage with one tile.
std::string stage(const std::string &arguments, const std::string &body) {
  return "tile.stage @s(" + arguments + ") {\ntile.section grid = [1] {\n^bb0(%t: index):\n" +
         body + "}\n}\n";
}

class Ops : public ::testing::TestWithParam<std::string> {
protected:
  // y = op(x) for an op text that uses %0 and makes %1; of the valid slots.
  std::vector<float> apply(const std::vector<float> &x, int64_t slots, int64_t columns,
                           const std::string &op, const std::string &weight = "",
                           const std::vector<float> &resident = {}, void *bound = nullptr,
                           int64_t position = 0) {
    std::string b = buffer(slots, columns), t = tensor(slots, columns);
    PlayedStage played(stage("%x: " + b + (weight.empty() ? "" : ", %w: " + weight) + ", %y: " + b,
                             "%0 = tile.load %x : " + b + " -> " + t + "\n%1 = " + op +
                                 "\ntile.store %1, %y : " + t + ", " + b + "\n"),
                       GetParam());
    AlignedBytes from(x), weights(resident), to(std::vector<float>(x.size(), -77.0f));
    played.bind(from.data());
    if (bound)
      played.bind(bound);
    played.bind(to.data());
    played.call.slots = slots;
    played.call.position = position;
    played.call.resident = weights.data();
    played.run("0", 0, 1);
    const auto *y = reinterpret_cast<const float *>(to.data());
    return {y, y + x.size()};
  }
};

TEST_P(Ops, Activations) {
  // gate: all magnitudes, either sign; up: 1, so that the result is the activation.
  std::vector<float> gate;
  for (int i = 0; i < 240; ++i)
    gate.push_back((i % 2 ? -1 : 1) * std::exp2((i / 2 - 80) / 10.0f));
  for (float x : {0.0f, -0.0f, 1e-30f, -1e-30f, 60.0f, -60.0f, 300.0f, -300.0f, 1e9f, -1e9f})
    gate.push_back(x);
  gate.resize(256, 0.5f);
  auto exact = [](const std::string &name, double x) {
    if (name == "silu")
      return x / (1 + std::exp(-x));
    if (name == "gelu")
      return x / 2 * std::erfc(-x / std::sqrt(2.0));
    double y = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); // x/2 (1 + tanh y)
    return x / (1 + std::exp(-2 * y));
  };
  for (const char *name : {"silu", "gelu_tanh", "gelu"}) {
    std::string b = buffer(1, 256), t = tensor(1, 256);
    PlayedStage played(stage("%g: " + b + ", %u: " + b + ", %y: " + b,
                             "%0 = tile.load %g : " + b + " -> " + t + "\n%1 = tile.load %u : " +
                                 b + " -> " + t + "\n%2 = tile.activate %0, %1 " + name + " : " +
                                 t + "\ntile.store %2, %y : " + t + ", " + b + "\n"),
                       GetParam());
    AlignedBytes g(gate), u(std::vector<float>(256, 1.0f)), y(gate);
    for (AlignedBytes *bytes : {&g, &u, &y})
      played.bind(bytes->data());
    played.call.slots = 1;
    played.run("0", 0, 1);
    for (size_t i = 0; i < gate.size(); ++i) {
      double want = exact(name, gate[i]), got = reinterpret_cast<float *>(y.data())[i];
      // Far out the argument of the exponential is itself rounded: 2^-24 of it, times 1 + x^2 / 2.
      double x = gate[i], slope = std::min(x * x, 180.0);
      // The exponential of more than 88 is that of 88, so that silu ends 1e-38 from zero.
      double least = std::fabs(x) * 1e-38;
      ASSERT_NEAR(got, want, std::fabs(want) * (1e-6 + 1e-7 * slope) + least)
          << name << " of " << gate[i];
    }
  }
}

TEST_P(Ops, NormaliseGroups) {
  struct Case {
    int64_t groups, size, pad;
  };
  for (Case c : {Case{1, 57, 64}, {1, 2048, 2048}, {3, 24, 32}, {2, 128, 128}}) {
    int64_t columns = c.groups * c.pad, slots = 3;
    std::vector<float> x = randomNumbers(slots * columns, 5), weight = randomNumbers(c.pad, 6);
    for (int64_t i = 0; i < slots * columns; ++i)
      if (i % c.pad >= c.size)
        x[i] = 0;
    for (int64_t i = c.size; i < c.pad; ++i)
      weight[i] = 0;
    std::string vector = llvm::formatv(
        "!tile.vector<blocks = 1, size = {0}, pad = {1}, per_tile = false>", c.size, c.pad);
    std::vector<float> y =
        apply(x, slots, columns,
              llvm::formatv("tile.normalise %0, %w groups = {0} size = {1} eps = 1.0e-5 : {2}, {3} "
                            "-> {2}",
                            c.groups, c.size, tensor(slots, columns), vector),
              vector, weight);
    for (int64_t row = 0; row < slots * c.groups; ++row) {
      double squares = 0;
      for (int64_t i = 0; i < c.pad; ++i)
        squares += double(x[row * c.pad + i]) * x[row * c.pad + i];
      double factor = 1 / std::sqrt(squares / c.size + 1e-5);
      for (int64_t i = 0; i < c.pad; ++i)
        ASSERT_NEAR(y[row * c.pad + i], x[row * c.pad + i] * factor * weight[i], 2e-6)
            << c.groups << " groups of " << c.size << ", row " << row << " lane " << i;
    }
  }
}

TEST_P(Ops, RotateHalves) {
  struct Case {
    int64_t groups, columns, pairs;
  };
  for (Case c : {Case{1, 32, 12}, {2, 64, 32}, {3, 48, 20}, {2, 32, 4}, {1, 128, 64}}) {
    int64_t slots = 3, position = 5, width = c.groups * c.columns;
    std::vector<float> x = randomNumbers(slots * width, 7);
    std::vector<float> table = randomNumbers((position + slots) * 2 * c.pairs, 8);
    AlignedBytes bound(table);
    std::vector<float> y =
        apply(x, slots, width,
              llvm::formatv("tile.rotate %0, %w groups = {0} : {1}, !tile.rotation<{2}>", c.groups,
                            tensor(slots, width), c.pairs),
              llvm::formatv("!tile.rotation<{0}>", c.pairs), {}, bound.data(), position);
    for (int64_t s = 0; s < slots; ++s)
      for (int64_t g = 0; g < c.groups; ++g)
        for (int64_t i = 0; i < c.columns; ++i) {
          const float *in = &x[s * width + g * c.columns];
          const float *cosines = &table[(position + s) * 2 * c.pairs], *sines = cosines + c.pairs;
          double want = in[i];
          if (i < c.pairs)
            want = double(in[i]) * cosines[i] - double(in[i + c.pairs]) * sines[i];
          else if (i < 2 * c.pairs)
            want =
                double(in[i]) * cosines[i - c.pairs] + double(in[i - c.pairs]) * sines[i - c.pairs];
          ASSERT_NEAR(y[s * width + g * c.columns + i], want, 3e-7)
              << c.pairs << " pairs, slot " << s << " group " << g << " lane " << i;
        }
  }
}

// Rounding to bf16 on the way out, and reading it back through an addition.
TEST_P(Ops, Bf16Buffers) {
  std::vector<float> x = randomNumbers(62, 9);
  for (uint32_t bits : {0x3f808000u, 0x3f818000u, 0x3f808001u, 0x7f7fffffu}) { // ties; overflow
    float value;
    std::memcpy(&value, &bits, 4);
    x.push_back(value);
  }
  x.insert(x.end(), {-0.0f, INFINITY, NAN, 1e-10f});
  x.resize(80, 3.0f);
  std::string f = buffer(1, 80), h = buffer(1, 80, "bf16");
  PlayedStage played(stage("%x: " + f + ", %h: " + h + ", %y: " + f,
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

TEST_P(Ops, Gather) {
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
    PlayedStage played(stage("%e: " + table + ", %y: " + b,
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

TEST_P(Ops, Append) {
  constexpr int64_t kHeads = 2, kSize = 48, kSlots = 64, kCapacity = 192;
  for (const char *element : {"f32", "bf16"})
    for (auto [position, valid] : {std::pair{0, 1}, {13, 5}, {63, 64}, {100, 31}}) {
      SCOPED_TRACE(::testing::Message() << element << " from " << position << ", " << valid);
      bool isPair = std::string(element) == "bf16";
      int64_t bytes = isPair ? 2 : 4, half = kHeads * kCapacity * kSize;
      std::string b = buffer(kSlots, kHeads * kSize), t = tensor(kSlots, kSize);
      std::string c = llvm::formatv("!tile.context<{0} x {1} x {2}>", kHeads, kSize, element);
      std::string load =
          llvm::formatv("tile.load %x columns affine_map<(h) -> (h * {0})> : ", kSize);
      PlayedStage played("tile.stage @s(%x: " + b + ", %c: " + c +
                             ") {\ntile.section grid = [2] {\n" + "^bb0(%h: index):\n%0 = " + load +
                             b + " -> " + t +
                             "\ntile.append %0, %c key head affine_map<(h) -> (h)> : " + t + ", " +
                             c + "\n%1 = tile.add %0, %0 : " + t +
                             "\ntile.append %1, %c value head affine_map<(h) -> (h)> : " + t +
                             ", " + c + "\n}\n}\n",
                         GetParam());
      std::vector<float> x = randomNumbers(kSlots * kHeads * kSize, 12);
      AlignedBytes from(x);
      std::vector<uint8_t> blank(2 * half * bytes, 0x11), want = blank;
      AlignedBytes context(blank);
      played.bind(from.data());
      played.bind(context.data());
      played.call.slots = valid;
      played.call.position = position;
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

TEST_P(Ops, Combine) {
  constexpr int64_t kHeads = 2, kSize = 32, kSlots = 2;
  for (auto parts : {std::pair{3, 2}, {9, 3}, {1, 1}}) {
    int64_t group = parts.first, splits = parts.second;
    int64_t pad = (2 * group + 15) / 16 * 16, width = kHeads * group * kSize;
    std::vector<float> partials = randomNumbers(kSlots * splits * width, 13);
    std::vector<float> statistics(kSlots * splits * kHeads * pad, 0.0f);
    std::vector<float> random = randomNumbers(statistics.size(), 14);
    for (int64_t s = 0; s < kSlots; ++s)
      for (int64_t split = 0; split < splits; ++split)
        for (int64_t query = 0; query < kHeads * group; ++query) {
          int64_t head = query / group;
          int64_t at = ((s * splits + split) * kHeads + head) * pad + 2 * (query % group);
          bool sawNone = split > 0 && query % 2 == 1;
          statistics[at] = sawNone ? -INFINITY : 20 * random[at];
          statistics[at + 1] = sawNone ? 0 : 2 + random[at + 1];
          for (int64_t d = 0; d < kSize && sawNone; ++d)
            partials[((s * splits + split) * kHeads * group + query) * kSize + d] = 0;
        }
    std::string p = buffer(kSlots, splits * width), m = buffer(kSlots, splits * kHeads * pad);
    std::string pt = tensor(kSlots, splits * width), mt = tensor(kSlots, splits * kHeads * pad);
    std::string y = buffer(kSlots, width), yt = tensor(kSlots, width);
    PlayedStage played(
        stage(
            "%p: " + p + ", %m: " + m + ", %y: " + y,
            "%0 = tile.load %p : " + p + " -> " + pt + "\n%1 = tile.load %m : " + m + " -> " + mt +
                llvm::formatv("\n%2 = tile.combine %0, %1 heads = {0} group = {1} splits = {2} : ",
                              kHeads, group, splits)
                    .str() +
                pt + ", " + mt + " -> " + yt + "\ntile.store %2, %y : " + yt + ", " + y + "\n"),
        GetParam());
    AlignedBytes a(partials), b(statistics), out(std::vector<float>(kSlots * width));
    for (AlignedBytes *bytes : {&a, &b, &out})
      played.bind(bytes->data());
    played.call.slots = kSlots;
    played.run("0", 0, 1);
    for (int64_t s = 0; s < kSlots; ++s)
      for (int64_t query = 0; query < kHeads * group; ++query)
        for (int64_t d = 0; d < kSize; ++d) {
          double most = -INFINITY, sum = 0, total = 0;
          auto statistic = [&](int64_t split, int64_t which) {
            return statistics[((s * splits + split) * kHeads + query / group) * pad +
                              2 * (query % group) + which];
          };
          for (int64_t split = 0; split < splits; ++split)
            most = std::max<double>(most, statistic(split, 0));
          for (int64_t split = 0; split < splits; ++split) {
            double weight = std::exp(statistic(split, 0) - most);
            sum += weight * statistic(split, 1);
            total += weight * partials[((s * splits + split) * kHeads * group + query) * kSize + d];
          }
          ASSERT_NEAR(reinterpret_cast<float *>(out.data())[s * width + query * kSize + d],
                      total / sum, 1e-6)
              << group << " x " << splits << " slot " << s << " query " << query << " lane " << d;
        }
  }
}

// Tiles whose slots begin beyond the valid ones do nothing.
TEST_P(Ops, BlocksOfSlots) {
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

INSTANTIATE_TEST_SUITE_P(Host, Ops, ::testing::ValuesIn(runnableTargets()), [](const auto &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

} // namespace
} // namespace pianola::test
