// StoredMatrix.cpp - a quantised linear's matrix, out of the tensors that its format spreads it
// over.
#include "lib/checkpoint/StoredMatrix.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"

#include <algorithm>
#include <numeric>

namespace pianola {

llvm::Expected<TensorCache::Bytes> TensorCache::read(const TensorInfo &tensor) {
  constexpr size_t most = 16;
  {
    std::lock_guard lock(mutex);
    for (auto it = kept.begin(); it != kept.end(); ++it)
      if (it->first == &tensor) {
        kept.splice(kept.begin(), kept, it);
        return kept.front().second;
      }
  }
  auto bytes = std::make_shared<std::vector<uint8_t>>(tensor.bytes);
  if (llvm::Error error = weights.read(tensor, 0, *bytes))
    return std::move(error);
  std::lock_guard lock(mutex);
  kept.emplace_front(&tensor, bytes);
  if (kept.size() > most)
    kept.pop_back();
  return bytes;
}

namespace {

using Format = Quantisation::Format;

uint32_t wordOf(const std::vector<uint8_t> &bytes, int64_t index) {
  return llvm::support::endian::read32le(bytes.data() + index * 4);
}

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// What all formats share: how tensors are found, and scales read.
class Stored : public StoredMatrix {
public:
  Stored(const Quantisation &quantisation, const Quantisation::Weights &variant,
         const WeightSource &weights, TensorCache &cache, llvm::StringRef prefix,
         llvm::ArrayRef<int64_t> shape)
      : quantisation(quantisation), variant(variant), weights(weights), cache(cache),
        prefix(prefix), shape(shape), rows(rowsOf(shape)), columns(shape.back()) {
    how.code = variant.bits == 4 ? Code::I4 : Code::I8;
    how.group = variant.group >= columns ? 0 : variant.group;
  }

  /// Finds and checks the tensors.
  virtual llvm::Error open() = 0;

protected:
  static int64_t rowsOf(llvm::ArrayRef<int64_t> shape) {
    return std::accumulate(shape.begin(), shape.end() - 1, int64_t(1), std::multiplies<>());
  }

  std::string nameOf(llvm::StringRef part) const {
    return prefix + (variant.format == Format::Blocks ? "_" : ".") + part.str();
  }
  const TensorInfo *find(llvm::StringRef part) const { return weights.find(nameOf(part)); }

  llvm::Error wrong(llvm::StringRef part, const llvm::Twine &message) const {
    return refuse(weights.origin(nameOf(part)) + ": tensor " + inQuotes(nameOf(part)) + ": " +
                  message);
  }

  /// The tensor, of one of the shapes and types.
  llvm::Expected<const TensorInfo *> require(llvm::StringRef part,
                                             llvm::ArrayRef<llvm::SmallVector<int64_t, 2>> shapes,
                                             llvm::ArrayRef<DType> types) {
    const TensorInfo *tensor = find(part);
    if (!tensor)
      return wrong(part,
                   "missing, though the others of a " + quantisation.method + " linear are there");
    std::string expected;
    for (const auto &shape : shapes)
      expected += (expected.empty() ? "" : " or ") + showShape(shape);
    if (!llvm::is_contained(shapes, tensor->shape))
      return wrong(part, "shape: expected " + expected + ", found " + showShape(tensor->shape));
    if (!llvm::is_contained(types, tensor->dtype)) {
      std::string names;
      for (DType type : types)
        names += (names.empty() ? "" : " or ") + dtypeName(type).str();
      return wrong(part, "dtype: expected " + names + ", found " + dtypeName(tensor->dtype));
    }
    tensors.push_back(tensor->name);
    return tensor;
  }

  static constexpr DType kScaleTypes[] = {DType::F16, DType::BF16, DType::F32};

  void setScaleType(const TensorInfo &scales) {
    how.scale = scales.dtype == DType::F16    ? ScaleType::F16
                : scales.dtype == DType::BF16 ? ScaleType::BF16
                : scales.dtype == DType::F32  ? ScaleType::F32
                                              : ScaleType::E8M0;
  }
  float scaleAt(const std::vector<uint8_t> &bytes, int64_t index) const {
    const uint8_t *at = bytes.data();
    switch (how.scale) {
    case ScaleType::F16:
      return fromF16(llvm::support::endian::read16le(at + index * 2));
    case ScaleType::BF16:
      return fromBf16(llvm::support::endian::read16le(at + index * 2));
    case ScaleType::F32:
      return llvm::bit_cast<float>(llvm::support::endian::read32le(at + index * 4));
    case ScaleType::E8M0:
      return fromE8M0(at[index]);
    }
    llvm_unreachable("unknown scale type");
  }

  int64_t groups() const { return how.groups(columns); }

