// GenerationRequest.cpp - what a body of /v1/chat/completions or /v1/completions asks for.
#include "runtime/server/GenerationRequest.h"

#include "runtime/server/ChatMessages.h"
#include "runtime/server/Fields.h"

#include <charconv>

namespace pianola::server {

static constexpr size_t kMostStops = 64, kMostStopBytes = 1024;
static constexpr int64_t kMostChoices = 128, kMostProbables = 20, kMostPrompts = 128;

std::variant<std::vector<int32_t>, ApiError>
readTokenIds(const ordered_json &ids, const std::string &name, int32_t vocabulary) {
  std::vector<int32_t> read;
  if (!ids.is_array())
    return ApiError(400, name + ": expected an array of token ids, found " + kindOf(ids), name);
  for (const ordered_json &id : ids) {
    // Numbers below zero are not unsigned here.
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocabulary))
      return ApiError(400,
                      name + ": expected token ids from 0 to " + std::to_string(vocabulary - 1) +
                          ", found " + kindOf(id),
                      name);
    read.push_back(id.get<int32_t>());
  }
  return read;
}

static void readStops(Fields &fields, GenerationRequest &request) {
  const ordered_json *stop = fields.find("stop");
  if (!stop)
    return;
  ordered_json list = stop->is_array() ? *stop : ordered_json::array({*stop});
  if (list.size() > kMostStops)
    return fields.fail("stop", "has " + std::to_string(list.size()) + " strings, and " +
                                   std::to_string(kMostStops) + " are allowed");
  for (const ordered_json &text : list) {
    if (!text.is_string() || text.get_ref<const std::string &>().empty() ||
        text.get_ref<const std::string &>().size() > kMostStopBytes)
      return fields.fail("stop", "expected strings of 1 to " + std::to_string(kMostStopBytes) +
                                     " bytes, found " + kindOf(text));
    request.stops.push_back(text.get<std::string>());
  }
}

static void readBias(Fields &fields, GenerationRequest &request, int32_t vocabulary) {
  const ordered_json *bias = fields.find("logit_bias");
  if (!bias)
    return;
  if (!bias->is_object())
    return fields.fail("logit_bias", "expected an object, found " + kindOf(*bias));
  for (const auto &[key, value] : bias->items()) {
    int32_t id = -1;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocabulary)
      return fields.fail("logit_bias", "\"" + key + "\" is no token id from 0 to " +
                                           std::to_string(vocabulary - 1));
    if (!value.is_number() || !(value.get<double>() >= -100 && value.get<double>() <= 100))
      return fields.fail("logit_bias", "expected numbers from -100 to 100, found " + kindOf(value));
    request.sampling.logitBias.emplace_back(id, value.get<float>());
  }
}

static void readFormat(Fields &fields, GenerationRequest &request) {
  std::string gbnf;
  fields.take("grammar", gbnf);
  Constraint &constraint = request.constraint;
  if (!gbnf.empty()) {
    constraint.kind = Constraint::Gbnf;
    constraint.gbnf = std::move(gbnf);
  }
  const ordered_json *format = fields.find("response_format");
  if (!format)
    return;
  if (!format->is_object() || !format->contains("type") || !(*format)["type"].is_string())
    return fields.fail("response_format", "expected an object with a type");
  std::string type = (*format)["type"];
  if (type == "text")
    return;
  if (constraint.kind != Constraint::None)
    return fields.fail("response_format", "cannot be given together with a grammar");
  if (type == "json_object") {
    constraint.kind = Constraint::JsonObject;
  } else if (type == "json_schema") {
    const ordered_json *schema = nullptr;
    if (auto outer = format->find("json_schema"); outer != format->end() && outer->is_object())
      if (auto inner = outer->find("schema"); inner != outer->end())
        schema = &*inner;
    if (!schema || !(schema->is_object() || schema->is_boolean()))
      return fields.fail("response_format.json_schema.schema", "expected a JSON schema");
    constraint.kind = Constraint::Schema;
    constraint.schema = *schema;
  } else {
    fields.fail("response_format.type",
                "expected text, json_object or json_schema, found \"" + type + "\"");
  }
}

