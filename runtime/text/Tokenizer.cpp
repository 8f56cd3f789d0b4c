// Tokenizer.cpp - text to token ids and back.
#include "runtime/text/Tokenizer.h"

#include "runtime/text/Utf8.h"

namespace pianola {

Status Tokenizer::encodeText(std::string_view text, bool parseSpecial,
                             std::vector<int32_t> &ids) const {
  Result<std::string> normal = normalizer.apply(std::string(text));
  if (!normal)
    return normal.status();
  for (const Segment &segment : added.split(*normal, /*normalized=*/true, parseSpecial)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    std::vector<std::string> pieces;
    if (Status status = preTokenizer->apply(std::string(segment.text), pieces); !status.ok())
      return status;
    for (const std::string &piece : pieces)
      pairs.encode(piece, ids);
  }
  return Status();
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               const EncodeOptions &options) const {
  if (size_t at = findInvalid(text); at != std::string_view::npos)
    return Status::error("text is not UTF-8 at byte " + std::to_string(at));
  std::vector<int32_t> ids;
  if (options.addSpecial)
    ids = prefix;
  for (const Segment &segment : added.split(text, /*normalized=*/false, options.parseSpecial)) {
    if (segment.id >= 0)
      ids.push_back(segment.id);
    else if (Status status = encodeText(segment.text, options.parseSpecial, ids); !status.ok())
      return status;
  }
  if (options.addSpecial)
    ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::bytesOf(int32_t id, bool skipSpecial) const {
  if (id < 0 || static_cast<size_t>(id) >= tokens.size())
    return {};
  const Token &token = tokens[id];
  return skipSpecial && token.special ? std::string() : token.bytes;
}

std::string Tokenizer::decode(const std::vector<int32_t> &ids, bool skipSpecial) const {
  std::string bytes;
  for (int32_t id : ids)
    bytes += bytesOf(id, skipSpecial);
  return repair(bytes);
}

std::optional<int32_t> Tokenizer::tokenToId(std::string_view token) const {
  auto found = names.find(std::string(token));
  return found == names.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

std::string StreamDecoder::feed(int32_t id) {
  held += tokenizer.bytesOf(id, skipSpecial);
  // All but a character at the end that more bytes may complete.
  size_t end = held.size();
  for (size_t i = held.size() < 3 ? 0 : held.size() - 3; i < held.size(); ++i)
    if ((static_cast<uint8_t>(held[i]) & 0xc0) != 0x80) {
      Character c = characterAt(held, i);
      if (c.cut && i + c.size == held.size())
        end = i;
    }
  std::string complete = repair(std::string_view(held).substr(0, end));
  held.erase(0, end);
  return complete;
}

std::string StreamDecoder::finish() {
  std::string rest = repair(held);
  held.clear();
  return rest;
}

} // namespace pianola
