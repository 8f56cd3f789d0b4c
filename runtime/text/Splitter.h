// Splitter.h - one step of the pre-tokenizer: pieces of text to smaller pieces.
#ifndef PIANOLA_RUNTIME_TEXT_SPLITTER_H
#define PIANOLA_RUNTIME_TEXT_SPLITTER_H

#include "runtime/text/Pattern.h"

#include <deque>
#include <vector>

namespace pianola {

struct Piece {
  std::string_view text;
  bool isFirst; // begins where the text does that was given to be encoded
};

struct Pieces {
  std::vector<Piece> list, next;
  std::deque<std::string> made; // texts that are not part of what was given
};

class Splitter {
public:
  virtual ~Splitter() = default;
  /// Appends the parts of `piece` to `pieces.next`.
  virtual Status split(const Piece &piece, Pieces &pieces) const = 0;
};

/// What becomes of the matches of a pattern.
enum class SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

/// Splits at the matches of a pattern; `invert`: at what is between them.
class PatternSplitter : public Splitter {
public:
  PatternSplitter(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern(std::move(pattern)), behavior(behavior), invert(invert) {}
  Status split(const Piece &piece, Pieces &pieces) const override;

private:
  Pattern pattern;
  SplitBehavior behavior;
  bool invert;
};

/// Splits at the characters of a class.
class CharacterSplitter : public Splitter {
public:
  CharacterSplitter(std::function<bool(uint32_t)> isMatch, SplitBehavior behavior)
      : isMatch(std::move(isMatch)), behavior(behavior) {}
  Status split(const Piece &piece, Pieces &pieces) const override;

private:
  std::function<bool(uint32_t)> isMatch;
  SplitBehavior behavior;
};

/// A space in front, unless there is one.
class PrefixSpace : public Splitter {
public:
  Status split(const Piece &piece, Pieces &pieces) const override;
};

/// SentencePiece's way: spaces become a visible character, one more goes in front, and words begin
/// with it.
class Metaspace : public Splitter {
public:
  enum class Prepend { Never, First, Always };
  Metaspace(std::string replacement, Prepend prepend, bool splits)
      : replacement(std::move(replacement)), prepend(prepend), splits(splits) {}
  Status split(const Piece &piece, Pieces &pieces) const override;

private:
  std::string replacement;
  Prepend prepend;
  bool splits;
};

} // namespace pianola

#endif
