// DerivedWeights.cpp - tensors made of other tensors' rows or columns, or 1 + w.
#include "lib/checkpoint/DerivedWeights.h"

#include "lib/checkpoint/Refusal.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace pianola {

// Rows of several dimensions are counted through; what has a row for each element is a vector.
static int64_t rowsOf(llvm::ArrayRef<int64_t> shape, TensorRole role) {
  int64_t rows = 1;
  for (int64_t size : role == TensorRole::Matrix ? shape.drop_back() : shape)
    rows *= size;
  return rows;
}

llvm::Expected<DerivedWeights::Piece> DerivedWeights::pieceOf(const WeightPart &part,
                                                              TensorRole role, int64_t first) {
  llvm::Expected<const TensorInfo *> from = stored->require(part.tensor, part.shape, role);
  if (!from)
    return from.takeError();
  int64_t there = part.columnsOf ? part.shape.back() : rowsOf(part.shape, role);
  assert(std::all_of(part.rows.begin(), part.rows.end(),
                     [&](int64_t row) { return row >= 0 && row < there; }));
  Piece piece{*from, part.rows, part.columnsOf, first,
              part.rows.empty() ? there : int64_t(part.rows.size())};
  if (part.columnsOf) {
    piece.depthBegin = part.first;
    piece.depth = part.count ? part.count : part.shape[part.shape.size() - 2];
  }
  return piece;
}

llvm::Expected<const TensorInfo *>
DerivedWeights::derive(llvm::StringRef name, llvm::ArrayRef<WeightPart> parts, TensorRole role) {
  if (auto it = derived.find(name); it != derived.end())
    return &it->second.tensor;
  Derived made;
  int64_t count = 0;
  for (const WeightPart &part : parts) {
    llvm::Expected<Piece> piece = pieceOf(part, role, count);
    if (!piece)
      return piece.takeError();
    count += piece->count;
    made.pieces.push_back(std::move(*piece));
  }
  const TensorInfo &first = *made.pieces.front().from;
  for (const Piece &piece : made.pieces)
    if (piece.from->dtype != first.dtype || piece.from->scaling != first.scaling)
      return refuse(stored->origin(piece.from->name) + ": tensor " + inQuotes(piece.from->name) +
                    ": is of another type or encoding than " + inQuotes(first.name) +
                    ", with which it makes one");
  const WeightPart &part = parts.front();
  made.tensor = first;
  made.tensor.name = name.str();
  made.tensor.shape.assign({count});
  if (role == TensorRole::Matrix)
    made.tensor.shape.push_back(part.columnsOf ? made.pieces.front().depth : part.shape.back());
  // Codes that stand in columns share scales along the wrong dimension: they become what they mean.
  bool areColumns = llvm::any_of(parts, [](const WeightPart &part) { return part.columnsOf; });
  if (first.scaling && areColumns) {
    if (!llvm::all_of(parts, [](const WeightPart &part) { return part.columnsOf; }))
      return refuse(stored->origin(first.name) + ": tensor " + inQuotes(first.name) +
                    ": quantised, and some of it is stored with inputs as rows, which is not "
                    "supported");
    made.tensor.dtype = DType::F32;
    made.tensor.scaling.reset();
  }
  made.tensor.bytes = dtypeBytes(made.tensor.dtype);
  for (int64_t size : made.tensor.shape)
    made.tensor.bytes *= uint64_t(size);
  return &(derived[name] = std::move(made)).tensor;
}

llvm::Expected<const TensorInfo *> DerivedWeights::derivePlusOne(llvm::StringRef name,
                                                                 llvm::StringRef from,
                                                                 llvm::ArrayRef<int64_t> shape) {
  if (auto it = derived.find(name); it != derived.end())
    return &it->second.tensor;
  llvm::Expected<const TensorInfo *> source = stored->require(from, shape, TensorRole::Norm);
  if (!source)
    return source.takeError();
  Derived made;
  made.tensor = **source;
  made.tensor.name = name.str();
  made.tensor.bytes = (*source)->elements() * sizeof(float);
  made.tensor.dtype = DType::F32;
  made.plusOne = true;
  made.pieces.push_back({*source, {}, std::nullopt, 0, shape.front()});
  return &(derived[name] = std::move(made)).tensor;
}

llvm::Error DerivedWeights::readPlusOne(const Derived &sum, uint64_t firstByte,
                                        llvm::MutableArrayRef<uint8_t> out) const {
  uint64_t first = firstByte / sizeof(float), end = (firstByte + out.size() + 3) / sizeof(float);
  std::vector<float> values(size_t(end - first));
  if (llvm::Error error = stored->readFloats(*sum.pieces.front().from, first, values))
    return error;
  for (float &value : values)
    value += 1;
  std::memcpy(out.data(),
              reinterpret_cast<const uint8_t *>(values.data()) + firstByte % sizeof(float),
              out.size());
  return llvm::Error::success();
}