// What chats and completions have in common.
static void readShared(Fields &fields, GenerationRequest &request, const RequestRules &rules) {
  SamplingOptions &sampling = request.sampling;
  sampling = rules.sampling;
  fields.take("model", request.model);
  fields.take("temperature", sampling.temperature, 0, 2);
  fields.take("top_p", sampling.topP, 0, 1);
  fields.take("min_p", sampling.minP, 0, 1);
  fields.take("presence_penalty", sampling.presencePenalty, -2, 2);
  fields.take("frequency_penalty", sampling.frequencyPenalty, -2, 2);
  fields.take("repeat_penalty", sampling.repetitionPenalty, 0.01, 100);
  fields.take("repetition_penalty", sampling.repetitionPenalty, 0.01, 100);
  int64_t topK = sampling.topK;
  fields.take("top_k", topK, -1, INT32_MAX); // -1: all, as vLLM has it
  sampling.topK = static_cast<int32_t>(std::max<int64_t>(topK, 0));
  if (fields.find("seed")) {
    int64_t seed = 0;
    fields.take("seed", seed, INT64_MIN, INT64_MAX);
    request.seed = static_cast<uint64_t>(seed);
  }
  int64_t choices = 1;
  fields.take("n", choices, 1, kMostChoices);
  request.choices = static_cast<uint64_t>(choices);
  fields.take("stream", request.streams);
  fields.take("ignore_eos", request.ignoreStops);
  fields.take("return_token_ids", request.returnIds);
  if (const ordered_json *options = fields.find("stream_options")) {
    if (!options->is_object())
      return fields.fail("stream_options", "expected an object, found " + kindOf(*options));
    if (!request.streams)
      return fields.fail("stream_options", "is for streams alone: set stream");
    Fields inner(*options, "stream_options.");
    inner.take("include_usage", request.includeUsage);
    if (!inner.ok())
      fields.error = inner.error;
  }
  readStops(fields, request);
  if (const ordered_json *ids = fields.find("stop_token_ids")) {
    auto read = readTokenIds(*ids, "stop_token_ids", rules.vocabulary);
    if (auto *error = std::get_if<ApiError>(&read))
      return fields.fail(error->param, error->message.substr(error->param.size() + 2));
    request.stopIds = std::get<std::vector<int32_t>>(std::move(read));
  }
  readBias(fields, request, rules.vocabulary);
  readFormat(fields, request);
}

static void readMost(Fields &fields, const char *name, GenerationRequest &request) {
  int64_t most = 0;
  fields.take(name, most, 1, INT64_MAX);
  if (most)
    request.most = static_cast<uint64_t>(most);
}

std::variant<GenerationRequest, ApiError> readChatRequest(const ordered_json &body,
                                                          const RequestRules &rules) {
  GenerationRequest request;
  request.isChat = true;
  Fields fields(body);
  readShared(fields, request, rules);
  readMost(fields, "max_tokens", request);
  readMost(fields, "max_completion_tokens", request);
  bool logprobs = false;
  fields.take("logprobs", logprobs);
  int64_t probables = 0;
  fields.take("top_logprobs", probables, 0, kMostProbables);
  if (fields.find("top_logprobs") && !logprobs && probables)
    fields.fail("top_logprobs", "needs logprobs to be true");
  if (logprobs)
    request.probables = static_cast<size_t>(probables);
  fields.refuse("audio", nullptr);
  fields.refuse("modalities", ordered_json::array({"text"}));
  fields.refuse("functions", ordered_json::array());
  fields.refuse("function_call", "none");
  fields.refuse("prediction", nullptr);
  fields.refuse("store", false);
  fields.refuse("web_search_options", nullptr);
  readTools(fields, request);
  readMessages(fields, request);
  if (fields.error)
    return *fields.error;
  return request;
}

std::vector<Prompt> readPrompts(Fields &fields, const char *name, int32_t vocabulary) {
  std::vector<Prompt> prompts;
  const ordered_json *prompt = fields.find(name);
  if (!prompt) {
    fields.fail(name, "is missing");
    return prompts;
  }
  auto add = [&](const ordered_json &one) {
    if (one.is_string()) {
      prompts.push_back(one.get<std::string>());
      return;
    }
    auto ids = readTokenIds(one, name, vocabulary);
    if (auto *error = std::get_if<ApiError>(&ids))
      return fields.fail(error->param, error->message.substr(error->param.size() + 2));
    prompts.push_back(std::get<std::vector<int32_t>>(std::move(ids)));
  };
  bool isList = prompt->is_array() && !prompt->empty() &&
                ((*prompt)[0].is_string() || (*prompt)[0].is_array());
  if (!isList)
    add(*prompt);
  else if (prompt->size() > static_cast<size_t>(kMostPrompts))
    fields.fail(name, "has " + std::to_string(prompt->size()) + " texts, and " +
                          std::to_string(kMostPrompts) + " are allowed");
  else
    for (const ordered_json &one : *prompt)
      add(one);
  return prompts;
}

std::variant<GenerationRequest, ApiError> readCompletionRequest(const ordered_json &body,
                                                                const RequestRules &rules) {
  GenerationRequest request;
  Fields fields(body);
  readShared(fields, request, rules);
  request.most = 16; // OpenAI's default
  readMost(fields, "max_tokens", request);
  readMost(fields, "n_predict", request); // llama-server's name
  if (fields.find("logprobs")) {
    int64_t probables = 0;
    fields.take("logprobs", probables, 0, kMostProbables);
    request.probables = static_cast<size_t>(probables);
  }
  fields.take("echo", request.echo);
  if (request.echo && request.probables)
    fields.fail("echo", "is not supported together with logprobs");
  fields.refuse("suffix", "");
  fields.refuse("best_of", request.choices);
  request.prompts = readPrompts(fields, "prompt", rules.vocabulary);
  if (fields.error)
    return *fields.error;
  return request;
}

} // namespace pianola::server
