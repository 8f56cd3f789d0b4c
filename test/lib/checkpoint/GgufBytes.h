// GgufBytes.h - GGUF files for tests, byte by byte.
#ifndef PIANOLA_TEST_LIB_CHECKPOINT_GGUFBYTES_H
#define PIANOLA_TEST_LIB_CHECKPOINT_GGUFBYTES_H

#include <cstdint>
#include <string>

namespace pianola {

/// Little-endian numbers and texts one behind the other.
struct GgufBytes {
  std::string bytes;

  GgufBytes &number(uint64_t value, int size) {
    for (int i = 0; i < size; ++i)
      bytes += char(value >> (8 * i));
    return *this;
  }
  GgufBytes &u32(uint64_t value) { return number(value, 4); }
  GgufBytes &u64(uint64_t value) { return number(value, 8); }
  GgufBytes &text(const std::string &value) {
    u64(value.size());
    bytes += value;
    return *this;
  }
  /// A key and the number of its type; the value is to follow.
  GgufBytes &key(const std::string &name, uint32_t type) { return text(name).u32(type); }
  GgufBytes &texts(const std::string &name, const std::string &value) {
    return key(name, 8).text(value);
  }
  GgufBytes &integer(const std::string &name, uint32_t value) { return key(name, 4).u32(value); }
  /// A tensor's entry in the header; dimensions as files have them.
  GgufBytes &tensor(const std::string &name, std::initializer_list<uint64_t> dimensions,
                    uint32_t type, uint64_t offset) {
    text(name).u32(dimensions.size());
    for (uint64_t size : dimensions)
      u64(size);
    return u32(type).u64(offset);
  }
};

inline GgufBytes ggufHead(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
  GgufBytes head;
  head.bytes = "GGUF";
  return head.u32(version).u64(tensors).u64(pairs);
}

/// The header, padded, and so many bytes of data.
inline std::string ggufFile(const GgufBytes &header, const std::string &data) {
  std::string bytes = header.bytes;
  bytes.resize((bytes.size() + 31) / 32 * 32);
  return bytes + data;
}

} // namespace pianola

#endif
