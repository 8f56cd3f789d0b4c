// ForcedCall.h - an answer that must be a call: how it begins, and a grammar for the rest.
//
//   prompt + prefix, then tokens under the grammar; AnswerParser is fed with the prefix, too.
//
// What can be a special token is in the prefix, as grammars know text only. A closing marker that
// is one is left out: the parser does without it.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_FORCEDCALL_H
#define PIANOLA_RUNTIME_TOOLCALLS_FORCEDCALL_H

#include "runtime/grammar/Grammar.h"
#include "runtime/toolcalls/AnswerFormat.h"

#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace pianola {

struct ForcedCall {
  std::string prefix; // encoded with special tokens
  std::shared_ptr<const grammar::Grammar> grammar;
};

struct ForcedCallRequest {
  /// Which tool; of all if none is named.
  std::optional<std::string> name;
  /// Several calls may come, where a format can write them without a special token between.
  bool isParallel = false;
  /// The prompt ends in a thought: the prefix ends it.
  bool isThinking = false;
};

/// `tools` is OpenAI's list. Arguments satisfy the parameters' schemas, and stand in their order; a
/// tool without has the arguments {}. Errors: a style that has no such grammar, by name; a tool or
/// a schema that cannot be written, by its place in `tools`.
Result<ForcedCall> forceCall(const AnswerFormat &format, const Tokenizer &tokenizer,
                             const nlohmann::ordered_json &tools, const ForcedCallRequest &request);

} // namespace pianola

#endif
