// TextReply.cpp - the reply to a request for texts: from tokens to OpenAI's objects.
#include "runtime/server/TextReply.h"

#include "runtime/server/Identifier.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace pianola::server {

TextReply::TextReply(GenerationRequest asked, Start begun, std::shared_ptr<Reply> to)
    : request(std::move(asked)), start(std::move(begun)), reply(std::move(to)),
      created(std::time(nullptr)) {
  for (size_t i = 0; i < start.prompts.size() * request.choices; ++i) {
    Text &text = texts.emplace_back(*start.model, request.stops);
    if (!request.isChat) {
      // The text goes on: it does not begin with a word as a text does that stands for itself.
      text.decoder.feed(start.prompts[i / request.choices].back());
      continue;
    }
    bool calls = request.toolChoice.kind != ToolChoice::None;
    text.parser.emplace(start.model->format(), calls, start.beginsThinking, request.tools);
    text.message = {{"role", "assistant"}, {"content", nullptr}, {"refusal", nullptr}};
  }
  if (request.isChat)
    for (const std::string &marker : start.model->format().markers())
      if (std::optional<int32_t> id = start.model->tokenizer().tokenToId(marker))
        markers.emplace_back(*id, marker);
  left = texts.size();
}

bool TextReply::take(size_t index, const ChosenToken &chosen) {
  Text &text = texts[index];
  if (failedWith)
    return false;
  if (chosen.isStop)
    return false; // what is held back is told by done()
  begin(text, index);
  if (request.returnIds)
    text.ids.push_back(chosen.id);
  if (chosen.logprob) {
    ordered_json entry = probabilityOf(chosen.id, *chosen.logprob);
    entry["top_logprobs"] = ordered_json::array();
    for (const TokenProbability &one : chosen.probables)
      entry["top_logprobs"].push_back(probabilityOf(one.id, one.logprob));
    text.probables.push_back(std::move(entry));
  }
  std::string piece = text.decoder.feed(chosen.id);
  for (const auto &[id, marker] : markers)
    if (id == chosen.id && piece.find(marker) == std::string::npos)
      piece += marker;
  tell(text, index, text.stops.feed(piece), false);
  return !text.stops.isFound() && !text.isOver;
}

void TextReply::done(size_t index, const Ending &ending) {
  Text &text = texts[index];
  text.ending = ending;
  if (!failedWith && ending.reason == Ending::Failed)
    fail(ApiError(500, ending.error, "", "generation_failed"));
  else if (!failedWith && ending.reason == Ending::Shutdown)
    fail(ApiError(503, "the server is shutting down"));
  else if (!failedWith && ending.reason != Ending::Cancelled) {
    begin(text, index);
    tell(text, index, text.stops.feed(text.decoder.finish()), false);
    tell(text, index, text.stops.finish(), true);
    text.finish = finishOf(text, ending);
    if (request.streams)
      send(text, index, ordered_json::object(), text.finish);
  }
  if (--left == 0)
    finish();
}

std::string TextReply::finishOf(const Text &text, const Ending &ending) const {
  if (ending.reason == Ending::Length)
    return "length";
  return text.callIds.empty() ? "stop" : "tool_calls";
}

// Mistral's templates take ids of nine letters and no others.
static std::string newCallId(CallStyle style) {
  bool isMistral = style == CallStyle::Mistral || style == CallStyle::MistralArgs;
  return isMistral ? newIdentifier("", 9) : newIdentifier("call_");
}

// A piece of text that is certain.
void TextReply::tell(Text &text, size_t index, const std::string &piece, bool isEnd) {
  if (text.parser) {
    tellParts(text, index, text.parser->feed(piece));
    if (isEnd)
      tellParts(text, index, text.parser->finish());
  } else if (!request.streams) {
    text.whole += piece;
  } else if (!piece.empty()) {
    send(text, index, {{"text", piece}}, nullptr);
  }
}

void TextReply::tellParts(Text &text, size_t index, const std::vector<AnswerPart> &parts) {
  for (const AnswerPart &part : parts) {
    if (text.isOver)
      return;
    text.isOver = part.kind == AnswerPart::CallEnd && !request.toolChoice.parallel;
    if (part.kind == AnswerPart::CallBegin)
      text.callIds.push_back(newCallId(start.model->format().calls));
    if (request.streams) {
      if (ordered_json delta = deltaOf(text, part); !delta.empty())
        send(text, index, std::move(delta), nullptr);
      continue;
    }
    auto append = [&](const char *name) {
      ordered_json &to = text.message[name];
      if (!to.is_string())
        to = "";
      to.get_ref<std::string &>() += part.text;
    };
    switch (part.kind) {
    case AnswerPart::Content:
      append("content");
      break;
    case AnswerPart::Reasoning:
      append("reasoning_content");
      break;
    case AnswerPart::CallBegin:
      text.calls.push_back({{"id", text.callIds.back()},
                            {"type", "function"},
                            {"function", {{"name", part.name}, {"arguments", ""}}}});
      break;
    case AnswerPart::CallArguments:
      text.calls[part.call]["function"]["arguments"].get_ref<std::string &>() += part.text;
      break;
    case AnswerPart::CallEnd:
      break;
    }
  }
}

