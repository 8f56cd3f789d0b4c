// ZeroBlocks.cpp - matrices of which whole blocks are zero.
#include "lib/encode/ZeroBlocks.h"

#include "dialects/transformer/Layout.h"
#include "lib/encode/EncodingType.h"

using namespace mlir;

namespace pianola {
namespace {

constexpr int64_t kSide = encoding::BlocksType::kSide;

// A part of the bytes that must be gained: a CPU reads matrices in blocks at 84 % of its bandwidth
// where it reads others at 93 %.
constexpr int64_t kWorthwhile = 8;

// Layers of which different blocks are zero should not all have stages of their own: matrices keep
// as many eighths of their blocks as they need.
constexpr int64_t kSteps = 8;

// Either zero, which differ in their sign, adds nothing to a sum.
template <typename Element> bool isZero(const uint8_t *bytes, int64_t count) {
  auto *elements = reinterpret_cast<const Element *>(bytes);
  Element all = 0;
  for (int64_t i = 0; i < count; ++i)
    all |= elements[i];
  return Element(all << 1) == 0;
}

// Whether heads or experts end where blocks do, of the columns that the op multiplies and of the
// rows that it makes, whatever the machine's tiles are.
bool endsWithBlocks(Operation *op) {
  auto isWhole = [](int64_t size) { return size % kSide == 0; };
  if (!isa<transformer::HeadLinearOp>(op) && // its columns are a head's
      !isWhole(transformer::layoutOf(op->getOperand(0)).size))
    return false;
  transformer::Layout output = transformer::layoutOf(op->getResult(0));
  if (isa<transformer::RoutedLinearOp>(op))
    return isWhole(output.size);
  return !output.byHead || isWhole(output.size) || output.size == kSide / 2;
}

// Of matrices that are used otherwise blocks could not stand apart.
llvm::StringSet<> unsuitedWeights(ModuleOp module) {
  llvm::StringSet<> found = lookedUpWeights(module);
  module.walk([&](Operation *op) {
    if (isa<transformer::LinearOp, transformer::HeadLinearOp, transformer::RoutedLinearOp>(op) &&
        !endsWithBlocks(op))
      found.insert(op->getAttrOfType<FlatSymbolRefAttr>("weight").getValue());
  });
  return found;
}

// The encoding in blocks, or null where it would be no gain.
llvm::Expected<encoding::BlocksType> blocksOf(transformer::WeightOp op,
                                              const WeightSource &weights) {
  const TensorInfo &tensor = *weights.find(op.getTensor());
  Type element = encoding::elementOf(op.getEncoding());
  int64_t rows = op.getShape()[0], columns = op.getShape()[1], kept = 1;
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  int64_t before = encoding::rowBytes(op.getEncoding(), columns);
  int64_t step = std::max<int64_t>(1, columns / kSide / kSteps);
  std::vector<uint8_t> block;
  for (int64_t first = 0; first < rows; first += kSide) {
    block.resize(std::min(kSide, rows - first) * columns * bytes);
    if (llvm::Error error = weights.read(tensor, first * columns * bytes, block))
      return std::move(error);
    int64_t there = llvm::count(blocksThere(block, columns, bytes), true);
    kept = std::max(
        kept, std::min<int64_t>(llvm::alignTo(std::max<int64_t>(there, 1), step), columns / kSide));
    auto type = encoding::BlocksType::get(op.getContext(), element, kept);
    if (encoding::rowBytes(type, columns) * kWorthwhile > before * (kWorthwhile - 1))
      return encoding::BlocksType();
  }
  return encoding::BlocksType::get(op.getContext(), element, kept);
}

} // namespace

std::vector<bool> blocksThere(llvm::ArrayRef<uint8_t> rows, int64_t columns, int64_t elementBytes) {
  std::vector<bool> there(columns / kSide);
  for (int64_t row = 0, rowBytes = columns * elementBytes; row < int64_t(rows.size());
       row += rowBytes)
    for (int64_t block = 0; block < columns / kSide; ++block)
      if (!there[block]) {
        const uint8_t *at = rows.data() + row + block * kSide * elementBytes;
        there[block] =
            !(elementBytes == 4 ? isZero<uint32_t>(at, kSide) : isZero<uint16_t>(at, kSide));
      }
  return there;
}

llvm::Error findZeroBlocks(ModuleOp module, const WeightSource &weights) {
  llvm::StringSet<> encodable = encodableTensors(module), unsuited = unsuitedWeights(module);
  for (auto op : module.getOps<transformer::WeightOp>()) {
    if (!encoding::isPlain(encoding::elementOf(op.getEncoding())) ||
        !encodable.contains(op.getTensor()) || unsuited.contains(op.getSymName()) ||
        op.getShape()[1] % kSide != 0)
      continue;
    llvm::Expected<encoding::BlocksType> blocks = blocksOf(op, weights);
    if (!blocks)
      return blocks.takeError();
    if (*blocks)
      op.setEncodingAttr(TypeAttr::get(*blocks));
  }
  return llvm::Error::success();
}

} // namespace pianola
