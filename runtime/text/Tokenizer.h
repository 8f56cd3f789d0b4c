// Tokenizer.h - text to token ids and back, as a model's tokenizer.json says.
//
// What is understood: byte-level byte pair encoding, that is the tokenizers of GPT-2, Llama 3,
// Qwen, SmolLM, Phi-4, gpt-oss, DeepSeek and their like. Anything else in the file is an error that
// names the field and what is known, never a guess.
#ifndef PIANOLA_RUNTIME_TEXT_TOKENIZER_H
#define PIANOLA_RUNTIME_TEXT_TOKENIZER_H

#include "runtime/Status.h"
#include "runtime/text/AddedTokens.h"
#include "runtime/text/BytePairs.h"
#include "runtime/text/PreTokenizer.h"

#include <memory>
#include <optional>

namespace pianola {

struct EncodeOptions {
  bool addSpecial = true;   // what the post-processor puts before and after
  bool parseSpecial = true; // else text that looks like a special token stays text
};

class Tokenizer {
public:
  /// Reads the text of a tokenizer.json.
  static Result<std::unique_ptr<Tokenizer>> fromJson(std::string_view text);

  /// `text` must be UTF-8. Safe from several threads at once, as all members are.
  Result<std::vector<int32_t>> encode(std::string_view text,
                                      const EncodeOptions &options = {}) const;

  /// Ids that the tokenizer does not know decode to nothing; bytes that are not UTF-8 to U+FFFD.
  std::string decode(const std::vector<int32_t> &ids, bool skipSpecial) const;
  /// The bytes of one token, which need not be whole characters.
  std::string bytesOf(int32_t id, bool skipSpecial) const;

  /// What the post-processor puts before a text.
  const std::vector<int32_t> &beginning() const { return prefix; }

  std::optional<int32_t> tokenToId(std::string_view token) const;
  /// One more than the greatest id.
  int32_t vocabularySize() const { return static_cast<int32_t>(tokens.size()); }

private:
  friend class TokenizerReader;
  Status encodeText(std::string_view text, bool parseSpecial, std::vector<int32_t> &ids) const;

  struct Token {
    std::string bytes;
    bool known = false, special = false;
  };
  Normalizer normalizer;
  std::optional<PreTokenizer> preTokenizer;
  BytePairs pairs;
  AddedTokens added;
  std::vector<Token> tokens;                      // by id
  std::unordered_map<std::string, int32_t> names; // as written in the file
  std::vector<int32_t> prefix, suffix;            // of the post-processor
};

/// Turns ids into text as they come, never half a character.
class StreamDecoder {
public:
  StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial)
      : tokenizer(tokenizer), skipSpecial(skipSpecial) {}

  /// What this id completes; may be empty.
  std::string feed(int32_t id);
  /// What is left when no more ids come.
  std::string finish();

private:
  const Tokenizer &tokenizer;
  bool skipSpecial;
  std::string held;
};

} // namespace pianola

#endif
