// StreamDecoder.cpp - turns ids into text as they come, never half a character.
#include "runtime/text/StreamDecoder.h"

#include "runtime/text/Tokenizer.h"
#include "runtime/text/Utf8.h"

namespace pianola {

static constexpr const char *kReplacement = "\xef\xbf\xbd";

// Where the character begins that ends `text` too early; its size if there is none.
static size_t incompleteEnd(std::string_view text) {
  for (size_t i = text.size() < 3 ? 0 : text.size() - 3; i < text.size(); ++i)
    if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) {
      Character c = characterAt(text, i);
      if (c.cut && i + c.size == text.size())
        return i;
    }
  return text.size();
}

// Hugging Face's ByteFallback: if a run of byte tokens is not UTF-8 as a whole, each of its bytes
// is U+FFFD. What a stream has shown of the run already stays shown.
std::string StreamDecoder::takeBytes(const std::string &bytes) {
  held += bytes;
  if (atOnce)
    return {};
  std::string text;
  if (!runBroken) {
    size_t invalid = findInvalid(held);
    if (invalid == std::string::npos) {
      std::swap(text, held);
      return text;
    }
    runBroken = !characterAt(held, invalid).cut;
    text = held.substr(0, invalid);
    held.erase(0, invalid);
  }
  if (runBroken) {
    for (size_t i = 0; i < held.size(); ++i)
      text += kReplacement;
    held.clear();
  }
  return text;
}

std::string StreamDecoder::endBytes() {
  std::string text;
  if (findInvalid(held) == std::string::npos)
    text = held;
  else
    for (size_t i = 0; i < held.size(); ++i)
      text += kReplacement;
  held.clear();
  runBroken = false;
  return text;
}

std::string StreamDecoder::trim(std::string text) {
  const Decoder &decoder = tokenizer.decoder;
  if (decoder.stripped() == 0 || text.empty())
    return text;
  std::string strip = encodeCharacter(decoder.stripped());
  size_t begin = 0;
  while (!hasText && trimmed < decoder.strippedBefore() &&
         text.compare(begin, strip.size(), strip) == 0) {
    begin += strip.size();
    ++trimmed;
  }
  if (begin == text.size())
    return {};
  hasText = true;
  if (decoder.strippedAfter() == 0)
    return text.substr(begin);
  // What may have to go at the end is held back.
  std::string result;
  for (size_t i = 0; i < heldEnds; ++i)
    result += strip;
  result.append(text, begin);
  heldEnds = 0;
  while (heldEnds < decoder.strippedAfter() && result.size() >= strip.size() &&
         result.compare(result.size() - strip.size(), strip.size(), strip) == 0) {
    result.resize(result.size() - strip.size());
    ++heldEnds;
  }
  return result;
}

std::string StreamDecoder::feed(int32_t id) {
  const Tokenizer::Token *token = tokenizer.find(id);
  if (!token || (skipSpecial && token->special))
    return {};
  const Decoder &decoder = tokenizer.decoder;
  std::string text = begun ? std::string(decoder.between()) : std::string();
  const Decoder::Spelling spelling = !begun && decoder.firstDiffers()
                                         ? decoder.spell(token->name, /*first=*/true)
                                         : token->spelling;
  begun = true;
  switch (decoder.bytes()) {
  case Decoder::Bytes::Text:
    return trim(text + spelling.bytes);
  case Decoder::Bytes::Fallback:
    return trim(spelling.isByte ? takeBytes(spelling.bytes) : endBytes() + spelling.bytes);
  case Decoder::Bytes::Level:
    break;
  }
  held += spelling.bytes;
  size_t end = incompleteEnd(held);
  text = repair(std::string_view(held).substr(0, end));
  held.erase(0, end);
  return trim(std::move(text));
}

std::string StreamDecoder::finish() {
  bool isLevel = tokenizer.decoder.bytes() == Decoder::Bytes::Level;
  std::string rest = trim(isLevel ? repair(held) : endBytes());
  held.clear();
  return rest;
}

} // namespace pianola
