// Vocabulary.h - a model's tokens by their text.
#ifndef PIANOLA_RUNTIME_TEXT_VOCABULARY_H
#define PIANOLA_RUNTIME_TEXT_VOCABULARY_H

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pianola {

class Vocabulary {
public:
  static constexpr int32_t kNone = -1;

  /// Of a text that comes twice the last counts.
  void add(std::string_view text, int32_t id) {
    if (auto found = ids.find(text); found != ids.end()) {
      found->second = id;
      return;
    }
    texts.emplace_back(text);
    ids.emplace(texts.back(), id);
  }

  /// kNone if there is no such token.
  int32_t find(std::string_view text) const {
    auto found = ids.find(text);
    return found == ids.end() ? kNone : found->second;
  }

  size_t size() const { return ids.size(); }
  void reserve(size_t count) { ids.reserve(count); }

private:
  std::deque<std::string> texts; // which the keys point to
  std::unordered_map<std::string_view, int32_t> ids;
};

} // namespace pianola

#endif
