// Decoder.h - token ids to text.
//
// The decoders of tokenizer.json are a chain: steps that each token goes through by itself, then
// perhaps bytes that become characters, then steps on the whole text. What the former make of a
// token is known when the tokenizer is read; the rest is done as tokens come.
#ifndef PIANOLA_RUNTIME_TEXT_DECODER_H
#define PIANOLA_RUNTIME_TEXT_DECODER_H

#include "runtime/Status.h"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pianola {

class Decoder {
public:
  /// The `decoder` of tokenizer.json: null, ByteLevel, Metaspace, Replace, ByteFallback, Fuse,
  /// Strip, or a Sequence of these.
  static Result<Decoder> fromJson(const nlohmann::json &json, const std::string &path);

  /// What tokens are made of.
  enum class Bytes {
    Text,     // of text
    Level,    // of bytes, written in GPT-2's alphabet
    Fallback, // of text, but for <0x00> to <0xFF>, which are bytes
  };
  Bytes bytes() const { return kind; }

  struct Spelling {
    std::string bytes; // or text
    bool isByte;       // one byte, by ByteFallback
  };
  /// What a token stands for; `first` of a text.
  Spelling spell(std::string_view token, bool first) const;
  /// A text's first token may be spelled otherwise.
  bool firstDiffers() const { return hasFirst; }

  /// What is between two tokens.
  std::string_view between() const { return separator; }
  /// This character is taken away, at most so often, where the text begins and where it ends.
  char32_t stripped() const { return strip; }
  size_t strippedBefore() const { return before; }
  size_t strippedAfter() const { return after; }

private:
  Status add(const nlohmann::json &json, const std::string &path);

  using Step = std::function<std::string(std::string, bool first)>;
  std::vector<Step> steps;
  Bytes kind = Bytes::Text;
  bool hasFirst = false, joined = false;
  std::string separator;
  char32_t strip = 0;
  size_t before = 0, after = 0;
};

/// The byte that a token <0x00> to <0xFF> stands for, or -1.
int byteOfToken(std::string_view token);

/// A token in GPT-2's alphabet as bytes; nothing if it has a character that is not in it.
std::optional<std::string> bytesOfLevel(std::string_view token);

} // namespace pianola

#endif
