// Tokenizer.cpp - text to token ids and back.
#include "runtime/text/Tokenizer.h"

#include "runtime/text/Utf8.h"

#include <algorithm>

namespace pianola {

// One call of encode().
class Tokenizer::Encoding {
public:
  Encoding(const Tokenizer &tokenizer, std::vector<int32_t> &ids)
      : tokenizer(tokenizer), ids(ids) {}

  /// `data`: see AddedTokens.
  Status encode(std::string_view text, const Data &data);

private:
  Status encodeSegment(const Segment &segment, const Data &data);
  Status encodePlain(std::string_view text, bool isFirst);
  void encodePiece(std::string_view piece);

  const Tokenizer &tokenizer;
  std::vector<int32_t> &ids;
  BytePairs::Scratch scratch;
  Pieces pieces;

  // Texts repeat their words. A piece that has come before is not encoded again: its ids stand in
  // `ids` already.
  struct Known {
    std::string_view piece;
    size_t begin = 0, count = 0;
  };
  static constexpr size_t kKnown = 1 << 12;
  static constexpr size_t kLongestKnown = 32;
  std::vector<Known> known; // by the hash of the piece; made when the text is worth it
};

void Tokenizer::Encoding::encodePiece(std::string_view piece) {
  if (known.empty() || piece.size() > kLongestKnown) {
    tokenizer.pairs.encode(piece, scratch, ids);
    return;
  }
  Known &entry = known[std::hash<std::string_view>()(piece) % kKnown];
  if (entry.piece == piece) {
    ids.resize(ids.size() + entry.count);
    std::copy_n(ids.begin() + entry.begin, entry.count, ids.end() - entry.count);
    return;
  }
  size_t begin = ids.size();
  tokenizer.pairs.encode(piece, scratch, ids);
  entry = {piece, begin, ids.size() - begin};
}

Status Tokenizer::Encoding::encodePlain(std::string_view text, bool isFirst) {
  pieces.list.assign(1, {text, isFirst});
  if (Status status = tokenizer.preTokenizer.apply(pieces); !status.ok())
    return status;
  for (const Piece &piece : pieces.list)
    encodePiece(piece.text);
  return Status();
}

Status Tokenizer::Encoding::encodeSegment(const Segment &segment, const Data &data) {
  bool isFirst = segment.begin == 0;
  std::string_view text = segment.text;
  Data inText;
  inText.controls = data.controls;
  auto range = std::upper_bound(data.ranges.begin(), data.ranges.end(), segment.begin,
                                [](size_t at, const TextRange &other) { return at < other.end; });
  for (; range != data.ranges.end() && range->begin < segment.begin + text.size(); ++range)
    inText.ranges.push_back({range->begin < segment.begin ? 0 : range->begin - segment.begin,
                             range->end - segment.begin});
  bool isChanged = !tokenizer.normalizer.isIdentity();
  // What is data in a text is not known any more once the text has been normalised: tokens that
  // data may not have are looked for before, as they are written, and then no more.
  if (isChanged && !inText.ranges.empty() && !segment.isSearched) {
    for (Segment part : tokenizer.added.split(text, AddedTokens::NormalizedGuarded, inText)) {
      part.begin += segment.begin;
      part.isSearched = true;
      if (part.id >= 0)
        ids.push_back(part.id);
      else if (Status status = encodeSegment(part, data); !status.ok())
        return status;
    }
    return Status();
  }
  std::string normal;
  if (isChanged) {
    Result<std::string> changed = tokenizer.normalizer.apply(std::string(text));
    if (!changed)
      return changed.status();
    text = pieces.made.emplace_back(std::move(*changed));
    inText.ranges.clear();
    if (segment.isSearched)
      inText.ranges.push_back({0, text.size()});
  }
  for (const Segment &part : tokenizer.added.split(text, AddedTokens::Normalized, inText))
    if (part.id >= 0)
      ids.push_back(part.id);
    else if (Status status = encodePlain(part.text, isFirst && part.begin == 0); !status.ok())
      return status;
  return Status();
}

Status Tokenizer::Encoding::encode(std::string_view text, const Data &data) {
  if (text.size() > kKnown)
    known.resize(kKnown);
  for (const Segment &segment : tokenizer.added.split(text, AddedTokens::AsWritten, data))
    if (segment.id >= 0)
      ids.push_back(segment.id);
    else if (Status status = encodeSegment(segment, data); !status.ok())
      return status;
  return Status();
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               const EncodeOptions &options) const {
  return encode({{std::string(text), options.parseSpecial}}, options.addSpecial);
}

Result<std::vector<int32_t>> Tokenizer::encode(const std::vector<TextPart> &parts, bool addSpecial,
                                               const std::vector<int32_t> &controls) const {
  std::string text;
  Data data;
  data.controls = &controls;
  for (const TextPart &part : parts) {
    size_t begin = text.size();
    text += part.text;
    if (!part.parseSpecial && !part.text.empty())
      data.ranges.push_back({begin, text.size()});
  }
  if (size_t at = findInvalid(text); at != std::string_view::npos)
    return Status::error("text is not UTF-8 at byte " + std::to_string(at));
  std::vector<int32_t> ids;
  if (addSpecial)
    ids = prefix;
  if (Status status = Encoding(*this, ids).encode(text, data); !status.ok())
    return status;
  if (addSpecial)
    ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::bytesOf(int32_t id, bool skipSpecial) const {
  const Token *token = find(id);
  return !token || (skipSpecial && token->special) ? std::string() : token->spelling.bytes;
}

std::string Tokenizer::decode(const std::vector<int32_t> &ids, bool skipSpecial) const {
  StreamDecoder stream(*this, skipSpecial);
  stream.atOnce = true;
  std::string text;
  for (int32_t id : ids)
    text += stream.feed(id);
  return text + stream.finish();
}

std::optional<int32_t> Tokenizer::tokenToId(std::string_view token) const {
  int32_t id = names.find(token);
  return id == Vocabulary::kNone ? std::nullopt : std::optional<int32_t>(id);
}

} // namespace pianola
