// QuantisedCheckpoint.cpp - the weights of a checkpoint whose linears are quantised.
#include "lib/checkpoint/QuantisedCheckpoint.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"

namespace pianola {

const TensorInfo *QuantisedCheckpoint::find(llvm::StringRef name) const {
  auto it = matrices.find(name);
  return it != matrices.end() ? &it->second.tensor : stored->find(name);
}

llvm::Expected<const TensorInfo *>
QuantisedCheckpoint::require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, TensorRole role) {
  llvm::StringRef prefix = name;
  if (role != TensorRole::Matrix || !(prefix.consume_back(".weight") || shape.size() == 3))
    return stored->require(name, shape, role);
  if (auto it = matrices.find(name); it != matrices.end()) {
    if (llvm::ArrayRef(it->second.tensor.shape) != shape)
      return refuse(origin(name) + ": tensor " + inQuotes(name) + ": shape: expected " +
                    showShape(shape) + ", found " + showShape(it->second.tensor.shape));
    return &it->second.tensor;
  }
  llvm::Expected<std::unique_ptr<StoredMatrix>> matrix =
      openStored(quantisation, *stored, cache, prefix, shape);
  if (!matrix)
    return matrix.takeError();
  if (!*matrix)
    return stored->require(name, shape, role);
  for (const std::string &part : (*matrix)->tensors)
    parts.insert(part);
  Opened &opened = matrices[name];
  uint64_t elements = 1;
  for (int64_t size : shape)
    elements *= uint64_t(size);
  opened.tensor = {name.str(), DType::U8, llvm::SmallVector<int64_t, 2>(shape), elements,
                   (*matrix)->scaling()};
  opened.matrix = std::move(*matrix);
  return &opened.tensor;
}

llvm::Error QuantisedCheckpoint::read(const TensorInfo &tensor, uint64_t firstByte,
                                      llvm::MutableArrayRef<uint8_t> out) const {
  if (tensor.scaling)
    return refuse(origin(tensor.name) + ": tensor " + inQuotes(tensor.name) +
                  ": has codes and scales, and no bytes of its own");
  return stored->read(tensor, firstByte, out);
}

llvm::Expected<EncodedRows> QuantisedCheckpoint::readRows(const TensorInfo &tensor, int64_t first,
                                                          int64_t count) const {
  auto it = matrices.find(tensor.name);
  if (it == matrices.end())
    return stored->readRows(tensor, first, count);
  EncodedRows rows = emptyRows(tensor, count);
  if (llvm::Error error = it->second.matrix->read(first, rows))
    return std::move(error);
  return rows;
}

std::vector<std::string> QuantisedCheckpoint::names() const {
  std::vector<std::string> names = stored->names();
  llvm::erase_if(names, [&](const std::string &name) { return parts.contains(name); });
  for (const auto &entry : matrices)
    names.push_back(entry.first().str());
  llvm::sort(names);
  return names;
}

std::string QuantisedCheckpoint::origin(llvm::StringRef name) const {
  auto it = matrices.find(name);
  return stored->origin(it == matrices.end() ? name
                                             : llvm::StringRef(it->second.matrix->tensors.front()));
}

} // namespace pianola
