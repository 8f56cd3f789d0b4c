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
#include <unordered_map>
#include <vector>

namespace pianola {

struct AddedToken {
  int32_t id;
  std::string content;
  std::string normalContent; // what the normalizer makes of it
  bool special, lstrip, rstrip, singleWord, normalized;
};

/// A stretch of text: an added token, or (id -1) text between.
struct Segment {
  std::string_view text;
  int32_t id;
  size_t begin;
  bool isSearched = false; // no special token is looked for in it any more
};

struct TextRange {
  size_t begin, end;
};

class AddedTokens {
public:
  /// Which tokens are looked for.
  enum Which {
    AsWritten,         // those that are not `normalized`
    Normalized,        // those that are, in normal text
    NormalizedSpecial, // the special ones of those, in text that is not normal
  };
  void add(AddedToken token);

  /// Splits `text`. No special token that touches one of the ranges of `data` is found.
  std::vector<Segment> split(std::string_view text, Which which,
                             const std::vector<TextRange> &data) const;

private:
  // Tokens by their text, byte by byte; node 0 is the root.
  struct Trie {
    std::array<bool, 256> begins{};
    std::unordered_map<uint64_t, uint32_t> children; // of (node, byte)
    std::vector<int32_t> ends{-1};                   // the token at each node, or -1
    void add(std::string_view text, int32_t token);
  };
  const AddedToken *longestAt(std::string_view text, size_t at, Which which,
                              const std::vector<TextRange> &data) const;

  std::vector<AddedToken> tokens;
  std::array<Trie, 3> tries;
};

} // namespace pianola

#endif
