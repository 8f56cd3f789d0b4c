// Decoder.cpp - token ids to text.
#include "runtime/text/Decoder.h"

#include "runtime/text/JsonParts.h"
#include "runtime/text/Pattern.h"
#include "runtime/text/Utf8.h"

#include <array>
#include <charconv>

namespace pianola {

using nlohmann::json;

int byteOfToken(std::string_view token) {
  int byte = -1;
  if (token.size() == 6 && token.substr(0, 3) == "<0x" && token[5] == '>' && token[3] != '-')
    if (auto [end, error] = std::from_chars(&token[3], &token[5], byte, 16);
        error != std::errc() || end != &token[5])
      return -1;
  return byte;
}

// Byte-level tokens are written in printable characters: the 188 bytes that are printable in
// Latin-1 for themselves, the other 68 as U+0100 and on, in their order (openai/gpt-2, encoder.py).
static std::array<int16_t, 0x144> byteAlphabet() {
  std::array<int16_t, 0x144> bytes;
  bytes.fill(-1);
  size_t next = 0x100;
  for (int16_t b = 0; b < 256; ++b) {
    bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    bytes[printable ? b : next++] = b;
  }
  return bytes;
}

std::optional<std::string> bytesOfLevel(std::string_view token) {
  static const std::array<int16_t, 0x144> alphabet = byteAlphabet();
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    Character c = characterAt(token, i);
    if (!c.valid || c.code >= alphabet.size() || alphabet[c.code] < 0)
      return std::nullopt;
    bytes += static_cast<char>(alphabet[c.code]);
    i += c.size;
  }
  return bytes;
}

Decoder::Spelling Decoder::spell(std::string_view token, bool first) const {
  std::string text(token);
  for (const Step &step : steps)
    text = step(std::move(text), first);
  if (kind == Bytes::Level)
    return {bytesOfLevel(text).value_or(text), false};
  if (int byte = kind == Bytes::Fallback ? byteOfToken(text) : -1; byte >= 0)
    return {std::string(1, static_cast<char>(byte)), true};
  return {std::move(text), false};
}

// What an expression cannot be looked for in stays as it is.
static std::string replaced(const std::string &text, const Pattern &pattern,
                            const std::string &content) {
  Result<std::string> result = pattern.replaceAll(text, content);
  return result ? *result : text;
}

static Result<size_t> countOf(const json &value, const char *name, const std::string &path) {
  const json &count = member(value, name);
  if (!count.is_number_unsigned() || count.get<uint64_t>() > 1024)
    return Status::error(path + "." + name + ": expected a number from 0 to 1024");
  return count.get<size_t>();
}

static std::string_view withoutEnds(std::string_view text, std::string_view end, size_t before,
                                    size_t after) {
  for (; before > 0 && text.substr(0, end.size()) == end; --before)
    text.remove_prefix(end.size());
  for (; after > 0 && text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
       --after)
    text.remove_suffix(end.size());
  return text;
}

Status Decoder::add(const json &value, const std::string &path) {
  std::string type = typeOf(value);
  if (type == "Fuse") {
    joined = true;
    return Status();
  }
  bool late = joined || kind != Bytes::Text;
  if (type == "Strip") {
    Result<std::string> content = text(value, "content", path);
    Result<size_t> start = countOf(value, "start", path), stop = countOf(value, "stop", path);
    if (!content)
      return content.status();
    if (!start || !stop)
      return start ? stop.status() : start.status();
    if (content->empty() || characterAt(*content, 0).size != content->size())
      return Status::error(path + ".content: expected one character");
    if (!late) {
      steps.push_back(
          [=, content = *content, start = *start, stop = *stop](std::string token, bool) {
            return std::string(withoutEnds(token, content, start, stop));
          });
      return Status();
    }
    if (!joined)
      return Status::error(path + ": Strip is supported before ByteFallback and after Fuse");
    if (strip != 0)
      return Status::error(path + ": a second Strip of the whole text is not supported");
    strip = characterAt(*content, 0).code;
    before = *start;
    after = *stop;
    return Status();
  }
  if (late)
    return Status::error(path + ".type: \"" + type + "\" after \"" +
                         (joined                 ? "Fuse"
                          : kind == Bytes::Level ? "ByteLevel"
                                                 : "ByteFallback") +
                         "\" is not supported");
  if (type == "ByteLevel") {
    kind = Bytes::Level;
    joined = true;
    return Status();
  }
  if (type == "ByteFallback") {
    kind = Bytes::Fallback;
    return Status();
  }
  if (type == "Replace") {
    Result<Pattern> pattern = Pattern::fromJson(member(value, "pattern"), path + ".pattern");
    Result<std::string> content = text(value, "content", path);
    if (!pattern || !content)
      return pattern ? content.status() : pattern.status();
    steps.push_back([pattern = *pattern, content = *content](std::string token, bool) {
      return replaced(token, pattern, content);
    });
    return Status();
  }
  if (type == "Metaspace") {
    Result<std::string> replacement = text(value, "replacement", path);
    if (!replacement)
      return replacement.status();
    const json &scheme = member(value, "prepend_scheme");
    Result<bool> prefix = flag(value, "add_prefix_space", true, path);
    if (!prefix)
      return prefix.status();
    bool drops = scheme.is_null() ? *prefix : scheme != "never";
    hasFirst |= drops;
    steps.push_back([=, pattern = Pattern::literal(*replacement)](std::string token, bool first) {
      return replaced(token, pattern, first && drops ? "" : " ");
    });
    return Status();
  }
  return unknownType(value, path,
                     "ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, Sequence");
}

Result<Decoder> Decoder::fromJson(const json &value, const std::string &path) {
  Decoder decoder;
  if (value.is_null()) {
    decoder.separator = " ";
    return decoder;
  }
  auto read = [&](const json &part, const std::string &where) { return decoder.add(part, where); };
  if (Status status = eachPart(value, "decoders", path, read); !status.ok())
    return status;
  return decoder;
}

} // namespace pianola
