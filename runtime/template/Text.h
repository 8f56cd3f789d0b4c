// Text.h - text that knows which of its parts are data.
//
// What a template itself says is its author's; what came in as a variable is data, wherever it
// goes. Text keeps the two apart through every operation, so that a special token in a message's
// content stays text when the rendering is encoded.
#ifndef PIANOLA_RUNTIME_TEMPLATE_TEXT_H
#define PIANOLA_RUNTIME_TEMPLATE_TEXT_H

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pianola::templates {

class Text {
public:
  struct Range {
    size_t begin, end;
  };

  Text() = default;
  explicit Text(std::string bytes, bool isData = false);

  const std::string &bytes() const { return content; }
  size_t size() const { return content.size(); } // bytes
  bool empty() const { return content.empty(); }
  bool hasData() const { return !data.empty(); }
  const std::vector<Range> &dataRanges() const { return data; }

  void append(const Text &other) { append(other, 0, other.size()); }
  void append(const Text &other, size_t begin, size_t end);
  void append(std::string_view bytes, bool isData = false);
  /// Bytes from `begin` to `end`.
  Text part(size_t begin, size_t end) const;
  /// Other text in place of this one: data if any of this is.
  Text became(std::string bytes) const { return Text(std::move(bytes), hasData()); }

private:
  void addRange(size_t begin, size_t end);
  std::string content;
  std::vector<Range> data; // in order, neither touching nor empty
};

/// Characters, in place of bytes.
size_t countCharacters(std::string_view text);
/// Where each character begins, and where the text ends.
std::vector<size_t> characterStarts(std::string_view text);

} // namespace pianola::templates

#endif