ordered_json TextReply::deltaOf(Text &text, const AnswerPart &part) {
  switch (part.kind) {
  case AnswerPart::Content:
    return {{"content", part.text}};
  case AnswerPart::Reasoning:
    return {{"reasoning_content", part.text}};
  case AnswerPart::CallBegin:
    return {{"tool_calls",
             ordered_json::array({{{"index", part.call},
                                   {"id", text.callIds.back()},
                                   {"type", "function"},
                                   {"function", {{"name", part.name}, {"arguments", ""}}}}})}};
  case AnswerPart::CallArguments:
    return {{"tool_calls", ordered_json::array({{{"index", part.call},
                                                 {"function", {{"arguments", part.text}}}}})}};
  case AnswerPart::CallEnd:
    break;
  }
  return ordered_json::object();
}

// A token as clients see it: its text, where it is one, and its bytes.
ordered_json TextReply::probabilityOf(int32_t id, float logprob) const {
  std::string bytes = start.model->tokenizer().bytesOf(id, /*skipSpecial=*/false);
  ordered_json all = ordered_json::array();
  for (unsigned char byte : bytes)
    all.push_back(byte);
  return {{"token", bytes}, {"logprob", logprob}, {"bytes", all}};
}

ordered_json TextReply::takeProbables(Text &text) {
  if (!request.probables)
    return nullptr;
  std::vector<ordered_json> entries = std::move(text.probables);
  text.probables.clear();
  if (request.isChat)
    return {{"content", entries}, {"refusal", nullptr}};
  ordered_json tokens = ordered_json::array(), logprobs = tokens, tops = tokens, offsets = tokens;
  for (const ordered_json &entry : entries) {
    ordered_json named = ordered_json::object();
    for (const ordered_json &one : entry["top_logprobs"])
      named[one["token"].get_ref<const std::string &>()] = one["logprob"];
    tokens.push_back(entry["token"]);
    logprobs.push_back(entry["logprob"]);
    tops.push_back(std::move(named));
    offsets.push_back(text.offset);
    for (unsigned char byte : entry["token"].get_ref<const std::string &>())
      text.offset += (byte & 0xc0) != 0x80; // characters, as Python counts them
  }
  return {{"tokens", tokens},
          {"token_logprobs", logprobs},
          {"top_logprobs", tops},
          {"text_offset", offsets}};
}

void TextReply::takeIds(Text &text, ordered_json &choice) {
  if (request.returnIds)
    choice["token_ids"] = std::exchange(text.ids, {});
}

ordered_json TextReply::frame(const char *object) const {
  return {
      {"id", start.id}, {"object", object}, {"created", created}, {"model", start.model->name()}};
}

// The first chunk of a text: who speaks, or what it goes on from.
void TextReply::begin(Text &text, size_t index) {
  if (text.begun)
    return;
  text.begun = true;
  std::string echoed;
  if (request.echo) {
    const Prompt &prompt = request.prompts[index / request.choices];
    const std::string *given = std::get_if<std::string>(&prompt);
    echoed = given ? *given
                   : start.model->tokenizer().decode(std::get<std::vector<int32_t>>(prompt),
                                                     /*skipSpecial=*/false);
    for (unsigned char byte : echoed)
      text.offset += (byte & 0xc0) != 0x80;
  }
  if (!request.streams)
    text.whole = echoed;
  else if (request.isChat)
    send(text, index, {{"role", "assistant"}, {"content", ""}}, nullptr);
  else if (!echoed.empty())
    send(text, index, {{"text", echoed}}, nullptr);
  if (text.parser && !start.forced.empty())
    tellParts(text, index, text.parser->feed(start.forced));
}

