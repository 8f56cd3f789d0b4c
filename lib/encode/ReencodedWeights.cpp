// ReencodedWeights.cpp - weights that are encoded while they are read.
#include "lib/encode/ReencodedWeights.h"

#include "lib/checkpoint/GgufBlocks.h"
#include "lib/encode/Pruned.h"
#include "lib/encode/Quantise.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/Format.h"

#include <cmath>

namespace pianola {
namespace {

uint64_t scaleBytes(ScaleType type) {
  return type == ScaleType::F32 ? 4 : type == ScaleType::E8M0 ? 1 : 2;
}

} // namespace

uint64_t storedBytes(const TensorInfo &tensor) {
  if (tensor.pruned)
    return tensor.shape[0] * prunedRowBytes(tensor.shape[1]);
  if (!tensor.scaling)
    return tensor.bytes;
  const Scaling &scaling = *tensor.scaling;
  bool isHalf = scaling.code == Code::I4 || scaling.code == Code::F4E2M1;
  return tensor.elements() / (isHalf ? 2 : 1) + tensor.shape[0] * scaling.groups(tensor.shape[1]) *
                                                    (scaleBytes(scaling.scale) + scaling.zeros);
}

TensorInfo encodedAs(const TensorInfo &plain, const WeightEncoding &encoding) {
  TensorInfo tensor = plain;
  tensor.scaling = encoding.scaling;
  tensor.dtype = encoding.scaling ? DType::U8 : encoding.dtype;
  tensor.pruned = encoding.pruned;
  tensor.bytes = plain.elements() * dtypeBytes(tensor.dtype);
  if (encoding.scaling && encoding.scaling->group >= plain.shape[1] && !encoding.scaling->zeros)
    tensor.scaling->group = 0;
  return tensor;
}

const TensorInfo &ReencodedWeights::encode(const TensorInfo &plain,
                                           const WeightEncoding &encoding) {
  auto encoded = std::make_unique<Encoded>();
  encoded->plain = &plain;
  encoded->encoding = encoding.name;
  encoded->tensor = encodedAs(plain, encoding);
  std::unique_ptr<Encoded> &place = tensors[plain.name];
  place = std::move(encoded);
  inOrder.push_back(place.get());
  return place->tensor;
}

void ReencodedWeights::place(llvm::StringRef name, EncodedRows rows, double outputError) {
  Encoded &encoded = *tensors.find(name)->second;
  encoded.placed = std::move(rows);
  encoded.outputError = outputError;
}

bool ReencodedWeights::hasCodes() const {
  return llvm::any_of(inOrder, [](const Encoded *each) { return bool(each->tensor.scaling); });
}

llvm::Error ReencodedWeights::readPlain(const TensorInfo &tensor,
                                        llvm::MutableArrayRef<float> out) const {
  return source->readFloats(*tensors.find(tensor.name)->second->plain, 0, out);
}

void ReencodedWeights::forgetErrors() {
  for (Encoded *encoded : inOrder)
    encoded->error = encoded->size = 0;
}

const TensorInfo *ReencodedWeights::find(llvm::StringRef name) const {
  auto it = tensors.find(name);
  return it == tensors.end() ? source->find(name) : &it->second->tensor;
}

void ReencodedWeights::measure(const Encoded &encoded, llvm::ArrayRef<float> wanted,
                               llvm::ArrayRef<float> found) const {
  double error = 0, size = 0;
  for (auto [a, b] : llvm::zip_equal(wanted, found)) {
    error += (double(a) - b) * (double(a) - b);
    size += double(a) * a;
  }
  std::lock_guard lock(mutex);
  encoded.error += error;
  encoded.size += size;
}

llvm::Error ReencodedWeights::read(const TensorInfo &tensor, uint64_t firstByte,
                                   llvm::MutableArrayRef<uint8_t> out) const {
  auto it = tensors.find(tensor.name);
  if (it == tensors.end() || &it->second->tensor != &tensor)
    return source->read(tensor, firstByte, out);
  if (tensor.scaling)
    return llvm::createStringError("tensor " + tensor.name +
                                   ": has codes and scales, and no bytes of its own");
  uint64_t width = dtypeBytes(tensor.dtype), first = firstByte / width, count = out.size() / width;
  uint64_t before = 0, whole = count;
  if (tensor.pruned) { // row by row
    uint64_t columns = tensor.shape[1];
    before = first % columns;
    whole = llvm::alignTo(before + count, columns);
  }
  std::vector<float> values(whole);
  if (llvm::Error error = source->readFloats(*it->second->plain, first - before, values))
    return error;
  std::vector<float> found(values);
  if (tensor.pruned)
    for (uint64_t row = 0; row < whole; row += tensor.shape[1])
      prune(llvm::MutableArrayRef(found).slice(row, tensor.shape[1]));
  llvm::ArrayRef<float> wanted = llvm::ArrayRef(values).slice(before, count);
  auto rounded = llvm::MutableArrayRef(found).slice(before, count);
  for (uint64_t i = 0; i < count; ++i) {
    uint8_t *to = out.data() + i * width;
    float &value = rounded[i];
    switch (tensor.dtype) {
    case DType::BF16:
      llvm::support::endian::write16le(to, toBf16(value));
      value = fromBf16(toBf16(value));
      break;
    case DType::F16:
      llvm::support::endian::write16le(to, toF16(value));
      value = fromF16(toF16(value));
      break;
    default:
      llvm::support::endian::write32le(to, llvm::bit_cast<uint32_t>(value));
    }
  }
  measure(*it->second, wanted, rounded);
  return llvm::Error::success();
}

llvm::Expected<EncodedRows> ReencodedWeights::readRows(const TensorInfo &tensor, int64_t first,
                                                       int64_t count) const {
  auto it = tensors.find(tensor.name);
  if (it == tensors.end())
    return source->readRows(tensor, first, count);
  const Encoded &encoded = *it->second;
  int64_t columns = tensor.shape[1];
  std::vector<float> values(count * columns), found(values.size());
  if (llvm::Error error = source->readFloats(*encoded.plain, first * columns, values))
    return std::move(error);
  EncodedRows rows = emptyRows(tensor, count);
  if (encoded.placed)
    rows = encoded.placed->slice(first, count);
  for (int64_t r = 0; r < count; ++r) {
    auto row = llvm::ArrayRef<float>(values).slice(r * columns, columns);
    if (!encoded.placed)
      quantiseRow(*tensor.scaling, row, r, rows);
    decodeRow(*tensor.scaling, rows, r, llvm::MutableArrayRef(found).slice(r * columns, columns));
  }
  measure(encoded, values, found);
  return rows;
}

double ReencodedWeights::errorOf(llvm::StringRef name) const {
  auto it = tensors.find(name);
  if (it == tensors.end() || it->second->size == 0)
    return 0;
  return std::sqrt(it->second->error / it->second->size);
}

void ReencodedWeights::printErrors(llvm::raw_ostream &out,
                                   const llvm::StringSet<> &standing) const {
  size_t longest = 6;
  uint64_t before = 0, after = 0;
  for (const Encoded *encoded : inOrder)
    longest = std::max(longest, encoded->tensor.name.size());
  auto line = [&](llvm::StringRef name, llvm::StringRef encoding, uint64_t from, uint64_t to) {
    out << llvm::left_justify(name, longest + 2) << llvm::left_justify(encoding, 10)
        << llvm::format("%12.2f %12.2f", from / 1e6, to / 1e6);
  };
  bool outputs = llvm::any_of(inOrder, [](const Encoded *each) { return bool(each->placed); });
  out << llvm::left_justify("tensor", longest + 2) << "encoding    MB before     MB after  error"
      << (outputs ? "     of outputs" : "") << "\n";
  for (const Encoded *encoded : inOrder) {
    const TensorInfo &plain = *encoded->plain;
    const GgufType *type = plain.gguf;
    uint64_t from =
        type ? plain.elements() / uint64_t(type->columns) * uint64_t(type->bytes) : plain.bytes;
    before += from;
    if (!standing.contains(encoded->tensor.name))
      continue;
    uint64_t to = storedBytes(encoded->tensor);
    after += to;
    line(encoded->tensor.name, encoded->encoding, from, to);
    out << llvm::format("  %.2e", errorOf(encoded->tensor.name));
    if (encoded->placed)
      out << llvm::format("  %.2e", encoded->outputError);
    out << "\n";
  }
  line("all", "", before, after);
  out << "\n";
}

} // namespace pianola
