// TiedWeights.cpp - weights that are equal, to the last bit, stand once.
#include "lib/encode/TiedWeights.h"

#include "dialects/transformer/Transformer.h"
#include "lib/encode/EncodingType.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace pianola {
namespace {

// What a weight's rows, or elements, stand for: bytes that are equal if and only if they are.
class Contents {
public:
  Contents(const WeightSource &weights, transformer::WeightOp op)
      : weights(weights), tensor(*weights.find(op.getTensor())),
        rowBytes(tensor.bytes / tensor.shape[0]) {}

  int64_t rows() const { return tensor.shape[0]; }
  int64_t rowsAtOnce(int64_t bytes) const {
    return std::clamp<int64_t>(bytes / rowBytes, 1, rows());
  }

  llvm::Expected<std::string> read(int64_t first, int64_t count) const {
    std::string text;
    if (!tensor.scaling) {
      text.resize(count * rowBytes);
      MutableArrayRef bytes(reinterpret_cast<uint8_t *>(text.data()), text.size());
      if (llvm::Error error = weights.read(tensor, first * rowBytes, bytes))
        return std::move(error);
      return text;
    }
    llvm::Expected<EncodedRows> rows = weights.readRows(tensor, first, count);
    if (!rows)
      return rows.takeError();
    auto add = [&](const auto &values) {
      text.append(reinterpret_cast<const char *>(values.data()),
                  values.size() * sizeof(*values.data()));
    };
    add(rows->codes);
    add(rows->scales);
    add(rows->zeros);
    add(tensor.scaling->order);
    return text;
  }

private:
  const WeightSource &weights;
  const TensorInfo &tensor;
  uint64_t rowBytes;
};

llvm::Expected<bool> areEqual(const Contents &one, const Contents &other) {
  int64_t count = one.rowsAtOnce(1 << 20);
  for (int64_t row = 0; row < one.rows(); row += count) {
    count = std::min(count, one.rows() - row);
    llvm::Expected<std::string> first = one.read(row, count);
    if (!first)
      return first.takeError();
    llvm::Expected<std::string> second = other.read(row, count);
    if (!second)
      return second.takeError();
    if (*first != *second)
      return false;
  }
  return true;
}

constexpr llvm::StringLiteral kEnds = "embedding and head";

// Positions may have a table of rows like the embedding's: never the same one.
llvm::StringSet<> embeddingAndHead(ModuleOp module) {
  llvm::StringSet<> found;
  module.walk([&](transformer::EmbedOp op) { found.insert(op.getWeight()); });
  module.walk([&](transformer::LmHeadOp op) { found.insert(op.getWeight()); });
  return found;
}

// Weights of one place may stand for each other: of layers, "layers.N.mlp.up" and the like, those
// that differ in N; and embedding and head. Nothing: no others may. For a stage that used the same
// matrix twice would take it from its tape twice.
std::string placeOf(const llvm::StringSet<> &ends, transformer::WeightOp op) {
  auto [before, behind] = op.getSymName().split('.');
  auto [layer, name] = behind.split('.');
  if (!layer.empty() && llvm::all_of(layer, llvm::isDigit))
    return (before + ".N." + name).str();
  return ends.contains(op.getSymName()) ? kEnds.str() : "";
}

} // namespace

llvm::Error tieWeights(ModuleOp module, const WeightSource &weights, llvm::raw_ostream &notes) {
  llvm::StringSet<> ends = embeddingAndHead(module);
  llvm::StringMap<SmallVector<transformer::WeightOp, 1>> kept; // by place, type and first rows
  for (auto op : llvm::make_early_inc_range(module.getOps<transformer::WeightOp>())) {
    std::string place = placeOf(ends, op);
    if (place.empty())
      continue;
    Contents contents(weights, op);
    llvm::Expected<std::string> first = contents.read(0, contents.rowsAtOnce(1 << 12));
    if (!first)
      return first.takeError();
    std::string key;
    llvm::raw_string_ostream(key) << place << ' ' << op.getEncoding() << ' ' << op.getShapeAttr()
                                  << ' ' << llvm::xxh3_64bits(*first);
    transformer::WeightOp same;
    SmallVector<transformer::WeightOp, 1> &alike = kept[key];
    for (transformer::WeightOp other : alike) {
      llvm::Expected<bool> equal = areEqual(contents, Contents(weights, other));
      if (!equal)
        return equal.takeError();
      if (*equal) {
        same = other;
        break;
      }
    }
    if (!same) {
      alike.push_back(op);
      continue;
    }
    if (place == kEnds)
      notes << "note: " << op.getTensor() << " is equal to " << same.getTensor()
            << " and stands once\n";
    if (failed(SymbolTable::replaceAllSymbolUses(op, same.getSymNameAttr(), module)))
      return llvm::createStringError(op.getTensor() + ": its uses cannot be found");
    op.erase();
  }
  return llvm::Error::success();
}

} // namespace pianola
