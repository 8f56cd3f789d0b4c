// TokenMask.h - which tokens may come next.
#ifndef PIANOLA_RUNTIME_SAMPLING_TOKENMASK_H
#define PIANOLA_RUNTIME_SAMPLING_TOKENMASK_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pianola {

class TokenMask {
public:
  TokenMask() = default;
  /// No token is allowed.
  explicit TokenMask(int32_t vocabulary) : bits((size_t(vocabulary) + 63) / 64, 0) {}

  void allow(int32_t id) { bits[size_t(id) / 64] |= uint64_t(1) << (id % 64); }
  void forbid(int32_t id) { bits[size_t(id) / 64] &= ~(uint64_t(1) << (id % 64)); }
  bool allows(int32_t id) const {
    return id >= 0 && size_t(id) / 64 < bits.size() && (bits[size_t(id) / 64] >> (id % 64) & 1);
  }
  bool none() const {
    return std::all_of(bits.begin(), bits.end(), [](uint64_t word) { return word == 0; });
  }
  /// Token `id` is bit id % 64 of word id / 64.
  const std::vector<uint64_t> &words() const { return bits; }

private:
  std::vector<uint64_t> bits;
};

} // namespace pianola

#endif
