// Text.cpp - text that knows which of its parts are data.
#include "runtime/template/Text.h"

#include <algorithm>
#include <cstdint>

namespace pianola::templates {

Text::Text(std::string bytes, bool isData) : content(std::move(bytes)) {
  if (isData)
    addRange(0, content.size());
}

void Text::addRange(size_t begin, size_t end) {
  if (begin == end)
    return;
  if (!data.empty() && data.back().end == begin)
    data.back().end = end;
  else
    data.push_back({begin, end});
}

void Text::append(const Text &other, size_t begin, size_t end) {
  size_t shift = content.size();
  auto range = std::upper_bound(other.data.begin(), other.data.end(), begin,
                                [](size_t at, const Range &range) { return at < range.end; });
  for (; range != other.data.end() && range->begin < end; ++range)
    addRange(std::max(range->begin, begin) - begin + shift,
             std::min(range->end, end) - begin + shift);
  content.append(other.content, begin, end - begin);
}

void Text::append(std::string_view bytes, bool isData) {
  if (isData)
    addRange(content.size(), content.size() + bytes.size());
  content += bytes;
}

Text Text::part(size_t begin, size_t end) const {
  Text result;
  if (begin < end)
    result.append(*this, begin, end);
  return result;
}

static bool begins(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }

size_t countCharacters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins));
}

std::vector<size_t> characterStarts(std::string_view text) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < text.size(); ++i)
    if (begins(text[i]))
      starts.push_back(i);
  starts.push_back(text.size());
  return starts;
}

} // namespace pianola::templates
