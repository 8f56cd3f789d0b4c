// Checkpoint.cpp - the weights of a model directory.
#include "lib/checkpoint/Checkpoint.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"
#include "lib/checkpoint/SafeTensorsHeader.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <set>

namespace pianola {
namespace {

constexpr llvm::StringLiteral singleName = "model.safetensors";
constexpr llvm::StringLiteral indexName = "model.safetensors.index.json";

std::string joined(llvm::StringRef directory, llvm::StringRef name) {
  llvm::SmallString<256> path(directory);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

/// A shard is a file beside its index: a name with a path in it could reach anywhere.
bool isPlainName(llvm::StringRef name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(llvm::StringRef("/\\\0", 3)) == llvm::StringRef::npos;
}

} // namespace

bool Checkpoint::present(llvm::StringRef directory) {
  return llvm::sys::fs::exists(joined(directory, singleName)) ||
         llvm::sys::fs::exists(joined(directory, indexName));
}

llvm::Expected<std::unique_ptr<Checkpoint>> Checkpoint::openFile(llvm::StringRef path) {
  auto checkpoint = std::make_unique<Checkpoint>();
  checkpoint->first = llvm::sys::path::filename(path).str();
  if (llvm::Error error = checkpoint->addFile(path, nullptr))
    return std::move(error);
  return checkpoint;
}

llvm::Expected<std::unique_ptr<Checkpoint>> Checkpoint::open(llvm::StringRef directory) {
  std::string single = joined(directory, singleName);
  if (llvm::sys::fs::exists(single))
    return openFile(single);
  std::string index = joined(directory, indexName);
  if (!llvm::sys::fs::exists(index))
    return refuse(directory + ": expected " + singleName + " or " + indexName + ", found neither");
  auto checkpoint = std::make_unique<Checkpoint>();
  checkpoint->first = indexName.str();
  if (llvm::Error error = checkpoint->addShards(directory, index))
    return std::move(error);
  return checkpoint;
}

llvm::Error Checkpoint::addFile(llvm::StringRef path, const llvm::StringMap<std::string> *index) {
  llvm::Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  llvm::Expected<std::vector<SafeTensorsEntry>> entries = readSafeTensorsHeader(*file);
  if (!entries)
    return entries.takeError();
  for (SafeTensorsEntry &entry : *entries) {
    if (index) {
      auto mapped = index->find(entry.tensor.name);
      if (mapped == index->end() || mapped->second != file->name())
        continue;
    }
    std::string name = entry.tensor.name;
    places.try_emplace(name, Place{std::move(entry.tensor), files.size(), entry.begin});
  }
  files.push_back(std::move(*file));
  return llvm::Error::success();
}

llvm::Error Checkpoint::addShards(llvm::StringRef directory, llvm::StringRef indexPath) {
  constexpr uint64_t longestIndex = 64 << 20;
  llvm::Expected<nlohmann::json> json = readJsonObject(indexPath, longestIndex);
  if (!json)
    return json.takeError();
  auto map = json->find("weight_map");
  if (map == json->end() || !map->is_object())
    return refuse(indexName + ": weight_map: expected an object, found " +
                  (map == json->end() ? "nothing" : showJson(*map)));
  llvm::StringMap<std::string> index;
  std::set<std::string> shards;
  for (const auto &[tensor, shard] : map->items()) {
    if (!shard.is_string() || !isPlainName(shard.get_ref<const std::string &>()))
      return refuse(indexName + ": weight_map: " + inQuotes(tensor) +
                    ": expected the name of a file in the same directory, found " +
                    showJson(shard));
    index[tensor] = shard.get<std::string>();
    shards.insert(shard.get<std::string>());
  }
  for (const std::string &shard : shards)
    if (llvm::Error error = addFile(joined(directory, shard), &index))
      return error;
  for (const auto &[tensor, shard] : map->items())
    if (!places.contains(tensor))
      return refuse(shard.get<std::string>() + ": tensor " + inQuotes(tensor) +
                    ": missing, though " + indexName + " places it here");
  return llvm::Error::success();
}

const TensorInfo *Checkpoint::find(llvm::StringRef name) const {
  auto it = places.find(name);
  return it == places.end() ? nullptr : &it->second.tensor;
}

llvm::Expected<const TensorInfo *> Checkpoint::require(llvm::StringRef name,
                                                       llvm::ArrayRef<int64_t> shape, TensorRole) {
  const TensorInfo *tensor = find(name);
  if (!tensor)
    return refuse(first + ": tensor " + inQuotes(name) + ": missing, expected " + showShape(shape));
  if (llvm::ArrayRef<int64_t>(tensor->shape) != shape)
    return refuse(origin(name) + ": tensor " + inQuotes(name) + ": shape: expected " +
                  showShape(shape) + ", found " + showShape(tensor->shape));
  return tensor;
}

llvm::Error Checkpoint::read(const TensorInfo &tensor, uint64_t firstByte,
                             llvm::MutableArrayRef<uint8_t> out) const {
  auto it = places.find(tensor.name);
  if (it == places.end())
    return refuse(first + ": tensor " + inQuotes(tensor.name) + ": missing");
  const Place &place = it->second;
  const InputFile &file = files[place.file];
  if (firstByte > place.tensor.bytes || out.size() > place.tensor.bytes - firstByte)
    return refuse(file.name() + ": tensor " + inQuotes(tensor.name) + ": has " +
                  llvm::Twine(place.tensor.bytes) + " bytes, asked for " + llvm::Twine(out.size()) +
                  " from " + llvm::Twine(firstByte));
  return file.read(place.begin + firstByte, out);
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  for (const auto &entry : places)
    result.push_back(entry.first().str());
  llvm::sort(result);
  return result;
}

std::string Checkpoint::origin(llvm::StringRef name) const {
  auto it = places.find(name);
  return it == places.end() ? first : files[it->second.file].name().str();
}

} // namespace pianola
