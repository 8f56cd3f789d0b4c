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

/// What of a text is data, in which no special token is found, and none of `controls`.
struct Data {
  std::vector<TextRange> ranges;
  const std::vector<int32_t> *controls = nullptr; // sorted
};

class AddedTokens {
public:
  /// Which tokens are looked for.
  enum Which {
    AsWritten,         // those that are not `normalized`
    Normalized,        // those that are, in normal text
    NormalizedGuarded, // those of them that data may not have, in text that is not normal
  };
  void add(AddedToken token);

  /// Splits `text`. What data may not have is not found where it touches data.
  std::vector<Segment> split(std::string_view text, Which which, const Data &data) const;

  /// The tokens that a template writes, sorted; white space is nobody's to guard.
  std::vector<int32_t> writtenIn(std::string_view source) const;

private:
  // Tokens by their text, byte by byte; node 0 is the root.
  struct Trie {
    std::array<bool, 256> begins{};
    std::unordered_map<uint64_t, uint32_t> children; // of (node, byte)
    std::vector<int32_t> ends{-1};                   // the token at each node, or -1
    void add(std::string_view text, int32_t token);
  };
  const AddedToken *longestAt(std::string_view text, size_t at, Which which,
                              const Data &data) const;

  std::vector<AddedToken> tokens;
  std::array<Trie, 3> tries;
};

} // namespace pianola

#endif