  /// Columns sorted by the group that g_idx puts them into, if that is not what they are.
  llvm::Error readOrder(llvm::StringRef part) {
    llvm::Expected<const TensorInfo *> tensor = require(part, {{columns}}, {DType::I32});
    if (!tensor)
      return tensor.takeError();
    llvm::Expected<TensorCache::Bytes> bytes = cache.read(**tensor);
    if (!bytes)
      return bytes.takeError();
    std::vector<int32_t> group(columns), order(columns);
    std::vector<int64_t> counts(groups());
    bool sorted = true;
    for (int64_t column = 0; column < columns; ++column) {
      group[column] = int32_t(wordOf(**bytes, column));
      if (group[column] < 0 || group[column] >= groups())
        return wrong(part, "column " + llvm::Twine(column) + ": expected a group from 0 to " +
                               llvm::Twine(groups() - 1) + ", found " + llvm::Twine(group[column]));
      ++counts[group[column]];
      sorted &= group[column] == column / how.groupOf(columns);
    }
    if (sorted)
      return llvm::Error::success();
    for (int64_t g = 0; g < groups(); ++g)
      if (int64_t size = std::min(how.groupOf(columns), columns - g * how.groupOf(columns));
          counts[g] != size)
        return wrong(part, "group " + llvm::Twine(g) + ": expected " + llvm::Twine(size) +
                               " columns, found " + llvm::Twine(counts[g]));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return std::pair(group[a], a) < std::pair(group[b], b);
    });
    how.order = std::move(order);
    return llvm::Error::success();
  }

  const Quantisation &quantisation;
  const Quantisation::Weights &variant;
  const WeightSource &weights;
  TensorCache &cache;
  std::string prefix;
  llvm::SmallVector<int64_t, 3> shape;
  int64_t rows, columns;
};

/// GPTQ and AWQ: all tensors have the rows of the matrix as their columns.
class Transposed : public Stored {
public:
  using Stored::Stored;

  llvm::Error open() override {
    bool isAwq = variant.format == Format::Awq;
    int64_t perWord = 32 / variant.bits;
    if (rows % perWord || (!isAwq && columns % perWord))
      return wrong("qweight", "a matrix of " + showShape({rows, columns}) + " has no whole words");
    llvm::SmallVector<int64_t, 2> packed =
        isAwq ? llvm::SmallVector<int64_t, 2>{columns, rows / perWord}
              : llvm::SmallVector<int64_t, 2>{columns / perWord, rows};
    if (llvm::Error error = require("qweight", {packed}, {DType::I32}).moveInto(codes))
      return error;
    if (llvm::Error error =
            require("qzeros", {{groups(), rows / perWord}}, {DType::I32}).moveInto(zeros))
      return error;
    if (llvm::Error error = require("scales", {{groups(), rows}}, kScaleTypes).moveInto(scales))
      return error;
    setScaleType(*scales);
    if (find("g_idx"))
      if (llvm::Error error = readOrder("g_idx"))
        return error;
    // Zero points that are all in the middle are none.
    llvm::Expected<TensorCache::Bytes> words = cache.read(*zeros);
    if (!words)
      return words.takeError();
    for (int64_t g = 0; g < groups() && !how.zeros; ++g)
      for (int64_t row = 0; row < rows && !how.zeros; ++row)
        how.zeros = zeroAt(**words, g, row) != impliedZero(how.code);
    return llvm::Error::success();
  }

  llvm::Error read(int64_t first, EncodedRows &out) const override {
    TensorCache::Bytes words, scaleBytes, zeroWords;
    if (llvm::Error error = cache.read(*codes).moveInto(words))
      return error;
    if (llvm::Error error = cache.read(*scales).moveInto(scaleBytes))
      return error;
    if (llvm::Error error = cache.read(*zeros).moveInto(zeroWords))
      return error;
    int64_t bits = variant.bits, perWord = 32 / bits, mask = (1 << bits) - 1;
    for (int64_t column = 0; column < columns; ++column) {
      int64_t from = how.order.empty() ? column : how.order[column];
      for (int64_t r = 0; r < out.rows; ++r) {
        int64_t row = first + r;
        uint32_t code =
            variant.format == Format::Awq
                ? wordOf(*words, from * (rows / perWord) + row / perWord) >> placeInWord(row)
                : wordOf(*words, from / perWord * rows + row) >> from % perWord * bits;
        out.codes[r * columns + column] = uint8_t(code & mask);
      }
    }
    for (int64_t g = 0; g < groups(); ++g)
      for (int64_t r = 0; r < out.rows; ++r) {
        out.scales[r * groups() + g] = scaleAt(*scaleBytes, g * rows + first + r);
        if (how.zeros)
          out.zeros[r * groups() + g] = zeroAt(*zeroWords, g, first + r);
      }
    return llvm::Error::success();
  }

private:
  // AWQ's words hold eight columns, the even ones in the lower half.
  int64_t placeInWord(int64_t row) const { return (row % 8 / 2 + row % 2 * 4) * 4; }

