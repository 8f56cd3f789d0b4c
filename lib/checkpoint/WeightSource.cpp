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

float fromHalf(uint16_t bits) {
  int exponent = (bits >> 10) & 31;
  int mantissa = bits & 1023;
  float magnitude = exponent == 31 ? (mantissa ? std::numeric_limits<float>::quiet_NaN()
                                               : std::numeric_limits<float>::infinity())
                    : exponent     ? std::ldexp(float(mantissa + 1024), exponent - 25)
                                   : std::ldexp(float(mantissa), -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

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

llvm::Error WeightSource::readFloats(const TensorInfo &tensor, uint64_t firstElement,
                                     llvm::MutableArrayRef<float> out) const {
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
        out[done + i] =
            llvm::bit_cast<float>(uint32_t(llvm::support::endian::read16le(element)) << 16);
      else
        out[done + i] = fromHalf(llvm::support::endian::read16le(element));
    }
    done += count;
  }
  return llvm::Error::success();
}

} // namespace pianola
