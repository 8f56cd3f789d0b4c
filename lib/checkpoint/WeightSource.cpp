// WeightSource.cpp - element types, and weights as floats.
#include "lib/checkpoint/WeightSource.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pianola {
namespace {

struct DTypeRow {
  DType dtype;
  llvm::StringLiteral name;
  uint64_t bytes;
};

constexpr DTypeRow dtypes[] = {
    {DType::Bool, "BOOL", 1},      {DType::U8, "U8", 1},          {DType::I8, "I8", 1},
    {DType::F8E5M2, "F8_E5M2", 1}, {DType::F8E4M3, "F8_E4M3", 1}, {DType::F8E8M0, "F8_E8M0", 1},
    {DType::I16, "I16", 2},        {DType::U16, "U16", 2},        {DType::F16, "F16", 2},
    {DType::BF16, "BF16", 2},      {DType::I32, "I32", 4},        {DType::U32, "U32", 4},
    {DType::F32, "F32", 4},        {DType::F64, "F64", 8},        {DType::I64, "I64", 8},
    {DType::U64, "U64", 8}};

} // namespace

llvm::StringRef dtypeName(DType dtype) { return dtypes[size_t(dtype)].name; }

uint64_t dtypeBytes(DType dtype) { return dtypes[size_t(dtype)].bytes; }

std::optional<DType> dtypeFromName(llvm::StringRef name) {
  for (const DTypeRow &row : dtypes)
    if (row.name == name)
      return row.dtype;
  return std::nullopt;
}

std::string dtypeNames() {
  std::string text;
  for (const DTypeRow &row : dtypes)
    text += (text.empty() ? "" : ", ") + row.name.str();
  return text;
}

std::optional<uint64_t> tensorBytes(DType dtype, llvm::ArrayRef<int64_t> shape) {
  uint64_t bytes = dtypeBytes(dtype);
  for (int64_t size : shape) {
    bool overflow = false;
    bytes = llvm::SaturatingMultiply(bytes, uint64_t(size), &overflow);
    if (size < 0 || overflow || bytes > uint64_t(std::numeric_limits<int64_t>::max()))
      return std::nullopt;
  }
  return bytes;
}

WeightSource::~WeightSource() = default;

EncodedRows WeightSource::emptyRows(const TensorInfo &tensor, int64_t count) {
  EncodedRows rows;
  rows.rows = count;
  rows.columns = tensor.shape.back();
  rows.groups = tensor.scaling->groups(rows.columns);
  rows.codes.resize(count * rows.columns);
  rows.scales.resize(count * rows.groups);
  if (tensor.scaling->zeros)
    rows.zeros.resize(count * rows.groups);
  return rows;
}

llvm::Expected<EncodedRows> WeightSource::readRows(const TensorInfo &tensor, int64_t,
                                                   int64_t) const {
  return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": has no scales");
}

llvm::Error WeightSource::decode(const TensorInfo &tensor, uint64_t firstElement,
                                 llvm::MutableArrayRef<float> out) const {
  int64_t columns = tensor.shape.back(), atOnce = std::max<int64_t>(1, (1 << 18) / columns);
  if (firstElement > tensor.elements() || out.size() > tensor.elements() - firstElement)
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": has no element " +
                  llvm::Twine(firstElement + out.size()));
  std::vector<float> row(columns);
  for (uint64_t at = firstElement, end = firstElement + out.size(); at < end;) {
    int64_t first = at / columns;
    int64_t count = std::min<int64_t>(atOnce, (end - 1) / columns - first + 1);
    llvm::Expected<EncodedRows> rows = readRows(tensor, first, count);
    if (!rows)
      return rows.takeError();
    for (int64_t r = 0; r < count; ++r) {
      decodeRow(*tensor.scaling, *rows, r, row);
      uint64_t from = at % columns, some = std::min<uint64_t>(columns - from, end - at);
      std::copy_n(row.data() + from, some, out.data() + (at - firstElement));
      at += some;
    }
  }
  return llvm::Error::success();
}

llvm::Error WeightSource::readFloats(const TensorInfo &tensor, uint64_t firstElement,
                                     llvm::MutableArrayRef<float> out) const {
  if (tensor.scaling)
    return decode(tensor, firstElement, out);
  if (tensor.dtype != DType::F32 && tensor.dtype != DType::BF16 && tensor.dtype != DType::F16)
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) +
                  ": dtype: expected F32, BF16 or F16, found " + dtypeName(tensor.dtype));
  if (firstElement > tensor.elements())
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": has no element " +
                  llvm::Twine(firstElement));
  uint64_t width = dtypeBytes(tensor.dtype);
  constexpr size_t atOnce = 1 << 16;
  std::vector<uint8_t> raw(std::min(out.size(), atOnce) * width);
  for (size_t done = 0; done < out.size();) {
    size_t count = std::min(out.size() - done, atOnce);
    llvm::MutableArrayRef<uint8_t> bytes(raw.data(), count * width);
    if (llvm::Error error = read(tensor, (firstElement + done) * width, bytes))
      return error;
    for (size_t i = 0; i < count; ++i) {
      const uint8_t *element = bytes.data() + i * width;
      if (tensor.dtype == DType::F32)
        out[done + i] = llvm::bit_cast<float>(llvm::support::endian::read32le(element));
      else if (tensor.dtype == DType::BF16)
        out[done + i] = fromBf16(llvm::support::endian::read16le(element));
      else
        out[done + i] = fromF16(llvm::support::endian::read16le(element));
    }
    done += count;
  }
  return llvm::Error::success();
}

} // namespace pianola
