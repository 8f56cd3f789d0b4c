// Tensors.h - the tensors of a small safetensors file.
#ifndef PIANOLA_TOOLS_PIANOLA_PLAY_TENSORS_H
#define PIANOLA_TOOLS_PIANOLA_PLAY_TENSORS_H

#include "runtime/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pianola {

class Tensors {
public:
  /// Reads the whole file; of other types than I32 and F32 only the names are known.
  static Result<Tensors> read(const std::string &path);

  Result<std::vector<int32_t>> integers(const std::string &name) const;
  Result<std::vector<float>> floats(const std::string &name) const;

private:
  struct Entry {
    std::string type;
    std::string bytes;
  };
  template <typename T>
  Result<std::vector<T>> values(const std::string &name, const char *type) const;

  std::string path;
  std::map<std::string, Entry> entries;
};

} // namespace pianola

#endif