  uint8_t zeroAt(const std::vector<uint8_t> &words, int64_t group, int64_t row) const {
    int64_t perWord = 32 / variant.bits, mask = (1 << variant.bits) - 1;
    uint32_t word = wordOf(words, group * (rows / perWord) + row / perWord);
    if (variant.format == Format::Awq)
      return uint8_t(word >> placeInWord(row) & mask);
    // One less than it means wraps around: a stored 15 is 0.
    return uint8_t(((word >> row % perWord * variant.bits) + quantisation.zerosLessOne) & mask);
  }

  const TensorInfo *codes = nullptr, *zeros = nullptr, *scales = nullptr;
};

/// compressed-tensors' packed integers, and MXFP4.
class Packed : public Stored {
public:
  using Stored::Stored;

  llvm::Error open() override {
    if (variant.format == Format::Blocks)
      return openBlocks();
    bool isFloat = variant.format == Format::Mxfp4;
    int64_t perWord = isFloat ? 2 : 32 / variant.bits;
    if (isFloat)
      how.code = Code::F4E2M1;
    wordBytes = isFloat ? 1 : 4;
    if (llvm::Error error = require("weight_packed", {{rows, divideUp(columns, perWord)}},
                                    {isFloat ? DType::U8 : DType::I32})
                                .moveInto(codes))
      return error;
    llvm::Expected<const TensorInfo *> scaleTensor =
        isFloat ? require("weight_scale", {{rows, groups()}}, {DType::U8, DType::F8E8M0})
                : require("weight_scale", {{rows, groups()}}, kScaleTypes);
    if (!scaleTensor)
      return scaleTensor.takeError();
    scales = *scaleTensor;
    setScaleType(*scales);
    if (find("weight_shape"))
      tensors.push_back(nameOf("weight_shape"));
    if (find("weight_zero_point")) {
      if (llvm::Error error =
              require("weight_zero_point", {{divideUp(rows, perWord), groups()}}, {DType::I32})
                  .moveInto(zeros))
        return error;
      how.zeros = true;
    }
    return find("weight_g_idx") ? readOrder("weight_g_idx") : llvm::Error::success();
  }

  llvm::Error read(int64_t first, EncodedRows &out) const override {
    int64_t bits = variant.bits, perWord = wordBytes * 8 / bits, mask = (1 << bits) - 1;
    int64_t words = divideUp(columns, perWord);
    std::vector<uint8_t> bytes(out.rows * words * wordBytes);
    if (llvm::Error error = weights.read(*codes, first * words * wordBytes, bytes))
      return error;
    for (int64_t r = 0; r < out.rows; ++r)
      for (int64_t column = 0; column < columns; ++column) {
        int64_t from = how.order.empty() ? column : how.order[column];
        // Little-endian words: a code is in the same byte whatever a word's size.
        int64_t bit = r * words * wordBytes * 8 + from * bits;
        out.codes[r * columns + column] = bytes[bit / 8] >> bit % 8 & mask;
      }
    TensorCache::Bytes scaleBytes, zeroWords;
    if (llvm::Error error = cache.read(*scales).moveInto(scaleBytes))
      return error;
    if (zeros)
      if (llvm::Error error = cache.read(*zeros).moveInto(zeroWords))
        return error;
    for (int64_t r = 0; r < out.rows; ++r)
      for (int64_t g = 0; g < groups(); ++g) {
        int64_t row = first + r;
        out.scales[r * groups() + g] = scaleAt(*scaleBytes, row * groups() + g);
        if (zeros) // packed along rows
          out.zeros[r * groups() + g] = uint8_t(
              wordOf(*zeroWords, row / perWord * groups() + g) >> row % perWord * bits & mask);
      }
    return llvm::Error::success();
  }

private:
  llvm::Error openBlocks() {
    if (columns % 32)
      return wrong("blocks", "expected a multiple of 32 columns, found " + llvm::Twine(columns));
    how.code = Code::F4E2M1;
    how.group = 32;
    llvm::SmallVector<int64_t, 2> inScales(shape.begin(), shape.end()), inBlocks;
    inScales.back() = columns / 32;
    inBlocks = inScales;
    inBlocks.push_back(16);
    if (llvm::Error error = require("blocks", {inBlocks}, {DType::U8}).moveInto(codes))
      return error;
    if (llvm::Error error =
            require("scales", {inScales}, {DType::U8, DType::F8E8M0}).moveInto(scales))
      return error;
    setScaleType(*scales);
    return llvm::Error::success();
  }

