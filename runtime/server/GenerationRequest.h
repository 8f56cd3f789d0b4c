// GenerationRequest.h - what a body of /v1/chat/completions or /v1/completions asks for.
//
// Fields are OpenAI's (https://platform.openai.com/docs/api-reference), and of those that vLLM and
// llama-server add: top_k, min_p, repetition_penalty, ignore_eos, stop_token_ids, grammar,
// return_token_ids, chat_template_kwargs. Unknown ones are ignored; known ones that are not served
// are refused.
#ifndef PIANOLA_RUNTIME_SERVER_GENERATIONREQUEST_H
#define PIANOLA_RUNTIME_SERVER_GENERATIONREQUEST_H

#include "runtime/sampling/Sampler.h"
#include "runtime/server/ApiError.h"
#include "runtime/server/Json.h"

#include <optional>
#include <variant>

namespace pianola::server {

class Fields;

/// What texts are held to.
struct Constraint {
  enum Kind { None, JsonObject, Schema, Gbnf } kind = None;
  ordered_json schema;
  std::string gbnf;
};

struct ToolChoice {
  enum Kind { None, Auto, Required } kind = None;
  std::string name; // with Required: of the function that must be called; empty: any
  bool parallel = true;
};

using Prompt = std::variant<std::string, std::vector<int32_t>>;

struct GenerationRequest {
  bool isChat = false;
  ordered_json variables;      // of the chat template, with messages and tools
  std::vector<Prompt> prompts; // of completions

  std::string model;
  SamplingOptions sampling;
  std::optional<uint64_t> seed;
  std::optional<uint64_t> most; // tokens
  uint64_t choices = 1;         // of each prompt
  std::vector<std::string> stops;
  std::vector<int32_t> stopIds;
  std::optional<size_t> probables;
  bool ignoreStops = false, echo = false;
  bool streams = false, includeUsage = false;
  bool returnIds = false; // of the tokens, beside the text
  Constraint constraint;
  ordered_json tools = ordered_json::array();
  ToolChoice toolChoice;
};

/// What requests are measured by.
struct RequestRules {
  SamplingOptions sampling; // where a request says nothing
  int32_t vocabulary = 0;
};

/// The request, or why not.
std::variant<GenerationRequest, ApiError> readChatRequest(const ordered_json &body,
                                                          const RequestRules &rules);
std::variant<GenerationRequest, ApiError> readCompletionRequest(const ordered_json &body,
                                                                const RequestRules &rules);

/// A list of token ids of the vocabulary.
std::variant<std::vector<int32_t>, ApiError>
readTokenIds(const ordered_json &ids, const std::string &name, int32_t vocabulary);

/// The texts of a field: one or a list of them, each a string or a list of token ids.
std::vector<Prompt> readPrompts(Fields &fields, const char *name, int32_t vocabulary);

} // namespace pianola::server

#endif
