//===- PackTile.cpp - From rows of a checkpoint to bytes of a tape --------===//

#include "lib/encode/PackTile.h"
#include "lib/encode/ZeroBlocks.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include <cmath>

using namespace mlir;

namespace pianola {

namespace {

// Rows of a tile as they stand in the checkpoint, and how many of them there are.
struct SourceRows {
  std::vector<uint8_t> bytes;
  int64_t count;
};

llvm::Expected<SourceRows> readRows(const WeightSource &source, const TensorInfo &tensor,
                                    int64_t first, int64_t count) {
  int64_t rows = tensor.shape[0];
  SourceRows result;
  result.count = std::clamp<int64_t>(rows - first, 0, count);
  if (result.count == 0) // padding may be whole tiles
    return result;
  if (tensor.scaling) { // what codes mean, where a tape has none
    int64_t columns = tensor.shape[1];
    result.bytes.resize(result.count * columns * sizeof(float));
    MutableArrayRef floats(reinterpret_cast<float *>(result.bytes.data()), result.count * columns);
    if (llvm::Error error = source.readFloats(tensor, uint64_t(first) * columns, floats))
      return std::move(error);
    return result;
  }
  uint64_t rowBytes = tensor.bytes / rows;
  result.bytes.resize(result.count * rowBytes);
  if (llvm::Error error = source.read(tensor, first * rowBytes, result.bytes))
    return std::move(error);
  return result;
}

// Element (r, k) of a group of `group` rows goes to ((k / run) * group + r) * run + k % run, run
// being 2 for bf16, whose products take pairs, and 1 otherwise.
template <typename Element>
void packGroup(const Element *rows, int64_t valid, int64_t stride, int64_t group, int64_t run,
               tile::MatrixType type, Element *out) {
  for (int64_t r = 0; r < valid; ++r)
    for (int64_t block = 0; block < type.getBlocks(); ++block) {
      const Element *from = rows + r * stride + block * type.getColumns();
      int64_t k = block * type.getColumnPad();
      if (run == 2)
        for (int64_t c = 0; c < type.getColumns(); ++c, ++k)
          out[((k >> 1) * group + r) * 2 + (k & 1)] = from[c];
      else
        for (int64_t c = 0; c < type.getColumns(); ++c, ++k)
          out[k * group + r] = from[c];
    }
}

template <typename Element>
void packMatrix(const SourceRows &rows, int64_t run, tile::MatrixType type, uint8_t *out) {
  int64_t stride = type.getBlocks() * type.getColumns();
  for (int64_t first = 0; first < type.getRowPad(); first += 32) {
    int64_t group = std::min<int64_t>(32, type.getRowPad() - first);
    int64_t valid = std::clamp<int64_t>(rows.count - first, 0, group);
    packGroup(reinterpret_cast<const Element *>(rows.bytes.data()) + first * stride, valid, stride,
              group, run, type, reinterpret_cast<Element *>(out) + first * type.getDepth());
  }
}

void packScale(encoding::Scale type, float scale, uint8_t *out) {
  switch (type) {
  case encoding::Scale::F32:
    return llvm::support::endian::write32le(out, llvm::bit_cast<uint32_t>(scale));
  case encoding::Scale::BF16:
    return llvm::support::endian::write16le(out, toBf16(scale));
  case encoding::Scale::F16:
    return llvm::support::endian::write16le(out, toF16(scale));
  case encoding::Scale::E8M0:
    *out = uint8_t(std::ilogb(scale) + 127);
  }
}

// Codes and scales, in groups of `most` rows: see !tile.matrix. `pad` is what `columns` are padded
// to, block by block.
llvm::Error packCodes(encoding::ScaledType type, int64_t firstRow, int64_t rowCount, int64_t rowPad,
                      int64_t most, int64_t blocks, int64_t columns, int64_t pad,
                      const WeightSource &source, const TensorInfo &tensor, uint8_t *at) {
  int64_t depth = blocks * pad;
  int64_t valid = std::clamp<int64_t>(tensor.shape[0] - firstRow, 0, rowCount);
  if (valid == 0)
    return llvm::Error::success();
  llvm::Expected<EncodedRows> rows = source.readRows(tensor, firstRow, valid);
  if (!rows)
    return rows.takeError();
  int64_t bits = type.getCodeBits(), perStep = 32 / bits, scaleBytes = type.getScaleBytes();
  int64_t group = type.getGroupOf(depth);
  for (int64_t first = 0; first < rowPad; first += most) {
    int64_t lanes = std::min(most, rowPad - first);
    int64_t here = std::clamp<int64_t>(valid - first, 0, lanes);
    for (int64_t g = 0, begin = 0; begin < depth; ++g, begin += group) {
      int64_t end = std::min(begin + group, depth);
      uint8_t *zeros = at + lanes * scaleBytes, *codes = zeros + lanes * type.getZeroBytes();
      for (int64_t r = 0; r < here; ++r) {
        int64_t from = (first + r) * rows->groups + g;
        packScale(type.getScale(), rows->scales[from], at + r * scaleBytes);
        if (type.getZeros())
          zeros[r] = rows->zeros[from];
        uint8_t zero = type.getZeros() ? rows->zeros[from] : impliedZero(Code(type.getCode()));
        const uint8_t *source = rows->codes.data() + (first + r) * rows->columns;
        for (int64_t k = begin; k < end; ++k) {
          // Padding means zero.
          int64_t block = k / pad, column = k % pad, inGroup = k - begin;
          uint8_t code = column < columns ? source[block * columns + column] : zero;
          int64_t byte = (inGroup / perStep * lanes + r) * 4 + inGroup % 4;
          codes[byte] |= bits == 8 || inGroup % 8 < 4 ? code : code << 4;
        }
      }
      at = codes + lanes * (end - begin) * bits / 8;
    }
  }
  return llvm::Error::success();
}

// Rows of a tile, which may lie in the padding behind a block of rows.
struct RowRange {
  int64_t first, count;
};
RowRange rowsOf(tile::MatrixType type, int64_t tile) {
  int64_t first = tile * type.getRows(), count = type.getRows();
  if (int64_t pad = type.getRowBlockPad()) {
    int64_t inBlock = first % pad;
    count = std::clamp<int64_t>(type.getRowBlock() - inBlock, 0, count);
    first = first / pad * type.getRowBlock() + inBlock;
  }
  return {first, count};
}

// Element (r, k) goes to ((k / panel) * rows + r) * panel + k % panel.
template <typename Element>
void packPanels(const SourceRows &rows, tile::MatrixType type, uint8_t *bytes) {
  auto *out = reinterpret_cast<Element *>(bytes);
  int64_t panel = type.getPanel(), stride = type.getBlocks() * type.getColumns();
  for (int64_t r = 0; r < rows.count; ++r)
    for (int64_t block = 0; block < type.getBlocks(); ++block) {
      const Element *from = reinterpret_cast<const Element *>(rows.bytes.data()) + r * stride +
                            block * type.getColumns();
      int64_t k = block * type.getColumnPad(), end = k + type.getColumns();
      while (k < end) { // run by run: a run ends with its panel
        int64_t run = std::min(end - k, panel - k % panel);
        std::copy_n(from, run, out + ((k / panel) * type.getRows() + r) * panel + k % panel);
        from += run;
        k += run;
      }
    }
}

// Where codes stand in a panel is said at !tile.matrix.
llvm::Error packPanelCodes(tile::MatrixType type, int64_t tile, const WeightSource &source,
                           const TensorInfo &tensor, uint8_t *out) {
  encoding::ScaledType codes = type.getCodes();
  RowRange range = rowsOf(type, tile);
  int64_t first = range.first;
  int64_t count = std::clamp<int64_t>(tensor.shape[0] - first, 0, range.count);
  EncodedRows rows;
  if (count) {
    llvm::Expected<EncodedRows> read = source.readRows(tensor, first, count);
    if (!read)
      return read.takeError();
    rows = std::move(*read);
  }
  int64_t depth = type.getDepth(), panel = type.getPanel(), bits = codes.getCodeBits();
  int64_t group = codes.getGroupOf(depth), scaleBytes = codes.getScaleBytes();
  uint8_t implied = impliedZero(Code(codes.getCode()));
  // `ofRow` scales of each row, those of column `begin` and each `step` columns further.
  auto packScales = [&](uint8_t *to, int64_t ofRow, int64_t begin, int64_t step) {
    uint8_t *zeros = to + type.getScalesBytes(ofRow);
    for (int64_t r = 0; r < count; ++r)
      for (int64_t i = 0; i < ofRow && begin + i * step < depth; ++i) {
        int64_t from = r * rows.groups + (begin + i * step) / group, at = r * ofRow + i;
        packScale(codes.getScale(), rows.scales[from], to + at * scaleBytes);
        if (codes.getZeros())
          zeros[at] = rows.zeros[from];
      }
  };
  if (type.getFirstPanel())
    packScales(out, 1, 0, depth);
  for (int64_t p = 0; p < type.getPanels(); ++p) {
    uint8_t *to = out + type.getFirstPanel() + p * type.getPanelBytes();
    if (type.getPanelScales())
      packScales(to, type.getPanelScales(), p * panel, type.getScaleColumns());
    uint8_t *bytes = to + type.getPanelBytes() - type.getRows() * panel * bits / 8;
    for (int64_t r = 0; r < type.getRows(); ++r)
      for (int64_t k = 0; k < panel; ++k) {
        int64_t at = p * panel + k, block = at / type.getColumnPad();
        int64_t column = at % type.getColumnPad();
        uint8_t code = implied;
        // Padding means zero.
        if (r < count && block < type.getBlocks() && column < type.getColumns())
          code = rows.codes[r * rows.columns + block * type.getColumns() + column];
        else if (codes.getZeros())
          code = r < count && at < depth ? rows.zeros[r * rows.groups + at / group] : 0;
        int64_t i = k % 8;
        uint8_t *lane = bytes + r * 64 + k / 8 % 4 * 16;
        if (bits == 8)
          lane[k / 32 * 8 + i] = code;
        else
          lane[k / 32 * 4 + i % 2 * 2 + i / 4] |= i / 2 % 2 == 0 ? code : code << 4;
      }
  }
  return llvm::Error::success();
}

// Of four columns the two that stand there: their places as panels have them and as groups have
// them. Nothing if more are not zero.
struct KeptPair {
  uint32_t number, places, elements;
};
std::optional<KeptPair> keptOf(const uint16_t (&four)[4]) {
  constexpr int kColumns[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
  // Either zero, which differ in their sign, adds nothing to a sum.
  auto isKept = [&](int column) { return (four[column] & 0x7fff) != 0; };
  int kept = isKept(0) + isKept(1) + isKept(2) + isKept(3);
  for (uint32_t number = 0; number < 6; ++number) {
    auto [a, b] = kColumns[number];
    if (isKept(a) + isKept(b) == kept)
      return KeptPair{number, uint32_t(a | b << 2), four[a] | uint32_t(four[b]) << 16};
  }
  return std::nullopt;
}

// Where patterns and elements stand, in panels and without, is said at !tile.matrix.
llvm::Error packPruned(tile::MatrixType type, const SourceRows &rows, const TensorInfo &tensor,
                       uint8_t *out) {
  int64_t stride = type.getBlocks() * type.getColumns(), depth = type.getDepth();
  auto elements = reinterpret_cast<const uint16_t *>(rows.bytes.data());
  for (int64_t r = 0; r < rows.count; ++r)
    for (int64_t k = 0; k < depth; k += 4) {
      uint16_t four[4] = {};
      int64_t block = k / type.getColumnPad(), column = k % type.getColumnPad();
      int64_t count = std::clamp<int64_t>(type.getColumns() - column, 0, 4);
      std::copy_n(elements + r * stride + block * type.getColumns() + column, count, four);
      std::optional<KeptPair> kept = keptOf(four);
      if (!kept)
        return llvm::createStringError(tensor.name + " row " + llvm::Twine(r) + ", columns " +
                                       llvm::Twine(k) + " to " + llvm::Twine(k + 3) +
                                       ": more than two are not zero");
      int64_t number = k % 32 / 4; // of the pattern in its 32 columns
      if (type.getPanel()) {
        uint8_t *panel = out + k / 64 * type.getPanelBytes();
        int64_t lane = number / 2, half = k % 64 / 32, q = number % 2;
        panel[r * 8 + lane * 2 + half] |= kept->number << 4 * q;
        llvm::support::endian::write32le(
            panel + type.getRows() * 8 + r * 64 + lane * 16 + half * 8 + q * 4, kept->elements);
        continue;
      }
      int64_t inGroup = r % 32, group = std::min<int64_t>(32, type.getRowPad() - (r - inGroup));
      uint8_t *at = out + (r - inGroup) * encoding::rowBytes(type.getElement(), depth) +
                    k / 32 * group * encoding::rowBytes(type.getElement(), 32);
      at[inGroup * 4 + number / 2] |= kept->places << number % 2 * 4;
      llvm::support::endian::write32le(at + ((1 + number) * group + inGroup) * 4, kept->elements);
    }
  return llvm::Error::success();
}

// Blocks of columns, each group of rows, or tile in panels, with as many. Where one has fewer that
// are not zero, the first zeros stand there.
template <typename Element>
llvm::Error packKept(tile::MatrixType type, const SourceRows &rows, int64_t firstRow,
                     const TensorInfo &tensor, uint8_t *out) {
  constexpr int64_t kSide = encoding::BlocksType::kSide;
  int64_t kept = type.getKept(), depth = type.getDepth(), rowBytes = depth * sizeof(Element);
  int64_t most = type.getPanel() ? type.getRows() : 32;
  for (int64_t first = 0; first < type.getRowPad(); first += most) {
    int64_t group = std::min(most, type.getRowPad() - first);
    int64_t valid = std::clamp<int64_t>(rows.count - first, 0, group);
    llvm::ArrayRef<uint8_t> bytes = rows.bytes;
    bytes = bytes.slice(valid ? first * rowBytes : 0, valid * rowBytes);
    std::vector<bool> there = blocksThere(bytes, depth, sizeof(Element));
    int64_t missing = kept - llvm::count(there, true);
    if (missing < 0)
      return llvm::createStringError(
          llvm::Twine(tensor.name) + " row " + llvm::Twine(firstRow + first) +
          " and those with it: " + llvm::Twine(kept - missing) + " blocks are not zero, of which " +
          llvm::Twine(kept) + " are kept");
    uint8_t *blocks = out + type.getNumbersBytes();
    for (int64_t block = 0, which = 0; which < kept; ++block) {
      if (!there[block] && missing-- <= 0)
        continue;
      uint8_t *number = out + which * 4, *to = blocks + which * group * kSide * sizeof(Element);
      if (type.getPanel()) {
        number = out + which * type.getPanelBytes();
        to = number + tile::MatrixType::kNumberBytes;
      }
      llvm::support::endian::write32le(number, uint32_t(block));
      auto *elements = reinterpret_cast<Element *>(to);
      for (int64_t r = 0; r < valid; ++r) {
        auto *from = reinterpret_cast<const Element *>(bytes.data() + r * rowBytes) + block * kSide;
        int64_t run = type.getElement().isBF16() ? 2 : 1;
        for (int64_t k = 0; k < kSide; ++k)
          elements[type.getPanel() ? r * kSide + k : (k / run * group + r) * run + k % run] =
              from[k];
      }
      ++which;
    }
    out += type.getKeptGroupBytes(group);
  }
  return llvm::Error::success();
}

llvm::Error packVector(tile::VectorType type, int64_t tile, const WeightSource &source,
                       const TensorInfo &tensor, MutableArrayRef<uint8_t> out) {
  if (type.getOrder()) {
    auto *places = reinterpret_cast<int32_t *>(out.data());
    const std::vector<int32_t> &order = tensor.scaling->order;
    for (int64_t j = 0; j < tensor.shape[1]; ++j) {
      int64_t column = order.empty() ? j : order[j];
      places[j] = int32_t(column / type.getSize() * type.getPad() + column % type.getSize());
    }
    return llvm::Error::success();
  }
  auto *floats = reinterpret_cast<float *>(out.data());
  auto elements = static_cast<int64_t>(tensor.elements()); // of a matrix, row by row
  int64_t first = type.getPerTile() ? tile * type.getBlocks() * type.getSize() : 0;
  for (int64_t block = 0; block < type.getBlocks(); ++block) {
    int64_t from = first + block * type.getSize();
    int64_t count = std::clamp<int64_t>(elements - from, 0, type.getSize());
    if (count == 0)
      continue;
    if (llvm::Error error =
            source.readFloats(tensor, from, MutableArrayRef(floats + block * type.getPad(), count)))
      return error;
  }
  return llvm::Error::success();
}

} // namespace

llvm::Error packPiece(const schedule::TapeUse &use, const WeightSource &source,
                      const TensorInfo &tensor, MutableArrayRef<uint8_t> out) {
  std::fill(out.begin(), out.end(), 0);
  if (auto vector = dyn_cast<tile::VectorType>(use.type))
    return packVector(vector, use.tile, source, tensor, out);
  auto matrix = cast<tile::MatrixType>(use.type);
  if (matrix.getCodes() && matrix.getPanel())
    return packPanelCodes(matrix, use.tile, source, tensor, out.data());
  RowRange range = rowsOf(matrix, use.tile);
  if (encoding::ScaledType type = matrix.getCodes())
    return packCodes(type, range.first, range.count, matrix.getRowPad(), 32, matrix.getBlocks(),
                     matrix.getColumns(), matrix.getColumnPad(), source, tensor, out.data());
  llvm::Expected<SourceRows> rows = readRows(source, tensor, range.first, range.count);
  if (!rows)
    return rows.takeError();
  if (matrix.isPruned())
    return packPruned(matrix, *rows, tensor, out.data());
  if (matrix.getKept())
    return matrix.getElement().isF32()
               ? packKept<uint32_t>(matrix, *rows, range.first, tensor, out.data())
               : packKept<uint16_t>(matrix, *rows, range.first, tensor, out.data());
  if (matrix.getPanel()) {
    if (matrix.getElement().isF32())
      packPanels<uint32_t>(*rows, matrix, out.data());
    else
      packPanels<uint16_t>(*rows, matrix, out.data());
    return llvm::Error::success();
  }
  if (matrix.getElement().isBF16())
    packMatrix<uint16_t>(*rows, 2, matrix, out.data());
  else if (matrix.getElement().isF16())
    packMatrix<uint16_t>(*rows, 1, matrix, out.data());
  else
    packMatrix<uint32_t>(*rows, 1, matrix, out.data());
  return llvm::Error::success();
}

llvm::Error packTableRows(tile::TableType table, int64_t first, int64_t count,
                          const WeightSource &source, const TensorInfo &tensor,
                          MutableArrayRef<uint8_t> out) {
  std::fill(out.begin(), out.end(), 0);
  if (auto type = dyn_cast<encoding::ScaledType>(table.getElement()))
    return packCodes(type, first, count, count, 1, 1, table.getColumns(), table.getColumnPad(),
                     source, tensor, out.data());
  llvm::Expected<SourceRows> rows = readRows(source, tensor, first, count);
  if (!rows)
    return rows.takeError();
  int64_t element = table.getElement().getIntOrFloatBitWidth() / 8;
  for (int64_t r = 0; r < rows->count; ++r)
    std::copy_n(rows->bytes.data() + r * table.getColumns() * element, table.getColumns() * element,
                out.data() + r * table.getColumnPad() * element);
  return llvm::Error::success();
}

} // namespace pianola