// The piece as rows, whole; then the wanted bytes of it.
llvm::Error DerivedWeights::readColumns(const Derived &whole, const Piece &piece,
                                        uint64_t firstByte,
                                        llvm::MutableArrayRef<uint8_t> out) const {
  constexpr size_t kept = 4;
  std::lock_guard lock(mutex);
  auto found = std::find_if(recent.begin(), recent.end(),
                            [&](const Transposed &entry) { return entry.piece == &piece; });
  if (found == recent.end()) {
    llvm::ArrayRef<int64_t> shape = piece.from->shape;
    size_t depth = size_t(piece.depth), columns = size_t(shape.back());
    size_t bytes = size_t(whole.tensor.bytes / whole.tensor.elements()); // of an element
    std::vector<uint8_t> slice(depth * columns * bytes);
    uint64_t before = uint64_t(*piece.columnsOf * shape[shape.size() - 2] + piece.depthBegin);
    if (piece.from->scaling) {
      std::vector<float> numbers(depth * columns);
      if (llvm::Error error = stored->readFloats(*piece.from, before * columns, numbers))
        return error;
      std::memcpy(slice.data(), numbers.data(), slice.size());
    } else if (llvm::Error error = stored->read(*piece.from, before * columns * bytes, slice)) {
      return error;
    }
    std::vector<uint8_t> rows(size_t(piece.count) * depth * bytes);
    for (size_t row = 0; row < size_t(piece.count); ++row) {
      size_t column = piece.rows.empty() ? row : size_t(piece.rows[row]);
      for (size_t k = 0; k < depth; ++k)
        std::memcpy(rows.data() + (row * depth + k) * bytes,
                    slice.data() + (k * columns + column) * bytes, bytes);
    }
    recent.push_front({&piece, std::move(rows)});
    if (recent.size() > kept)
      recent.pop_back();
  } else {
    recent.splice(recent.begin(), recent, found);
  }
  std::memcpy(out.data(), recent.front().bytes.data() + firstByte, out.size());
  return llvm::Error::success();
}

std::pair<int64_t, int64_t> DerivedWeights::Piece::runAt(int64_t row, int64_t most) const {
  most = std::min(most, count - row);
  if (rows.empty())
    return {row, most};
  int64_t run = 1;
  while (run < most && rows[size_t(row + run)] == rows[size_t(row)] + run)
    ++run;
  return {rows[size_t(row)], run};
}

const DerivedWeights::Piece &DerivedWeights::Derived::pieceAt(int64_t row) const {
  auto after = std::upper_bound(pieces.begin(), pieces.end(), row,
                                [](int64_t row, const Piece &piece) { return row < piece.first; });
  return *std::prev(after);
}

const TensorInfo *DerivedWeights::find(llvm::StringRef name) const {
  auto it = derived.find(name);
  return it == derived.end() ? stored->find(name) : &it->second.tensor;
}

llvm::Expected<const TensorInfo *>
DerivedWeights::require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, TensorRole role) {
  return stored->require(name, shape, role);
}

llvm::Error DerivedWeights::read(const TensorInfo &tensor, uint64_t firstByte,
                                 llvm::MutableArrayRef<uint8_t> out) const {
  auto it = derived.find(tensor.name);
  if (it == derived.end())
    return stored->read(tensor, firstByte, out);
  const Derived &whole = it->second;
  if (firstByte > tensor.bytes || out.size() > tensor.bytes - firstByte)
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": has no byte " +
                  llvm::Twine(firstByte + out.size()));
  if (whole.plusOne)
    return readPlusOne(whole, firstByte, out);
  uint64_t width = tensor.bytes / uint64_t(tensor.shape.front()); // of a row
  for (uint64_t at = firstByte, end = firstByte + out.size(); at < end;) {
    int64_t row = int64_t(at / width), last = int64_t((end - 1) / width);
    const Piece &piece = whole.pieceAt(row);
    uint64_t within = at % width, start = uint64_t(row - piece.first) * width + within;
    auto [stands, run] = piece.runAt(row - piece.first, last - row + 1);
    if (piece.columnsOf) // whose rows all stand together once they are made
      run = std::min(last - row + 1, piece.first + piece.count - row);
    uint64_t bytes = std::min(uint64_t(run) * width - within, end - at);
    auto part = out.slice(size_t(at - firstByte), size_t(bytes));
    if (llvm::Error error =
            piece.columnsOf ? readColumns(whole, piece, start, part)
                            : stored->read(*piece.from, uint64_t(stands) * width + within, part))
      return error;
    at += bytes;
  }
  return llvm::Error::success();
}

llvm::Expected<EncodedRows> DerivedWeights::readRows(const TensorInfo &tensor, int64_t first,
                                                     int64_t count) const {
  auto it = derived.find(tensor.name);
  if (it == derived.end())
    return stored->readRows(tensor, first, count);
  EncodedRows all = emptyRows(tensor, 0);
  all.rows = count;
  for (int64_t row = first, end = first + count; row < end;) {
    const Piece &piece = it->second.pieceAt(row);
    auto [stands, run] = piece.runAt(row - piece.first, end - row);
    llvm::Expected<EncodedRows> some = stored->readRows(*piece.from, stands, run);
    if (!some)
      return some.takeError();
    auto append = [](auto &to, const auto &from) { to.insert(to.end(), from.begin(), from.end()); };
    append(all.codes, some->codes);
    append(all.scales, some->scales);
    append(all.zeros, some->zeros);
    row += run;
  }
  return all;
}

std::vector<std::string> DerivedWeights::names() const { return stored->names(); }

std::string DerivedWeights::origin(llvm::StringRef name) const {
  auto it = derived.find(name);
  return stored->origin(
      it == derived.end() ? name : llvm::StringRef(it->second.pieces.front().from->name));
}

} // namespace pianola
