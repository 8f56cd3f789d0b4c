// Panels.cpp - panels of codes, read as !tile.matrix says, mean what the matrix means.
#include "dialects/tile/Tile.h"
#include "lib/encode/PackTile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/MLIRContext.h"
#include "test/lib/encode/RandomCodes.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>

namespace pianola::test {
namespace {

struct Shape {
  int64_t rows, columns, columnPad, rowBlock = 0, rowBlockPad = 0;
};

float scaleAt(const uint8_t *at, ScaleType type) {
  switch (type) {
  case ScaleType::F32: {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  case ScaleType::BF16:
    return fromBf16(at[0] | at[1] << 8);
  case ScaleType::F16:
    return fromF16(at[0] | at[1] << 8);
  case ScaleType::E8M0:
    return fromE8M0(*at);
  }
  return NAN;
}

int64_t padTo16(int64_t bytes) { return (bytes + 15) / 16 * 16; }

// Row r, column k of a tile, by the words of the dialect.
float meant(const std::vector<uint8_t> &tile, const Shape &shape, const Scaling &scaling, int64_t r,
            int64_t k) {
  bool isByte = scaling.code == Code::I8 || scaling.code == Code::F8E4M3;
  int64_t scaleBytes = scaling.scale == ScaleType::F32    ? 4
                       : scaling.scale == ScaleType::E8M0 ? 1
                                                          : 2;
  int64_t panel = isByte ? 64 : 128, group = scaling.group;
  int64_t shared = group ? std::gcd(group, panel) : 0, ofRow = group ? panel / shared : 1;
  int64_t scales = padTo16(shape.rows * ofRow * scaleBytes);
  int64_t zeros = scaling.zeros ? padTo16(shape.rows * ofRow) : 0;
  int64_t panelBytes = shape.rows * 64 + (group ? scales + zeros : 0);
  const uint8_t *at = tile.data() + k / panel * panelBytes, *codes = at + scales + zeros;
  if (!group)
    at = tile.data();
  int64_t inPanel = k % panel, which = r * ofRow + (group ? inPanel / shared : 0);
  codes += r * 64 + inPanel / 8 % 4 * 16;
  int64_t i = inPanel % 8, byte = inPanel / 32 * (isByte ? 8 : 4);
  uint8_t code = isByte ? codes[byte + i] : codes[byte + i % 2 * 2 + i / 4];
  if (!isByte)
    code = i / 2 % 2 == 0 ? code & 15 : code >> 4;
  float zero = scaling.zeros ? at[scales + which] : impliedZero(scaling.code);
  return scaleAt(at + which * scaleBytes, scaling.scale) * (codeValue(scaling.code, code) - zero);
}

void check(const Shape &s, const char *encoding, const Scaling &scaling) {
  SCOPED_TRACE(::testing::Message() << encoding << ", tiles of " << s.rows << " rows, " << s.columns
                                    << " columns in " << s.columnPad);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  bool isByte = scaling.code == Code::I8 || scaling.code == Code::F8E4M3;
  std::string blocks =
      s.rowBlock
          ? llvm::formatv(", row_block = {0}, row_block_pad = {1}", s.rowBlock, s.rowBlockPad).str()
          : "";
  std::string text =
      llvm::formatv("!tile.matrix<rows = {0}, row_pad = {0}, blocks = 1, columns = {1}, column_pad "
                    "= {2}, element = !encoding.scaled<{3}>, panel = {4}{5}>",
                    s.rows, s.columns, s.columnPad, encoding, isByte ? 64 : 128, blocks);
  auto type = llvm::cast<tile::MatrixType>(mlir::parseType(text, &context));
  constexpr int64_t kTiles = 4;
  // The last rows are missing.
  int64_t padded = s.rowBlock ? s.rowBlockPad : s.rows, valid = s.rowBlock ? s.rowBlock : s.rows;
  int64_t rows = kTiles * s.rows / padded * valid - 3;
  RandomCodes codes(rows, s.columns, scaling, 5, 255);
  EncodedRows all = llvm::cantFail(codes.readRows(codes.tensor, 0, rows));
  std::vector<float> wanted(rows * s.columns);
  for (int64_t r = 0; r < rows; ++r)
    decodeRow(scaling, all, r, llvm::MutableArrayRef(wanted).slice(r * s.columns, s.columns));
  for (int64_t t = 0; t < kTiles; ++t) {
    schedule::TapeUse use{};
    use.type = type;
    use.tile = t;
    std::vector<uint8_t> tile(type.getTileBytes(), 0xaa);
    ASSERT_EQ(llvm::toString(packPiece(use, codes, codes.tensor, tile)), "");
    for (int64_t r = 0; r < s.rows; ++r)
      for (int64_t k = 0; k < s.columnPad; ++k) {
        int64_t block = (t * s.rows + r) / padded, inBlock = (t * s.rows + r) % padded;
        int64_t row = block * valid + inBlock;
        bool isThere = inBlock < valid && row < rows && k < s.columns;
        ASSERT_EQ(meant(tile, s, scaling, r, k), isThere ? wanted[row * s.columns + k] : 0.0f)
            << "tile " << t << ", row " << r << ", column " << k;
      }
  }
}

TEST(Panels, HoldEveryCode) {
  for (const Shape &shape :
       {Shape{8, 88, 96}, Shape{16, 320, 320}, Shape{32, 130, 144}, Shape{8, 64, 64, 24, 32}}) {
    check(shape, "code = i8, group = 64, scale = f16", {Code::I8, 64, ScaleType::F16});
    check(shape, "code = i8, scale = f32", {Code::I8, 0, ScaleType::F32});
    check(shape, "code = i8, scale = e8m0", {Code::I8, 0, ScaleType::E8M0});
    check(shape, "code = i8, scale = bf16, zeros = true", {Code::I8, 0, ScaleType::BF16, true});
    check(shape, "code = i4, group = 32, scale = f16", {Code::I4, 32, ScaleType::F16});
    check(shape, "code = i4, group = 96, scale = f32", {Code::I4, 96, ScaleType::F32});
    check(shape, "code = i4, group = 128, scale = f16, zeros = true",
          {Code::I4, 128, ScaleType::F16, true});
    check(shape, "code = i4, group = 256, scale = bf16", {Code::I4, 256, ScaleType::BF16});
    check(shape, "code = f8e4m3, group = 128, scale = f32", {Code::F8E4M3, 128, ScaleType::F32});
    check(shape, "code = f8e4m3, scale = f32", {Code::F8E4M3, 0, ScaleType::F32});
    check(shape, "code = f4e2m1, group = 32, scale = e8m0", {Code::F4E2M1, 32, ScaleType::E8M0});
  }
}

} // namespace
} // namespace pianola::test
