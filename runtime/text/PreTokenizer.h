// PreTokenizer.h - the splits that no token crosses.
#ifndef PIANOLA_RUNTIME_TEXT_PRETOKENIZER_H
#define PIANOLA_RUNTIME_TEXT_PRETOKENIZER_H

#include "runtime/text/Splitter.h"

#include <memory>

namespace pianola {

class PreTokenizer {
public:
  /// The `pre_tokenizer` of tokenizer.json: null, ByteLevel, Split, Digits, Metaspace, Whitespace,
  /// WhitespaceSplit, Punctuation, CharDelimiterSplit, or a Sequence of these.
  static Result<PreTokenizer> fromJson(const nlohmann::json &json, const std::string &path);

  /// Text goes on as bytes.
  bool isByteLevel() const { return byteLevel; }

  /// Splits what is in `pieces`.
  Status apply(Pieces &pieces) const;

private:
  Status add(const nlohmann::json &json, const std::string &path);
  std::vector<std::shared_ptr<const Splitter>> steps;
  bool byteLevel = false;
};

} // namespace pianola

#endif
