// Tokenizer.h - text to token ids and back, as a model's tokenizer.json says.
//
// What is understood: byte pair encoding of bytes (GPT-2, Llama 3, Qwen, SmolLM, Phi-4, gpt-oss,
// DeepSeek and their like) and of characters (SentencePiece's: Llama 2, Mistral, Gemma), with what
// their files have before and after it. Anything else in the file is an error that names the field
// and what is known, never a guess.
#ifndef PIANOLA_RUNTIME_TEXT_TOKENIZER_H
#define PIANOLA_RUNTIME_TEXT_TOKENIZER_H

#include "runtime/Status.h"
#include "runtime/text/AddedTokens.h"
#include "runtime/text/BytePairs.h"
#include "runtime/text/Decoder.h"
#include "runtime/text/Normalizer.h"
#include "runtime/text/PreTokenizer.h"
#include "runtime/text/StreamDecoder.h"

#include <optional>

namespace pianola {

struct EncodeOptions {
  bool addSpecial = true;   // what the post-processor puts before and after
  bool parseSpecial = true; // else text that looks like a special token stays text
};

/// A part of a text.
struct TextPart {
  std::string text;
  bool parseSpecial; // else it is data: no special token begins, ends or lies in it
};

class Tokenizer {
public:
  /// Reads the text of a tokenizer.json.
  static Result<std::unique_ptr<Tokenizer>> fromJson(std::string_view text);

  /// `text` must be UTF-8. Safe from several threads at once, as all members are.
  Result<std::vector<int32_t>> encode(std::string_view text,
                                      const EncodeOptions &options = {}) const;
  /// Encodes the parts as one text: tokens may cross from one to the next. `controls`, sorted, are
  /// tokens that no more are found in data than special ones are.
  Result<std::vector<int32_t>> encode(const std::vector<TextPart> &parts, bool addSpecial,
                                      const std::vector<int32_t> &controls = {}) const;
  /// Added tokens that a chat template writes, sorted: to be controls of its conversations.
  std::vector<int32_t> tokensWrittenIn(std::string_view source) const {
    return added.writtenIn(source);
  }

  /// Ids that the tokenizer does not know decode to nothing; bytes that are not UTF-8 to U+FFFD.
  std::string decode(const std::vector<int32_t> &ids, bool skipSpecial) const;
  /// The bytes of one token, not the first of a text; they need not be whole characters.
  std::string bytesOf(int32_t id, bool skipSpecial) const;

  /// What the post-processor puts before a text.
  const std::vector<int32_t> &beginning() const { return prefix; }

  std::optional<int32_t> tokenToId(std::string_view token) const;
  /// One more than the greatest id.
  int32_t vocabularySize() const { return static_cast<int32_t>(tokens.size()); }

private:
  friend class TokenizerReader;
  friend class StreamDecoder;
  class Encoding;

  struct Token {
    std::string name; // as it is written
    Decoder::Spelling spelling{};
    bool known = false, special = false;
  };
  const Token *find(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens.size() && tokens[id].known ? &tokens[id]
                                                                                  : nullptr;
  }

  Normalizer normalizer;
  PreTokenizer preTokenizer;
  BytePairs pairs;
  AddedTokens added;
  Decoder decoder;
  std::vector<Token> tokens;           // by id
  Vocabulary names;                    // as they are written
  std::vector<int32_t> prefix, suffix; // of the post-processor
};

} // namespace pianola

#endif
