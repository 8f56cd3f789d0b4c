// CodeProducts.cpp - products of codes, packed by the compiler, against sums in double precision.
#include "dialects/tile/Tile.h"
#include "lib/encode/PackTile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/MLIRContext.h"
#include "test/lib/encode/RandomCodes.h"
#include "test/runtime/amx/Emulation.h"
#include "test/targets/host/PlayedStage.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>

namespace pianola::test {
namespace {

struct Shape {
  int64_t rows, rowPad, columns, columnPad, slots, valid;
  bool narrow = false; // activations are bf16
};

// Such that every 32 of a row are whole multiples of a power of two, 127 of it at most and
// somewhere: as integers of 8 bits they are what they are.
std::vector<float> narrowNumbers(int64_t rows, int64_t columns) {
  std::vector<float> values = randomNumbers(rows * columns, 1);
  for (int64_t i = 0; i < rows * columns; ++i)
    values[i] = (i % columns % 32 == 5 ? 127 : std::round(values[i] * 127)) / 128;
  return values;
}

constexpr int64_t kTiles = 2;

// A stage of one contraction, its weights and its activations.
struct Case {
  Case(const Shape &s, const char *encoding, const Scaling &scaling, uint8_t mask);

  /// What the stage makes of it, slot by slot.
  std::vector<float> play(const std::string &target);

