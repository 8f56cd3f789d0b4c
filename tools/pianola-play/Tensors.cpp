// Tensors.cpp - the tensors of a small safetensors file.
#include "tools/pianola-play/Tensors.h"

#include "runtime/JsonShape.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::json;

Result<Tensors> Tensors::read(const std::string &path) {
  auto refuse = [&](const std::string &what) { return Status::error(path + ": " + what); };
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return refuse("cannot be opened");
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  uint64_t size = 0;
  if (bytes.size() < sizeof(size))
    return refuse("is no safetensors file: it is only " + std::to_string(bytes.size()) +
                  " bytes long");
  std::memcpy(&size, bytes.data(), sizeof(size));
  if (size > bytes.size() - sizeof(size))
    return refuse("its header does not end in the file");
  std::string_view header(bytes.data() + sizeof(size), size);
  json root = jsonShape(header).depth > 8 ? json() : json::parse(header, nullptr, false);
  if (!root.is_object())
    return refuse("its header is no JSON object");
  std::string_view data(bytes);
  data.remove_prefix(sizeof(size) + size);
  Tensors tensors;
  tensors.path = path;
  for (const auto &[name, entry] : root.items()) {
    if (name == "__metadata__")
      continue;
    const json *dtype = entry.is_object() && entry.contains("dtype") ? &entry["dtype"] : nullptr;
    const json *place = dtype && entry.contains("data_offsets") ? &entry["data_offsets"] : nullptr;
    if (!place || !dtype->is_string() || !place->is_array() || place->size() != 2 ||
        !(*place)[0].is_number_unsigned() || !(*place)[1].is_number_unsigned())
      return refuse(name + ": expected dtype and data_offsets");
    auto begin = (*place)[0].get<uint64_t>(), end = (*place)[1].get<uint64_t>();
    if (begin > end || end > data.size())
      return refuse(name + ": data_offsets do not lie in the file");
    tensors.entries[name] = {dtype->get<std::string>(),
                             std::string(data.substr(begin, end - begin))};
  }
  return tensors;
}

template <typename T>
Result<std::vector<T>> Tensors::values(const std::string &name, const char *type) const {
  auto found = entries.find(name);
  if (found == entries.end())
    return Status::error(path + ": has no tensor " + name);
  const std::string &bytes = found->second.bytes;
  if (found->second.type != type || bytes.size() % sizeof(T) != 0)
    return Status::error(path + ": " + name + ": expected whole numbers of type " + type);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Result<std::vector<int32_t>> Tensors::integers(const std::string &name) const {
  return values<int32_t>(name, "I32");
}

Result<std::vector<float>> Tensors::floats(const std::string &name) const {
  return values<float>(name, "F32");
}

} // namespace pianola
