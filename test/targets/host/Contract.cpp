// Contract.cpp - inner products of generated code against sums in double precision.
#include "test/targets/host/PlayedStage.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>

namespace pianola::test {
namespace {

struct Shape {
  int64_t rows, rowPad, blocks, columns, columnPad;
  const char *element;
  int64_t slots, valid, firstOutput;

  int64_t depth() const { return blocks * columnPad; }
};

std::ostream &operator<<(std::ostream &out, const Shape &s) {
  return out << s.rows << " of " << s.rowPad << " rows, " << s.blocks << " x " << s.columns
             << " of " << s.columnPad << " columns, " << s.element << ", " << s.firstOutput
             << " to " << s.valid << " of " << s.slots << " slots";
}

constexpr int64_t kTiles = 3;

// The stage: y = w x + b, tile by tile; x is loaded in the prologue if `prologue`.
std::string stageText(const Shape &s, bool prologue, const char *value = "f32") {
  std::string matrix =
      llvm::formatv("!tile.matrix<rows = {0}, row_pad = {1}, blocks = {2}, columns = {3}, "
                    "column_pad = {4}, element = {5}>",
                    s.rows, s.rowPad, s.blocks, s.columns, s.columnPad, s.element);
  std::string vector = llvm::formatv(
      "!tile.vector<blocks = 1, size = {0}, pad = {1}, per_tile = true>", s.rows, s.rowPad);
  std::string x = llvm::formatv("!tile.buffer<{0} x {1} x {2}>", s.slots, s.depth(), value);
  std::string y = llvm::formatv("!tile.buffer<{0} x {1} x f32>", s.slots, kTiles * s.rowPad);
  std::string in = llvm::formatv("tensor<{0}x{1}x{2}>", s.slots, s.depth(), value);
  std::string out = llvm::formatv("tensor<{0}x{1}xf32>", s.slots, s.rowPad);
  std::string text = "tile.stage @s(%x: " + x + ", %w: " + matrix + ", %b: " + vector +
                     ", %y: " + y + ") " + (s.firstOutput ? "outputs " : "") + "{\n";
  std::string load = "%a = tile.load %x : " + x + " -> " + in + "\n";
  if (prologue)
    text += "%p = tile.prologue {\n" + load + "tile.yield %a : " + in + "\n} : " + in + "\n";
  text += llvm::formatv("tile.section grid = [{0}] {{\n^bb0(%t: index):\n", kTiles);
  text += (prologue ? "" : load) + "%0 = tile.contract %w, " + (prologue ? "%p" : "%a") + " : " +
          matrix + ", " + in + " -> " + out + "\n" + "%1 = tile.bias %0, %b : " + out + ", " +
          vector + "\n" +
          llvm::formatv("tile.store %1, %y columns affine_map<(t) -> (t * {0})> : {1}, {2}\n",
                        s.rowPad, out, y)
              .str() +
          "}\n}\n";
  return text;
}

// Plays tiles 0 .. kTiles-1 and compares. Products of f32 are summed in f32; where the CPU takes
// products of bf16, an activation keeps 16 bits of its significand, which bounds each product's
// error by 2^-16 of it.
void check(const Shape &s, bool prologue, const std::string &target, const char *value = "f32") {
  SCOPED_TRACE(::testing::Message() << s << ", " << value << ", for " << target);
  int64_t depth = s.depth();
  std::vector<float> x = randomNumbers(s.slots * depth, 1), tape;
  bool halves = std::string(value) == "bf16";
  std::vector<uint16_t> xHalves;
  for (float &number : x) {
    xHalves.push_back(toBf16(number));
    if (halves)
      number = fromBf16(xHalves.back());
  }
  std::vector<std::vector<float>> weights, biases;
  std::vector<uint8_t> bytes;
  for (int64_t t = 0; t < kTiles; ++t) {
    weights.push_back(randomNumbers(s.rowPad * depth, 10 + t, /*exact=*/true));
    biases.push_back(randomNumbers(s.rowPad, 20 + t));
    for (int64_t row = 0; row < s.rowPad; ++row)
      for (int64_t k = 0; k < depth; ++k)
        if (row >= s.rows || k % s.columnPad >= s.columns)
          weights[t][row * depth + k] = 0;
    std::vector<uint8_t> packed = packTile(weights[t], s.rowPad, depth, s.element);
    bytes.insert(bytes.end(), packed.begin(), packed.end());
    auto *raw = reinterpret_cast<const uint8_t *>(biases[t].data());
    bytes.insert(bytes.end(), raw, raw + s.rowPad * 4);
  }
  AlignedBytes arena = halves ? AlignedBytes(xHalves) : AlignedBytes(x);
  AlignedBytes weightTape(bytes);
  int64_t width = kTiles * s.rowPad;
  AlignedBytes result(std::vector<float>(s.slots * width, -77.0f));

  PlayedStage stage(stageText(s, prologue, value), target);
  stage.bind(arena.data());
  stage.bind(result.data());
  stage.call.slots = s.valid;
  stage.call.first_output = s.firstOutput;
  if (prologue)
    stage.run("prologue", 0, 1);
  stage.call.tape = weightTape.data();
  stage.run("0", 0, 1); // then the rest, from where its part of the tape starts
  stage.call.tape = weightTape.data() + bytes.size() / kTiles;
  stage.run("0", 1, kTiles);

  bool split = hasBf16Products(target) && std::string(s.element) == "bf16" && !halves;
  const auto *y = reinterpret_cast<const float *>(result.data());
  for (int64_t slot = 0; slot < s.slots; ++slot)
    for (int64_t t = 0; t < kTiles; ++t)
      for (int64_t row = 0; row < s.rowPad; ++row) {
        float got = y[slot * width + t * s.rowPad + row];
        if (slot < s.firstOutput || slot >= s.valid) {
          ASSERT_EQ(got, -77.0f) << "slot " << slot << " is not to be computed";
          continue;
        }
        double sum = biases[t][row], size = std::fabs(sum);
        for (int64_t k = 0; k < depth; ++k) {
          double product = double(x[slot * depth + k]) * weights[t][row * depth + k];
          sum += product;
          size += std::fabs(product);
        }
        double bound = (split ? 1.6e-5 : 1e-6) * size + 1e-7;
        ASSERT_NEAR(got, sum, bound) << "slot " << slot << " tile " << t << " row " << row;
      }
}

class Contract : public ::testing::TestWithParam<std::string> {};

TEST_P(Contract, OneSlot) {
  for (const char *element : {"bf16", "f16", "f32"}) {
    check({24, 32, 1, 57, 64, element, 1, 1, 0}, true, GetParam());
    check({16, 16, 1, 16, 16, element, 1, 1, 0}, false, GetParam());
    check({48, 48, 3, 24, 32, element, 1, 1, 0}, false, GetParam());
    check({64, 64, 1, 528, 528, element, 1, 1, 0}, true, GetParam());
  }
}

TEST_P(Contract, ValidSlots) {
  for (int64_t valid : {1, 2, 3, 7, 8, 13, 63, 64})
    check({24, 32, 1, 57, 64, "bf16", 64, valid, 0}, true, GetParam());
  for (const char *element : {"f16", "f32"})
    check({40, 48, 2, 20, 32, element, 64, 23, 0}, false, GetParam());
}

TEST_P(Contract, DepthBeyondOneBlock) {
  for (const char *element : {"bf16", "f32"})
    check({32, 32, 1, 1300, 1312, element, 16, 11, 0}, true, GetParam());
}

// Half of a tile's depth is left over, or there is no more than that; and blocks of 16 slots and of
// 16 rows are left over too.
TEST_P(Contract, HalfOfATileLeft) {
  for (int64_t valid : {1, 15, 16, 17, 33, 48})
    check({48, 48, 1, 1070, 1072, "bf16", 48, valid, 0}, true, GetParam());
  check({16, 16, 1, 9, 16, "bf16", 5, 4, 0}, false, GetParam());
  check({70, 80, 3, 16, 16, "bf16", 20, 19, 0}, true, GetParam());
}

TEST_P(Contract, WantedOutputs) {
  check({32, 32, 1, 64, 64, "bf16", 64, 30, 29}, true, GetParam());
  check({32, 32, 1, 64, 64, "f32", 64, 30, 3}, false, GetParam());
  check({32, 32, 1, 64, 64, "f32", 64, 30, 30}, true, GetParam()); // none
  for (int64_t first : {1, 15, 16, 31})                            // of a block of slots too
    check({48, 48, 1, 80, 80, "bf16", 40, 33, first}, true, GetParam());
}

TEST_P(Contract, Bf16Values) {
  for (const char *element : {"bf16", "f16", "f32"}) {
    check({24, 32, 1, 57, 64, element, 1, 1, 0}, true, GetParam(), "bf16");
    check({24, 32, 1, 57, 64, element, 16, 9, 0}, false, GetParam(), "bf16");
  }
}

// What a slot gets depends on no other slot.
void checkSameBits(int64_t depth, const std::string &target) {
  Shape s{32, 32, 1, depth, depth, "bf16", 64, 0, 0};
  std::vector<float> x = randomNumbers(s.slots * s.depth(), 1);
  std::vector<uint8_t> tile =
      packTile(randomNumbers(s.rowPad * s.depth(), 2), s.rowPad, s.depth(), s.element);
  tile.resize(tile.size() + s.rowPad * 4); // the bias is zero
  AlignedBytes arena(x), tape(tile);
  PlayedStage stage(stageText(s, true), target);
  AlignedBytes result(std::vector<float>(s.slots * kTiles * s.rowPad));
  stage.bind(arena.data());
  stage.bind(result.data());
  stage.call.tape = tape.data();
  std::vector<float> first;
  for (uint64_t valid : {64, 1, 5, 8, 20, 48}) {
    stage.call.slots = valid;
    stage.run("prologue", 0, 1);
    stage.run("0", 0, 1);
    const auto *y = reinterpret_cast<const float *>(result.data());
    if (first.empty())
      first.assign(y, y + s.slots * kTiles * s.rowPad);
    for (uint64_t slot = 0; slot < valid; ++slot)
      ASSERT_EQ(0, std::memcmp(y + slot * kTiles * s.rowPad, &first[slot * kTiles * s.rowPad],
                               s.rowPad * 4))
          << "slot " << slot << " of " << valid;
  }
}

TEST_P(Contract, SameBitsHoweverManySlots) {
  checkSameBits(640, GetParam());
  checkSameBits(656, GetParam()); // with half of a tile left
}

INSTANTIATE_TEST_SUITE_P(Host, Contract, ::testing::ValuesIn(runnableTargets()),
                         [](const auto &info) { return nameOf(info.param); });

} // namespace
} // namespace pianola::test
