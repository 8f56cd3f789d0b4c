// AddedTokens.h - tokens that are found in text before anything else.
//
// As in Hugging Face's tokenizers: of the tokens that match at the leftmost place the longest
// counts; `lstrip` and `rstrip` swallow white space on that side, `single_word` wants no word
// character on either side; `normalized` tokens are looked for after normalisation, the others
// before.
#ifndef PIANOLA_RUNTIME_TEXT_ADDEDTOKENS_H
#define PIANOLA_RUNTIME_TEXT_ADDEDTOKENS_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pianola {

struct AddedToken {
  int32_t id;
  std::string content;
  bool special, lstrip, rstrip, singleWord, normalized;
};

/// A stretch of text: an added token, or (id -1) text between.
struct Segment {
  std::string_view text;
  int32_t id;
};

class AddedTokens {
public:
  void add(AddedToken token);
  const std::vector<AddedToken> &all() const { return tokens; }

  /// Splits `text`, looking for the tokens with this `normalized`, and for special ones if
  /// `withSpecial`.
  std::vector<Segment> split(std::string_view text, bool normalized, bool withSpecial) const;

private:
  const AddedToken *longestAt(std::string_view text, size_t at, bool normalized,
                              bool withSpecial) const;
  std::vector<AddedToken> tokens;
  std::array<std::vector<uint32_t>, 256> byFirst; // longest first
};

} // namespace pianola

#endif
