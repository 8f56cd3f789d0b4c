// ZeroBlocks.cpp - matrices without their zero blocks, read as !tile.matrix says, mean what the
// matrix means.
#include "lib/encode/ZeroBlocks.h"
#include "dialects/tile/Tile.h"
#include "dialects/transformer/Transformer.h"
#include "lib/encode/PackTile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace pianola::test {
namespace {

// Of each 32 rows at most `kept` blocks are not zero.
template <typename Element> class SparseMatrix : public WeightSource {
public:
  SparseMatrix(DType dtype, int64_t rows, int64_t columns, int64_t kept)
      : tensor{"w", dtype, {rows, columns}, rows * columns * sizeof(Element)},
        elements(rows * columns) {
    std::mt19937 engine(9);
    for (int64_t row = 0; row < rows; ++row) {
      if (row % 32 == 0) {
        there.assign(columns / 32, false);
        std::fill_n(there.begin(), engine() % (kept + 1), true);
        std::shuffle(there.begin(), there.end(), engine);
      }
      for (int64_t k = 0; k < columns; ++k)
        elements[row * columns + k] = there[k / 32] ? Element(1 + engine() % 1000) : Element(0);
    }
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
  std::vector<Element> elements;
  std::vector<bool> there;
};

// A tile, written out in full by the words of the dialect.
template <typename Element>
std::vector<Element> inFull(const uint8_t *tile, tile::MatrixType type) {
  int64_t depth = type.getDepth(), kept = type.getKept();
  std::vector<Element> all(type.getRowPad() * depth);
  auto number = [](const uint8_t *at) { return int64_t(llvm::support::endian::read32le(at)); };
  if (type.getPanel()) {
    for (int64_t p = 0; p < kept; ++p) {
      const uint8_t *panel = tile + p * (16 + type.getRows() * 32 * sizeof(Element));
      auto *elements = reinterpret_cast<const Element *>(panel + 16);
      for (int64_t r = 0; r < type.getRows(); ++r)
        for (int64_t k = 0; k < 32; ++k)
          all[r * depth + number(panel) * 32 + k] = elements[r * 32 + k];
    }
    return all;
  }
  for (int64_t first = 0; first < type.getRowPad(); first += 32) {
    int64_t group = std::min<int64_t>(32, type.getRowPad() - first);
    const uint8_t *blocks = tile + (kept * 4 + 63) / 64 * 64;
    for (int64_t b = 0; b < kept; ++b) {
      auto *elements = reinterpret_cast<const Element *>(blocks) + b * 32 * group;
      for (int64_t r = 0; r < group; ++r)
        for (int64_t k = 0; k < 32; ++k)
          all[(first + r) * depth + number(tile + b * 4) * 32 + k] =
              elements[type.getElement().isBF16() ? ((k / 2) * group + r) * 2 + k % 2
                                                  : k * group + r];
    }
    tile = blocks + kept * 32 * group * sizeof(Element);
  }
  return all;
}

template <typename Element>
void check(const char *element, DType dtype, int64_t rows, int64_t columns, int64_t kept,
           int64_t panel) {
  SCOPED_TRACE(testing::Message() << rows << " rows of " << element << ", " << kept << " blocks of "
                                  << columns << " columns, panel " << panel);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  std::string text = llvm::formatv(
      "!tile.matrix<rows = {0}, row_pad = {0}, blocks = 1, columns = {1}, column_pad "
      "= {1}, element = {2}{3}, kept = {4}>",
      rows, columns, element, panel ? ", panel = " + std::to_string(panel) : "", kept);
  auto type = llvm::cast<tile::MatrixType>(mlir::parseType(text, &context));
  int64_t tiles = 96 / rows, there = 96 - 5;
  SparseMatrix<Element> matrix(dtype, there, columns, kept);
  for (int64_t t = 0; t < tiles; ++t) {
    schedule::TapeUse use{};
    use.type = type;
    use.tile = t;
    std::vector<uint8_t> tile(type.getTileBytes(), 0xaa);
    ASSERT_EQ(llvm::toString(packPiece(use, matrix, matrix.tensor, tile)), "");
    std::vector<Element> wanted(rows * columns);
    for (int64_t i = 0; i < rows * columns; ++i)
      if (t * rows + i / columns < there)
        wanted[i] = matrix.elements[t * rows * columns + i];
    ASSERT_EQ(inFull<Element>(tile.data(), type), wanted) << "tile " << t;
  }
}

TEST(ZeroBlocks, PanelsHoldWhatIsNotZero) {
  check<uint16_t>("bf16", DType::BF16, 8, 256, 3, 32);
  check<uint16_t>("f16", DType::F16, 16, 96, 1, 32);
  check<uint32_t>("f32", DType::F32, 16, 640, 20, 32);
}

TEST(ZeroBlocks, GroupsHoldWhatIsNotZero) {
  check<uint16_t>("bf16", DType::BF16, 32, 256, 3, 0);
  check<uint16_t>("bf16", DType::BF16, 16, 640, 17, 0);
  check<uint16_t>("f16", DType::F16, 96, 96, 1, 0);
  check<uint32_t>("f32", DType::F32, 16, 320, 9, 0);
}

TEST(ZeroBlocks, OneMoreIsAnError) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  SparseMatrix<uint16_t> matrix(DType::BF16, 64, 96, 1);
  std::fill(matrix.elements.begin() + 32 * 96, matrix.elements.end(), uint16_t(0x3f80));
  schedule::TapeUse use{};
  use.type = mlir::parseType("!tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, "
                             "column_pad = 96, element = bf16, kept = 2>",
                             &context);
  use.tile = 1;
  std::vector<uint8_t> tile(llvm::cast<tile::MatrixType>(use.type).getTileBytes());
  EXPECT_EQ(llvm::toString(packPiece(use, matrix, matrix.tensor, tile)),
            "w row 32 and those with it: 3 blocks are not zero, of which 2 are kept");
}

TEST(ZeroBlocks, ABlockOfEitherZeroIsNotThere) {
  std::vector<uint16_t> rows(3 * 96);
  std::fill_n(rows.begin(), 32, uint16_t(0x8000));
  rows[2 * 96 + 95] = 1;
  llvm::ArrayRef bytes(reinterpret_cast<const uint8_t *>(rows.data()), rows.size() * 2);
  EXPECT_EQ(blocksThere(bytes, 96, 2), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(blocksThere(bytes.take_front(32 * 4), 32, 4),
            (std::vector<bool>{true})); // 0x80008000 is a number
}

// Matrices of 1024 columns, of whose 32 blocks so many are kept.
class SparseMatrices : public WeightSource {
public:
  void add(const std::string &name, int64_t rows, int64_t kept) {
    auto &matrix = matrices[name];
    matrix = std::make_unique<SparseMatrix<uint16_t>>(DType::BF16, rows, 1024, kept);
    matrix->tensor.name = name;
  }
  const TensorInfo *find(llvm::StringRef name) const override {
    return &matrices.at(name.str())->tensor;
  }
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t>,
                                             TensorRole) override {
    return find(name);
  }
  llvm::Error read(const TensorInfo &tensor, uint64_t first,
                   llvm::MutableArrayRef<uint8_t> out) const override {
    return matrices.at(tensor.name)->read(tensor, first, out);
  }
  std::vector<std::string> names() const override { return {}; }
  std::string origin(llvm::StringRef) const override { return "memory"; }

private:
  std::map<std::string, std::unique_ptr<SparseMatrix<uint16_t>>> matrices;
};

// Layers whose blocks differ keep as many: eighths. Heads and experts that are no whole blocks, as
// well as tables, have none.
TEST(ZeroBlocks, FoundWhereTheyCanStand) {
  SparseMatrices weights;
  weights.add("embedding", 1000, 8);
  weights.add("nine", 1024, 9);
  weights.add("eleven", 1024, 11);
  weights.add("most", 1024, 29);
  weights.add("heads.16", 1024, 9);
  weights.add("heads.48", 1056, 9);
  weights.add("heads.64", 1024, 9);
  weights.add("experts.48", 4 * 48, 9);
  weights.add("experts.64", 4 * 64, 9);
  weights.add("router", 4, 1);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<mlir::func::FuncDialect, transformer::TransformerDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"(
module {
  transformer.weight @embedding [1000, 1024] bf16 from "embedding"
  transformer.weight @nine [1024, 1024] bf16 from "nine"
  transformer.weight @eleven [1024, 1024] bf16 from "eleven"
  transformer.weight @most [1024, 1024] bf16 from "most"
  transformer.weight @heads.16 [1024, 1024] bf16 from "heads.16"
  transformer.weight @heads.48 [1056, 1024] bf16 from "heads.48"
  transformer.weight @heads.64 [1024, 1024] bf16 from "heads.64"
  transformer.weight @experts.48 [192, 1024] bf16 from "experts.48"
  transformer.weight @experts.64 [256, 1024] bf16 from "experts.64"
  transformer.weight @router [4, 1024] bf16 from "router"
  func.func @forward(%ids: tensor<?xi32>) {
    %x = transformer.embed %ids, @embedding : tensor<?xi32> -> tensor<?x1024xf32>
    %a = transformer.linear %x, @nine : tensor<?x1024xf32> -> tensor<?x1024xf32>
    %b = transformer.linear %x, @eleven : tensor<?x1024xf32> -> tensor<?x1024xf32>
    %c = transformer.linear %x, @most : tensor<?x1024xf32> -> tensor<?x1024xf32>
    %q16 = transformer.linear %x, @heads.16 : tensor<?x1024xf32> -> tensor<?x1024xf32>
    %n16 = transformer.norm %q16 heads = 64 eps = 0.01 : tensor<?x1024xf32>
    %q48 = transformer.linear %x, @heads.48 : tensor<?x1024xf32> -> tensor<?x1056xf32>
    %n48 = transformer.norm %q48 heads = 22 eps = 0.01 : tensor<?x1056xf32>
    %q64 = transformer.linear %x, @heads.64 : tensor<?x1024xf32> -> tensor<?x1024xf32>
    %n64 = transformer.norm %q64 heads = 16 eps = 0.01 : tensor<?x1024xf32>
    %r = transformer.route %x, @router softmax scale = 1.0 : tensor<?x1024xf32> -> !transformer.routes<2 of 4>
    %e = transformer.routed_linear %x, %r, @experts.48 : tensor<?x1024xf32>, !transformer.routes<2 of 4> -> tensor<?x96xf32>
    %f = transformer.routed_linear %x, %r, @experts.64 : tensor<?x1024xf32>, !transformer.routes<2 of 4> -> tensor<?x128xf32>
    return
  }
})",
                                                        &context);
  ASSERT_TRUE(module);
  ASSERT_EQ(llvm::toString(findZeroBlocks(*module, weights)), "");
  std::map<std::string, int64_t> kept;
  for (auto op : module->getOps<transformer::WeightOp>())
    if (auto blocks = llvm::dyn_cast<encoding::BlocksType>(op.getEncoding()))
      kept[op.getSymName().str()] = blocks.getKept();
  EXPECT_EQ(kept, (std::map<std::string, int64_t>{{"nine", 12},
                                                  {"eleven", 12},
                                                  {"heads.16", 12},
                                                  {"heads.64", 12},
                                                  {"experts.64", 12},
                                                  {"router", 4}}));
}

} // namespace
} // namespace pianola::test
