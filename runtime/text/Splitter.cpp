// Splitter.cpp - one step of the pre-tokenizer: pieces of text to smaller pieces.
#include "runtime/text/Splitter.h"

#include "runtime/text/Utf8.h"

namespace pianola {

namespace {

// Takes the stretches of a piece in their order, matches and what is between, and cuts the piece as
// the behavior says.
class Cutter {
public:
  Cutter(const Piece &piece, SplitBehavior behavior, Pieces &pieces)
      : piece(piece), behavior(behavior), pieces(pieces) {}

  void add(size_t begin, size_t end, bool isMatch) {
    if (isMatch && behavior == SplitBehavior::Removed)
      return;
    if (joins(isMatch)) {
      last.end = end;
      // A piece that has taken its match takes no second one.
      last.isMatch = isMatch || behavior == SplitBehavior::MergedWithPrevious;
      return;
    }
    finish();
    last = {begin, end, isMatch};
    any = true;
  }

  void finish() {
    if (last.begin < last.end)
      pieces.next.push_back(
          {piece.text.substr(last.begin, last.end - last.begin), piece.isFirst && last.begin == 0});
  }

private:
  bool joins(bool isMatch) const {
    if (!any)
      return false;
    switch (behavior) {
    case SplitBehavior::Removed:
    case SplitBehavior::Isolated:
      return false;
    case SplitBehavior::MergedWithPrevious:
      return isMatch && !last.isMatch;
    case SplitBehavior::MergedWithNext:
      return last.isMatch && !isMatch;
    case SplitBehavior::Contiguous:
      return last.isMatch == isMatch;
    }
    return false;
  }

  const Piece piece;
  SplitBehavior behavior;
  Pieces &pieces;
  struct {
    size_t begin = 0, end = 0;
    bool isMatch = false;
  } last; // not cut off yet
  bool any = false;
};

} // namespace

Status PatternSplitter::split(const Piece &piece, Pieces &pieces) const {
  Cutter cutter(piece, behavior, pieces);
  size_t from = 0;
  Status status = pattern.findAll(piece.text, [&](size_t begin, size_t end) {
    if (from < begin)
      cutter.add(from, begin, invert);
    cutter.add(begin, end, !invert);
    from = end;
  });
  if (from < piece.text.size())
    cutter.add(from, piece.text.size(), invert);
  cutter.finish();
  return status;
}

Status CharacterSplitter::split(const Piece &piece, Pieces &pieces) const {
  Cutter cutter(piece, behavior, pieces);
  size_t from = 0; // of a run that does not match
  for (size_t i = 0; i < piece.text.size();) {
    Character c = characterAt(piece.text, i);
    if (isMatch(c.code)) {
      if (from < i)
        cutter.add(from, i, false);
      cutter.add(i, i + c.size, true);
      from = i + c.size;
    }
    i += c.size;
  }
  if (from < piece.text.size())
    cutter.add(from, piece.text.size(), false);
  cutter.finish();
  return Status();
}

Status PrefixSpace::split(const Piece &piece, Pieces &pieces) const {
  Piece result = piece;
  if (piece.text.substr(0, 1) != " ")
    result.text = pieces.made.emplace_back(" " + std::string(piece.text));
  pieces.next.push_back(result);
  return Status();
}

Status Metaspace::split(const Piece &piece, Pieces &pieces) const {
  std::string changed;
  changed.reserve(piece.text.size() + replacement.size());
  for (char c : piece.text)
    if (c == ' ')
      changed += replacement;
    else
      changed += c;
  bool hasPrefix = changed.compare(0, replacement.size(), replacement) == 0;
  if (!hasPrefix && (prepend == Prepend::Always || (prepend == Prepend::First && piece.isFirst)))
    changed.insert(0, replacement);
  Piece whole{pieces.made.emplace_back(std::move(changed)), piece.isFirst};
  if (splits)
    return PatternSplitter(Pattern::literal(replacement), SplitBehavior::MergedWithNext,
                           /*invert=*/false)
        .split(whole, pieces);
  pieces.next.push_back(whole);
  return Status();
}

} // namespace pianola