  Shape s;
  int64_t rows; // the last tile has fewer than there is room for
  RandomCodes codes;
  std::vector<uint8_t> tape;
  std::vector<float> values;
  std::string text;
  bool multipliesInTiles = false; // the last play
};

Case::Case(const Shape &s, const char *encoding, const Scaling &scaling, uint8_t mask)
    : s(s), rows(kTiles * s.rows - 3), codes(rows, s.columns, scaling, 7, mask),
      values(s.narrow ? narrowNumbers(s.slots, s.columnPad)
                      : randomNumbers(s.slots * s.columnPad, 1)) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  std::string matrix =
      llvm::formatv("!tile.matrix<rows = {0}, row_pad = {1}, blocks = 1, columns = {2}, "
                    "column_pad = {3}, element = !encoding.scaled<{4}>>",
                    s.rows, s.rowPad, s.columns, s.columnPad, encoding);
  auto type = llvm::cast<tile::MatrixType>(mlir::parseType(matrix, &context));
  tape.resize(kTiles * type.getTileBytes());
  for (int64_t tile = 0; tile < kTiles; ++tile) {
    schedule::TapeUse use{};
    use.type = type;
    use.tile = tile;
    EXPECT_EQ(llvm::toString(packPiece(use, codes, codes.tensor,
                                       llvm::MutableArrayRef(tape).slice(tile * type.getTileBytes(),
                                                                         type.getTileBytes()))),
              "");
  }
  // What lies in the padding of activations is zero.
  for (int64_t i = 0; i < int64_t(values.size()); ++i)
    if (i % s.columnPad >= s.columns)
      values[i] = 0;
  const char *element = s.narrow ? "bf16" : "f32";
  std::string x = buffer(s.slots, s.columnPad, element), y = buffer(s.slots, kTiles * s.rowPad);
  std::string in = tensor(s.slots, s.columnPad, element), out = tensor(s.slots, s.rowPad);
  text =
      "tile.stage @s(%x: " + x + ", %w: " + matrix + ", %y: " + y + ") {\n" +
      "%p = tile.prologue {\n%a = tile.load %x : " + x + " -> " + in + "\ntile.yield %a : " + in +
      "\n} : " + in +
      llvm::formatv("\ntile.section grid = [{0}] {{\n^bb0(%t: index):\n", kTiles).str() +
      "%0 = tile.contract %w, %p : " + matrix + ", " + in + " -> " + out + "\n" +
      llvm::formatv("tile.store %0, %y columns affine_map<(t) -> (t * {0})> : ", s.rowPad).str() +
      out + ", " + y + "\n}\n}\n";
}

std::vector<float> Case::play(const std::string &target) {
  size_t count = s.slots * kTiles * s.rowPad;
  std::vector<uint16_t> halves(values.size());
  std::transform(values.begin(), values.end(), halves.begin(), toBf16);
  AlignedBytes arena = s.narrow ? AlignedBytes(halves) : AlignedBytes(values);
  AlignedBytes weights(tape), result(std::vector<float>(count, -77.0f));
  PlayedStage stage(text, target);
  stage.bind(arena.data());
  stage.bind(result.data());
  stage.call.slots = s.valid;
  stage.run("prologue", 0, 1);
  stage.call.tape = weights.data();
  stage.run("0", 0, kTiles);
  multipliesInTiles = llvm::is_contained(stage.image.features, "amx-int8");
  auto *floats = reinterpret_cast<float *>(result.data());
  return std::vector<float>(floats, floats + count);
}

void check(const Shape &s, const char *encoding, const Scaling &scaling, const std::string &target,
           uint8_t mask = 255) {
  SCOPED_TRACE(::testing::Message()
               << encoding << ", " << s.rows << " rows, " << s.columns << " columns, " << s.valid
               << " of " << s.slots << " slots, " << target);
  Case one(s, encoding, scaling, mask);
  std::vector<float> results = one.play(target), row(s.columns);
  for (int64_t t = 0; t < kTiles; ++t)
    for (int64_t r = 0; r < s.rowPad; ++r) {
      int64_t number = t * s.rows + r;
      bool exists = r < s.rows && number < one.rows;
      if (exists)
        ASSERT_EQ(llvm::toString(one.codes.readFloats(one.codes.tensor, number * s.columns, row)),
                  "");
      for (int64_t slot = 0; slot < s.valid; ++slot) {
        double sum = 0, size = 0;
        for (int64_t k = 0; exists && k < s.columns; ++k) {
          sum += double(row[k]) * one.values[slot * s.columnPad + k];
          size += std::fabs(row[k]); // activations are at most 1, and rounded to 2^-16
        }
        // What is exact needs room for the order of additions alone.
        ASSERT_NEAR(results[slot * kTiles * s.rowPad + t * s.rowPad + r], sum,
                    (s.narrow ? 2e-6 : 2e-5) * size + 1e-6)
            << "tile " << t << " row " << r;
      }
    }
}

struct Encoded {
  const char *text;
  Scaling scaling;
};

// Every code, kind of scale and size of group.
const std::vector<Encoded> &encodings() {
  static const std::vector<Encoded> all = {
      {"code = i8, scale = f32", {Code::I8, 0, ScaleType::F32}},
      {"code = i8, scale = bf16", {Code::I8, 0, ScaleType::BF16}},
      {"code = i8, group = 32, scale = f16", {Code::I8, 32, ScaleType::F16}},
      {"code = i8, group = 128, scale = f16, zeros = true", {Code::I8, 128, ScaleType::F16, true}},
      {"code = i4, scale = f16", {Code::I4, 0, ScaleType::F16}},
      {"code = i4, group = 32, scale = f16", {Code::I4, 32, ScaleType::F16}},
      {"code = i4, group = 64, scale = bf16, zeros = true", {Code::I4, 64, ScaleType::BF16, true}},
      {"code = i4, group = 96, scale = f32", {Code::I4, 96, ScaleType::F32}},
      {"code = i4, group = 128, scale = e8m0", {Code::I4, 128, ScaleType::E8M0}},
      {"code = i4, group = 256, scale = f16, zeros = true", {Code::I4, 256, ScaleType::F16, true}},
      {"code = i8, group = 160, scale = f16", {Code::I8, 160, ScaleType::F16}},
      {"code = i8, scale = f32, zeros = true", {Code::I8, 0, ScaleType::F32, true}},
      {"code = i4, scale = f16, zeros = true", {Code::I4, 0, ScaleType::F16, true}},
      {"code = f8e4m3, scale = f32", {Code::F8E4M3, 0, ScaleType::F32}},
      {"code = f8e4m3, group = 32, scale = bf16", {Code::F8E4M3, 32, ScaleType::BF16}},
      {"code = f8e4m3, group = 128, scale = f32", {Code::F8E4M3, 128, ScaleType::F32}},
      {"code = f8e4m3, group = 160, scale = e8m0", {Code::F8E4M3, 160, ScaleType::E8M0}},
      {"code = f4e2m1, group = 32, scale = e8m0", {Code::F4E2M1, 32, ScaleType::E8M0}},
      {"code = f4e2m1, group = 96, scale = f16", {Code::F4E2M1, 96, ScaleType::F16}},
      {"code = f4e2m1, scale = f32", {Code::F4E2M1, 0, ScaleType::F32}},
  };
  return all;
}

// Numbers of e4m3 without a leading bit are too small to be missed among others.
constexpr uint8_t kLeastFloats = 0x87;

bool runsHere(const std::string &target) {
  return canRun(llvm::cantFail(parseHostCpu(target)).features);
}

class CodeProducts : public ::testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    if (!runsHere(GetParam()))
      GTEST_SKIP() << "this CPU lacks what " << GetParam() << " has";
  }
};

