// ConvertWeights.h - a golden with its weights in another element type.
#ifndef PIANOLA_TEST_NUMERIC_CONVERTWEIGHTS_H
#define PIANOLA_TEST_NUMERIC_CONVERTWEIGHTS_H

#include "lib/checkpoint/Checkpoint.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace pianola {

/// Writes the weights of `source` as a model directory of `dtype`.
template <typename Element>
void convertTo(const char *dtype, const std::string &source, const std::string &directory) {
  auto checkpoint = llvm::cantFail(Checkpoint::open(source));
  nlohmann::json header;
  std::vector<Element> all;
  for (const std::string &name : checkpoint->names()) {
    const TensorInfo *tensor = checkpoint->find(name);
    std::vector<float> values(tensor->elements());
    llvm::cantFail(checkpoint->readFloats(*tensor, 0, values));
    size_t begin = all.size() * sizeof(Element);
    all.insert(all.end(), values.begin(), values.end());
    header[name] = {{"dtype", dtype},
                    {"shape", std::vector<int64_t>(tensor->shape.begin(), tensor->shape.end())},
                    {"data_offsets", {begin, all.size() * sizeof(Element)}}};
  }
  std::string text = header.dump();
  uint64_t size = text.size();
  std::ofstream file(directory + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char *>(&size), sizeof(size));
  file << text;
  file.write(reinterpret_cast<const char *>(all.data()), all.size() * sizeof(Element));
  std::ifstream config(source + "/config.json");
  std::ofstream(directory + "/config.json") << config.rdbuf();
}

} // namespace pianola

#endif