void TextReply::send(Text &text, size_t index, ordered_json content, const ordered_json &finish) {
  ordered_json choice = {{"index", index}};
  if (request.isChat) {
    choice["delta"] = std::move(content);
  } else {
    choice["text"] = content.contains("text") ? content["text"] : ordered_json("");
  }
  bool told = !text.probables.empty();
  choice["logprobs"] = told ? takeProbables(text) : ordered_json();
  choice["finish_reason"] = finish;
  takeIds(text, choice);
  ordered_json event = frame(request.isChat ? "chat.completion.chunk" : "text_completion");
  event["choices"] = ordered_json::array({std::move(choice)});
  if (request.includeUsage)
    event["usage"] = nullptr;
  if (!finish.is_null() && left == 1)
    event["timings"] = timings();
  sendEvent(event);
}

void TextReply::sendEvent(const ordered_json &event) {
  if (!streaming)
    reply->begin("text/event-stream; charset=utf-8");
  streaming = true;
  reply->write("data: " + textOf(event) + "\n\n");
}

ordered_json TextReply::usage() const {
  size_t prompt = 0, cached = 0, generated = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    generated += texts[i].ending.generatedTokens;
    if (i % request.choices)
      continue; // each prompt is counted once
    prompt += texts[i].ending.promptTokens;
    cached += texts[i].ending.cachedTokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", generated},
          {"total_tokens", prompt + generated},
          {"prompt_tokens_details", {{"cached_tokens", cached}}}};
}

// As llama-server has them, of the first text.
ordered_json TextReply::timings() const {
  const Ending &ending = texts.front().ending;
  auto ms = [](Clock::time_point from, Clock::time_point to) {
    return std::max(0.0, std::chrono::duration<double, std::milli>(to - from).count());
  };
  if (ending.generatedTokens == 0)
    return nullptr;
  double prompt = ms(ending.started, ending.firstToken);
  double predicted = ms(ending.firstToken, ending.ended);
  auto fed = static_cast<double>(ending.promptTokens - ending.cachedTokens);
  // The first token comes with the prompt.
  auto made = static_cast<double>(ending.generatedTokens - 1);
  return {{"cache_n", ending.cachedTokens},
          {"prompt_n", ending.promptTokens - ending.cachedTokens},
          {"prompt_ms", prompt},
          {"prompt_per_token_ms", prompt / fed},
          {"prompt_per_second", prompt > 0 ? fed / prompt * 1e3 : 0},
          {"predicted_n", ending.generatedTokens},
          {"predicted_ms", predicted},
          {"predicted_per_token_ms", made > 0 ? predicted / made : 0},
          {"predicted_per_second", predicted > 0 ? made / predicted * 1e3 : 0}};
}

ordered_json TextReply::choiceOf(Text &text, size_t index) {
  ordered_json choice = {{"index", index}};
  if (request.isChat) {
    if (!text.calls.empty())
      text.message["tool_calls"] = text.calls;
    else if (text.message["content"].is_null())
      text.message["content"] = "";
    choice["message"] = text.message;
  } else {
    choice["text"] = text.whole;
  }
  choice["logprobs"] = takeProbables(text);
  choice["finish_reason"] = text.finish;
  takeIds(text, choice);
  return choice;
}

void TextReply::finish() {
  ReplyRecord record;
  record.status = failedWith.value_or(200);
  record.finish = failedWith                     ? "error"
                  : texts.front().finish.empty() ? "abort"
                                                 : texts.front().finish;
  for (const Text &text : texts)
    record.endings.push_back(text.ending);
  if (start.ended)
    start.ended(record);
  bool isCancelled = std::any_of(texts.begin(), texts.end(), [](const Text &text) {
    return text.ending.reason == Ending::Cancelled;
  });
  if (failedWith)
    return; // was told
  if (isCancelled)
    return reply->end(); // nobody listens
  if (request.streams) {
    if (request.includeUsage) {
      ordered_json event = frame(request.isChat ? "chat.completion.chunk" : "text_completion");
      event["choices"] = ordered_json::array();
      event["usage"] = usage();
      sendEvent(event);
    }
    reply->write("data: [DONE]\n\n");
    return reply->end();
  }
  ordered_json whole = frame(request.isChat ? "chat.completion" : "text_completion");
  whole["choices"] = ordered_json::array();
  for (size_t i = 0; i < texts.size(); ++i)
    whole["choices"].push_back(choiceOf(texts[i], i));
  whole["usage"] = usage();
  whole["timings"] = timings();
  HttpResponse response;
  response.body = textOf(whole);
  reply->send(std::move(response));
}

void TextReply::fail(const ApiError &error) {
  failedWith = error.status;
  if (!streaming)
    return reply->send(error.response());
  reply->write("data: " + error.json() + "\n\n");
  reply->end();
}

} // namespace pianola::server
