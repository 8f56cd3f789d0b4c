// Normalizer.h - what a tokenizer makes of text before it splits it.
#ifndef PIANOLA_RUNTIME_TEXT_NORMALIZER_H
#define PIANOLA_RUNTIME_TEXT_NORMALIZER_H

#include "runtime/Status.h"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace pianola {

class Normalizer {
public:
  /// The `normalizer` of tokenizer.json: null, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend,
  /// Replace, or a Sequence of these.
  static Result<Normalizer> fromJson(const nlohmann::json &json, const std::string &path);

  /// `text` must be UTF-8.
  Result<std::string> apply(std::string text) const;
  /// apply() changes nothing.
  bool isIdentity() const { return steps.empty(); }

private:
  using Step = std::function<Result<std::string>(std::string)>;
  std::vector<Step> steps;
};

} // namespace pianola

#endif