TEST_P(CodeProducts, OneSlot) {
  for (const Encoded &each : encodings()) {
    check({32, 32, 256, 256, 1, 1}, each.text, each.scaling, GetParam());
    check({24, 32, 57, 64, 1, 1}, each.text, each.scaling, GetParam());
    check({16, 16, 16, 16, 1, 1}, each.text, each.scaling, GetParam());
    check({70, 80, 330, 336, 1, 1}, each.text, each.scaling, GetParam());
    if (each.scaling.code == Code::F8E4M3)
      for (int64_t slots : {1, 4})
        check({32, 32, 64, 64, slots, slots}, each.text, each.scaling, GetParam(), kLeastFloats);
  }
}

TEST_P(CodeProducts, ManySlots) {
  for (const Encoded &each : encodings())
    check({48, 48, 2200, 2208, 16, 13}, each.text, each.scaling, GetParam());
  // Blocks of each number of slots.
  for (const Encoded &each : encodings())
    if (each.scaling.group == 64 || each.scaling.group == 128)
      for (int64_t valid = 1; valid < 9; ++valid)
        check({32, 32, 80, 80, 8, valid}, each.text, each.scaling, GetParam());
}

TEST_P(CodeProducts, NarrowActivations) {
  for (const Encoded &each : encodings()) {
    if (each.scaling.code == Code::F8E4M3)
      continue;
    check({48, 48, 600, 608, 16, 13, true}, each.text, each.scaling, GetParam());
    check({70, 80, 330, 336, 1, 1, true}, each.text, each.scaling, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Host, CodeProducts,
                         ::testing::Values("x86-64-v3", "x86-64-v4", "x86-64-v4+avx512vnni",
                                           "x86-64-v4+amx-int8"),
                         [](const auto &info) { return nameOf(info.param); });

// Integers are the same in any order, and what is made of them is rounded in the same one. Rows, a
// last group and a depth that tiles do not reach; one block of slots, several, and a last one that
// is not full, whose other slots nothing is written to.
class CodeTiles : public ::testing::Test {
protected:
  void SetUp() override {
    if (!runsHere("x86-64-v4+amx-int8"))
      GTEST_SKIP() << "this CPU has no VNNI";
  }
};

TEST_F(CodeTiles, SameBitsAsWithoutTiles) {
  for (const Encoded &each : encodings())
    for (Shape s : {Shape{32, 32, 256, 256, 16, 16}, Shape{48, 48, 2200, 2208, 32, 17},
                    Shape{24, 32, 330, 336, 48, 33}, Shape{70, 80, 1184, 1184, 64, 64},
                    Shape{16, 16, 288, 288, 16, 5}, Shape{48, 48, 1184, 1184, 32, 29, true}}) {
      if (each.scaling.code == Code::F8E4M3) // is no integer
        continue;
      SCOPED_TRACE(::testing::Message() << each.text << ", " << s.columns << " columns, " << s.valid
                                        << " of " << s.slots << " slots");
      Case one(s, each.text, each.scaling, 255);
      std::vector<float> without = one.play("x86-64-v4+avx512vnni");
      EXPECT_FALSE(one.multipliesInTiles);
      std::vector<float> with = one.play("x86-64-v4+amx-int8");
      EXPECT_TRUE(one.multipliesInTiles);
      ASSERT_EQ(with, without);
    }
}

TEST_F(CodeTiles, FewSlotsGoWithout) {
  for (int64_t slots : {1, 4, 5}) {
    Case one({32, 32, 256, 256, slots, slots}, "code = i8, scale = f32",
             {Code::I8, 0, ScaleType::F32}, 255);
    one.play("x86-64-v4+amx-int8");
    EXPECT_EQ(one.multipliesInTiles, slots > 4) << slots;
  }
}

} // namespace
} // namespace pianola::test
