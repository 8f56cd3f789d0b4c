// ConvertWeights.h - a golden with its weights in another element type.
#ifndef PIANOLA_TEST_NUMERIC_CONVERTWEIGHTS_H
#define PIANOLA_TEST_NUMERIC_CONVERTWEIGHTS_H

#include "lib/checkpoint/Checkpoint.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace pianola {

/// An element to convert to.
struct Bf16 {
  Bf16(float value) : bits(toBf16(value)) {}
  uint16_t bits;
};

/// Writes the weights of `source` as a model directory of `dtype`: those whose names have `part`.
/// `change` may change them before.
template <typename Element>
void convertTo(
    const char *dtype, const std::string &source, const std::string &directory,
    const std::string &part = "",
    llvm::function_ref<void(const TensorInfo &, std::vector<float> &)> change = nullptr) {
  auto checkpoint = llvm::cantFail(Checkpoint::open(source));
  nlohmann::json header;
  std::vector<uint8_t> all;
  for (const std::string &name : checkpoint->names()) {
    const TensorInfo *tensor = checkpoint->find(name);
    bool isConverted = name.find(part) != std::string::npos;
    size_t begin = all.size();
    if (isConverted) {
      std::vector<float> values(tensor->elements());
      llvm::cantFail(checkpoint->readFloats(*tensor, 0, values));
      if (change)
        change(*tensor, values);
      std::vector<Element> converted(values.begin(), values.end());
      auto *bytes = reinterpret_cast<const uint8_t *>(converted.data());
      all.insert(all.end(), bytes, bytes + converted.size() * sizeof(Element));
    } else {
      all.resize(begin + tensor->bytes);
      llvm::cantFail(checkpoint->read(*tensor, 0, {all.data() + begin, tensor->bytes}));
    }
    header[name] = {{"dtype", isConverted ? dtype : dtypeName(tensor->dtype).str()},
                    {"shape", std::vector<int64_t>(tensor->shape.begin(), tensor->shape.end())},
                    {"data_offsets", {begin, all.size()}}};
  }
  std::string text = header.dump();
  uint64_t size = text.size();
  std::ofstream file(directory + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char *>(&size), sizeof(size));
  file << text;
  file.write(reinterpret_cast<const char *>(all.data()), all.size());
  std::ifstream config(source + "/config.json");
  std::ofstream(directory + "/config.json") << config.rdbuf();
}

} // namespace pianola

#endif
