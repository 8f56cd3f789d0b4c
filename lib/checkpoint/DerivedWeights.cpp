// DerivedWeights.cpp - tensors that are rows or columns of other tensors, or 1 + w.
#include "lib/checkpoint/DerivedWeights.h"

#include "lib/checkpoint/Refusal.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace pianola {

llvm::Expected<const TensorInfo *>
DerivedWeights::derive(llvm::StringRef name, llvm::StringRef from, llvm::ArrayRef<int64_t> whole,
                       TensorRole role, std::vector<int64_t> rows, bool transposed) {
  if (auto it = derived.find(name); it != derived.end()) {
    assert(it->second.rows == rows && it->second.transposed == transposed);
    return &it->second.tensor;
  }
  llvm::Expected<const TensorInfo *> source = stored->require(from, whole, role);
  if (!source)
    return source.takeError();
  int64_t there = transposed ? whole.back() : whole.front();
  assert(
      std::all_of(rows.begin(), rows.end(), [&](int64_t row) { return row >= 0 && row < there; }));
  if (transposed && (*source)->scaling)
    return refuse(origin(from) + ": tensor " + inQuotes(from) +
                  ": quantised, and stored with inputs as rows, which is not supported");
  TensorInfo tensor = **source;
  tensor.name = name.str();
  if (transposed)
    std::swap(tensor.shape.front(), tensor.shape.back());
  tensor.shape.front() = int64_t(rows.size());
  tensor.bytes = (*source)->bytes / uint64_t(there) * rows.size();
  Derived &made = derived[name];
  made = {std::move(tensor), *source, std::move(rows), transposed};
  return &made.tensor;
}

llvm::Expected<const TensorInfo *> DerivedWeights::derivePlusOne(llvm::StringRef name,
                                                                 llvm::StringRef from,
                                                                 llvm::ArrayRef<int64_t> whole) {
  if (auto it = derived.find(name); it != derived.end())
    return &it->second.tensor;
  llvm::Expected<const TensorInfo *> source = stored->require(from, whole, TensorRole::Norm);
  if (!source)
    return source.takeError();
  TensorInfo tensor = **source;
  tensor.name = name.str();
  tensor.bytes = (*source)->elements() * sizeof(float);
  tensor.dtype = DType::F32;
  Derived &made = derived[name];
  made = {std::move(tensor), *source, {}};
  return &made.tensor;
}

llvm::Error DerivedWeights::readPlusOne(const Derived &sum, uint64_t firstByte,
                                        llvm::MutableArrayRef<uint8_t> out) const {
  uint64_t first = firstByte / sizeof(float), end = (firstByte + out.size() + 3) / sizeof(float);
  std::vector<float> values(size_t(end - first));
  if (llvm::Error error = stored->readFloats(*sum.from, first, values))
    return error;
  for (float &value : values)
    value += 1;
  std::memcpy(out.data(),
              reinterpret_cast<const uint8_t *>(values.data()) + firstByte % sizeof(float),
              out.size());
  return llvm::Error::success();
}

llvm::Error DerivedWeights::readTransposed(const Derived &part, uint64_t firstByte,
                                           llvm::MutableArrayRef<uint8_t> out) const {
  constexpr size_t kept = 4;
  std::lock_guard lock(mutex);
  auto found = std::find_if(recent.begin(), recent.end(), [&](const Transposed &entry) {
    return entry.name == part.tensor.name;
  });
  if (found == recent.end()) {
    std::vector<uint8_t> all(part.from->bytes), chosen(part.tensor.bytes);
    if (llvm::Error error = stored->read(*part.from, 0, all))
      return error;
    size_t depth = size_t(part.from->shape.front()), columns = size_t(part.from->shape.back());
    size_t bytes = all.size() / (depth * columns); // of an element
    for (size_t row = 0; row < part.rows.size(); ++row)
      for (size_t k = 0; k < depth; ++k)
        std::memcpy(chosen.data() + (row * depth + k) * bytes,
                    all.data() + (k * columns + size_t(part.rows[row])) * bytes, bytes);
    recent.push_front({part.tensor.name, std::move(chosen)});
    if (recent.size() > kept)
      recent.pop_back();
  } else {
    recent.splice(recent.begin(), recent, found);
  }
  std::memcpy(out.data(), recent.front().bytes.data() + firstByte, out.size());
  return llvm::Error::success();
}

int64_t DerivedWeights::Derived::runAt(int64_t row, int64_t most) const {
  int64_t count = 1;
  while (count < most && rows[size_t(row + count)] == rows[size_t(row)] + count)
    ++count;
  return count;
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
  const Derived &part = it->second;
  if (firstByte > tensor.bytes || out.size() > tensor.bytes - firstByte)
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) + ": has no byte " +
                  llvm::Twine(firstByte + out.size()));
  if (part.rows.empty())
    return readPlusOne(part, firstByte, out);
  if (part.transposed)
    return readTransposed(part, firstByte, out);
  uint64_t width = tensor.bytes / part.rows.size(); // of a row
  for (uint64_t at = firstByte, end = firstByte + out.size(); at < end;) {
    int64_t row = int64_t(at / width), last = int64_t((end - 1) / width);
    uint64_t within = at % width;
    uint64_t run = uint64_t(part.runAt(row, last - row + 1)) * width - within;
    uint64_t bytes = std::min(run, end - at);
    if (llvm::Error error =
            stored->read(*part.from, uint64_t(part.rows[size_t(row)]) * width + within,
                         out.slice(size_t(at - firstByte), size_t(bytes))))
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
  const Derived &part = it->second;
  EncodedRows all = emptyRows(tensor, 0);
  all.rows = count;
  for (int64_t row = first, end = first + count; row < end;) {
    int64_t run = part.runAt(row, end - row);
    llvm::Expected<EncodedRows> some = stored->readRows(*part.from, part.rows[size_t(row)], run);
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
  return stored->origin(it == derived.end() ? name : llvm::StringRef(it->second.from->name));
}

} // namespace pianola
