// PreTokenizer.h - normalisation, and the splits that no token crosses.
#ifndef PIANOLA_RUNTIME_TEXT_PRETOKENIZER_H
#define PIANOLA_RUNTIME_TEXT_PRETOKENIZER_H

#include "runtime/Status.h"

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pianola {

/// One step of text to text: a Unicode normalisation form, or nothing.
class Normalizer {
public:
  /// The `normalizer` of tokenizer.json: null, NFC, NFD, NFKC, NFKD, or a Sequence of these.
  static Result<Normalizer> fromJson(const nlohmann::json &json, const std::string &path);
  Result<std::string> apply(std::string text) const;

private:
  std::vector<int> forms; // options of utf8proc
};

/// One step of the pre-tokenizer: pieces to smaller pieces.
class Splitter {
public:
  virtual ~Splitter() = default;
  virtual Status split(std::string piece, std::vector<std::string> &pieces) const = 0;
};

class PreTokenizer {
public:
  /// The `pre_tokenizer` of tokenizer.json: ByteLevel, Split, Digits, and Sequences of these.
  /// ByteLevel must be among them: tokens are made of bytes.
  static Result<PreTokenizer> fromJson(const nlohmann::json &json, const std::string &path);
  Status apply(std::string text, std::vector<std::string> &pieces) const;

private:
  Status add(const nlohmann::json &json, const std::string &path);
  std::vector<std::shared_ptr<const Splitter>> steps;
  bool byteLevel = false;
};

} // namespace pianola

#endif