  int64_t wordBytes = 4;
  const TensorInfo *codes = nullptr, *zeros = nullptr, *scales = nullptr;
};

/// One byte a number, in a tensor of the matrix's shape.
class Codes : public Stored {
public:
  using Stored::Stored;

  llvm::Error open() override {
    if (llvm::Error error =
            require("weight", {{rows, columns}}, {DType::I8, DType::F8E4M3}).moveInto(codes))
      return error;
    how.code = codes->dtype == DType::I8 ? Code::I8 : Code::F8E4M3;
    scalePart = find("weight_scale_inv") ? "weight_scale_inv" : "weight_scale";
    // One for all, one a row, or one for each block of rows and columns.
    int64_t blocks = divideUp(rows, variant.blockRows);
    llvm::SmallVector<llvm::SmallVector<int64_t, 2>> shapes = {{blocks, groups()}};
    if (how.group == 0)
      shapes.append({{}, {1}, {rows}, {1, 1}});
    if (llvm::Error error = require(scalePart, shapes, kScaleTypes).moveInto(scales))
      return error;
    setScaleType(*scales);
    scaleRows = scales->elements() == 1 ? rows : divideUp(rows, blocks);
    if (scales->shape.size() == 2 && scales->shape[0] == blocks)
      scaleRows = variant.blockRows;
    for (const char *part : {"input_scale", "activation_scale"})
      if (find(part)) // of activations, which stay as they are
        tensors.push_back(nameOf(part));
    if (find("weight_zero_point") && how.code == Code::I8) {
      if (llvm::Error error =
              require("weight_zero_point", {scales->shape}, {DType::I8}).moveInto(zeros))
        return error;
      how.zeros = true;
    }
    return llvm::Error::success();
  }

  llvm::Error read(int64_t first, EncodedRows &out) const override {
    if (llvm::Error error = weights.read(*codes, uint64_t(first) * columns, out.codes))
      return error;
    if (how.code == Code::I8) // two's complement becomes the distance from -128
      for (uint8_t &code : out.codes)
        code ^= 0x80;
    else if (auto bad = llvm::find_if(out.codes, [](uint8_t c) { return (c & 0x7f) == 0x7f; });
             bad != out.codes.end())
      return wrong("weight", "row " + llvm::Twine(first + (bad - out.codes.begin()) / columns) +
                                 ": is not a number");
    TensorCache::Bytes scaleBytes, zeroBytes;
    if (llvm::Error error = cache.read(*scales).moveInto(scaleBytes))
      return error;
    if (zeros)
      if (llvm::Error error = cache.read(*zeros).moveInto(zeroBytes))
        return error;
    for (int64_t r = 0; r < out.rows; ++r)
      for (int64_t g = 0; g < groups(); ++g) {
        int64_t from = (first + r) / scaleRows * groups() + g;
        out.scales[r * groups() + g] = scaleAt(*scaleBytes, from);
        if (zeros)
          out.zeros[r * groups() + g] = (*zeroBytes)[from] ^ 0x80;
      }
    return llvm::Error::success();
  }

private:
  std::string scalePart;
  int64_t scaleRows = 1; // that share a scale
  const TensorInfo *codes = nullptr, *zeros = nullptr, *scales = nullptr;
};

} // namespace

llvm::Expected<std::unique_ptr<StoredMatrix>> openStored(const Quantisation &quantisation,
                                                         const WeightSource &weights,
                                                         TensorCache &cache, llvm::StringRef prefix,
                                                         llvm::ArrayRef<int64_t> shape) {
  std::string firstProblem;
  for (const Quantisation::Weights &variant : quantisation.variants) {
    std::unique_ptr<Stored> matrix;
    std::string codes = "weight_packed";
    if (variant.format == Format::Blocks)
      codes = "blocks";
    else if (variant.format == Format::Gptq || variant.format == Format::Awq)
      codes = "qweight";
    else if (variant.format == Format::Codes)
      codes = "weight";
    const TensorInfo *tensor =
        weights.find((prefix + (codes == "blocks" ? "_" : ".") + codes).str());
    if (!tensor ||
        (codes == "weight" && tensor->dtype != DType::I8 && tensor->dtype != DType::F8E4M3))
      return nullptr;
    if (codes == "qweight")
      matrix = std::make_unique<Transposed>(quantisation, variant, weights, cache, prefix, shape);
    else if (codes == "weight")
      matrix = std::make_unique<Codes>(quantisation, variant, weights, cache, prefix, shape);
    else
      matrix = std::make_unique<Packed>(quantisation, variant, weights, cache, prefix, shape);
    std::string problem = llvm::toString(matrix->open());
    if (problem.empty())
      return matrix;
    if (firstProblem.empty())
      firstProblem = std::move(problem);
  }
  return refuse(firstProblem);
}

} // namespace pianola
