// Pruned.cpp - two of four columns, read as !tile.matrix says, mean what the matrix means.
#include "lib/encode/Pruned.h"
#include "dialects/tile/Tile.h"
#include "lib/encode/PackTile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>
#include <random>

namespace pianola::test {
namespace {

// bf16, of each four columns two, one or none, at any place.
class PrunedMatrix : public WeightSource {
public:
  PrunedMatrix(int64_t rows, int64_t columns)
      : tensor{"w", DType::BF16, {rows, columns}, uint64_t(rows * columns * 2)},
        elements(rows * columns) {
    std::mt19937 engine(9);
    for (size_t row = 0; row < elements.size(); row += columns)
      for (int64_t k = 0; k < columns; k += 4)
        for (uint32_t count = engine() % 3; count; --count)
          elements[row + k + engine() % std::min<int64_t>(4, columns - k)] =
              uint16_t(0x3f80 + engine() % 64);
  }
  const TensorInfo *find(llvm::StringRef) const override { return &tensor; }
  llvm::Expected<const TensorInfo *> require(llvm::StringRef, llvm::ArrayRef<int64_t>,
                                             TensorRole) override {
    return &tensor;
  }
  llvm::Error read(const TensorInfo &, uint64_t first,
                   llvm::MutableArrayRef<uint8_t> out) const override {
    std::memcpy(out.data(), reinterpret_cast<const uint8_t *>(elements.data()) + first, out.size());
    return llvm::Error::success();
  }
  std::vector<std::string> names() const override { return {"w"}; }
  std::string origin(llvm::StringRef) const override { return "memory"; }

  TensorInfo tensor;
  std::vector<uint16_t> elements;
};

uint16_t elementAt(const uint8_t *pair, int first, int second, int64_t column) {
  if (column != first && column != second)
    return 0;
  pair += column == first ? 0 : 2;
  return uint16_t(pair[0] | pair[1] << 8);
}

// Row r, column k of a tile, by the words of the dialect.
uint16_t inPanels(const uint8_t *tile, int64_t rows, int64_t r, int64_t k) {
  const uint8_t *panel = tile + k / 64 * rows * 72;
  int64_t t = k / 8 % 4, q = k / 4 % 2, half = k % 64 / 32;
  unsigned pattern = panel[r * 8 + t * 2 + half] >> q * 4 & 15;
  constexpr int kColumns[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
  auto [a, b] = kColumns[pattern];
  return elementAt(panel + rows * 8 + r * 64 + t * 16 + half * 8 + q * 4, a, b, k % 4);
}

uint16_t inGroups(const uint8_t *tile, int64_t rowPad, int64_t depth, int64_t r, int64_t k) {
  int64_t first = r / 32 * 32, group = std::min<int64_t>(32, rowPad - first);
  const uint8_t *at = tile + first * (depth + (depth + 31) / 32 * 4) + k / 32 * group * 36;
  const uint8_t *patterns = at + (r - first) * 4, *pairs = at + group * 4;
  unsigned pattern = patterns[k % 32 / 8] >> k / 4 % 2 * 4 & 15;
  return elementAt(pairs + (k % 32 / 4 * group + r - first) * 4, pattern % 4, pattern / 4, k % 4);
}

void check(int64_t rows, int64_t rowPad, int64_t blocks, int64_t columns, int64_t pad,
           int64_t panel) {
  SCOPED_TRACE(testing::Message() << rows << " rows, " << blocks << " blocks of " << columns
                                  << " in " << pad << ", panel " << panel);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  std::string text = llvm::formatv(
      "!tile.matrix<rows = {0}, row_pad = {1}, blocks = {2}, columns = "
      "{3}, column_pad = {4}, element = !encoding.two_of_four<bf16>{5}>",
      rows, rowPad, blocks, columns, pad, panel ? ", panel = " + std::to_string(panel) : "");
  auto type = llvm::cast<tile::MatrixType>(mlir::parseType(text, &context));
  constexpr int64_t kTiles = 3;
  int64_t there = kTiles * rows - 5, stride = blocks * columns, depth = blocks * pad;
  PrunedMatrix matrix(there, stride);
  for (int64_t t = 0; t < kTiles; ++t) {
    schedule::TapeUse use{};
    use.type = type;
    use.tile = t;
    std::vector<uint8_t> tile(type.getTileBytes(), 0xaa);
    ASSERT_EQ(llvm::toString(packPiece(use, matrix, matrix.tensor, tile)), "");
    for (int64_t r = 0; r < rowPad; ++r)
      for (int64_t k = 0; k < depth; ++k) {
        int64_t row = t * rows + r;
        uint16_t wanted = 0;
        if (r < rows && row < there && k % pad < columns)
          wanted = matrix.elements[row * stride + k / pad * columns + k % pad];
        ASSERT_EQ(panel ? inPanels(tile.data(), rows, r, k)
                        : inGroups(tile.data(), rowPad, depth, r, k),
                  wanted)
            << "tile " << t << ", row " << r << ", column " << k;
      }
  }
}

TEST(Pruned, PanelsHoldWhatIsNotZero) {
  check(8, 8, 1, 64, 64, 64);
  check(16, 16, 1, 200, 208, 64);
  check(16, 16, 5, 24, 32, 64);
  check(32, 32, 1, 130, 144, 64);
}

TEST(Pruned, GroupsHoldWhatIsNotZero) {
  check(16, 16, 1, 64, 64, 0);
  check(32, 32, 1, 90, 96, 0);
  check(24, 32, 3, 24, 32, 0);
  check(40, 48, 5, 12, 16, 0);
  check(80, 80, 1, 130, 144, 0);
}

TEST(Pruned, AThirdNumberIsAnError) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  PrunedMatrix matrix(16, 64);
  std::fill_n(matrix.elements.begin() + 5 * 64 + 8, 3, uint16_t(0x3f80));
  schedule::TapeUse use{};
  use.type = mlir::parseType("!tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, "
                             "column_pad = 64, element = !encoding.two_of_four<bf16>>",
                             &context);
  std::vector<uint8_t> tile(llvm::cast<tile::MatrixType>(use.type).getTileBytes());
  EXPECT_EQ(llvm::toString(packPiece(use, matrix, matrix.tensor, tile)),
            "w row 5, columns 8 to 11: more than two are not zero");
}

TEST(Pruned, TheTwoGreatestStay) {
  std::vector<float> row = {1, -3, 2, 0.5f, 2, 2, -2, 2, 0, 0, 0, 1, 5, 4, 3};
  prune(row);
  EXPECT_EQ(row, (std::vector<float>{0, -3, 2, 0, 2, 2, 0, 0, 0, 0, 0, 1, 5, 4, 0}));
}

TEST(Pruned, TakesHalfAnElementAndABit) {
  EXPECT_EQ(prunedRowBytes(4096), uint64_t(4096 * 9 / 8));
  EXPECT_EQ(prunedRowBytes(48), uint64_t(48 + 8));
}

} // namespace
} // namespace pianola::test
