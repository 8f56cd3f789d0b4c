// Generate.cpp - the routes that generate texts.
#include "runtime/server/Service.h"

#include "runtime/server/Identifier.h"

#include <algorithm>

namespace pianola::server {

void Service::chat(Visit &visit) {
  std::optional<ordered_json> body = readBody(visit);
  if (!body)
    return;
  auto request = readChatRequest(*body, model->rules());
  if (auto *error = std::get_if<ApiError>(&request))
    return refuse(visit, *error);
  generate(visit, std::get<GenerationRequest>(std::move(request)));
}

void Service::completion(Visit &visit) {
  std::optional<ordered_json> body = readBody(visit);
  if (!body)
    return;
  auto request = readCompletionRequest(*body, model->rules());
  if (auto *error = std::get_if<ApiError>(&request))
    return refuse(visit, *error);
  generate(visit, std::get<GenerationRequest>(std::move(request)));
}

std::variant<std::vector<int32_t>, ApiError>
Service::encodeChat(const GenerationRequest &request) const {
  if (!model->chat())
    return ApiError(400, model->chat().message(), "messages");
  ordered_json variables = request.variables;
  // Most templates know the role by its former name alone.
  if (model->roll().chatTemplate().find("developer") == std::string_view::npos)
    for (ordered_json &message : variables["messages"])
      if (message["role"] == "developer")
        message["role"] = "system";
  Result<std::vector<int32_t>> encoded = model->chat()->encode(std::move(variables));
  if (!encoded)
    return ApiError(400, encoded.message(), "messages");
  return std::move(*encoded);
}

std::variant<std::vector<int32_t>, ApiError> Service::encode(const Prompt &prompt,
                                                             const char *field) const {
  if (const std::vector<int32_t> *ids = std::get_if<std::vector<int32_t>>(&prompt))
    return *ids;
  Result<std::vector<int32_t>> encoded = model->tokenizer().encode(std::get<std::string>(prompt));
  if (!encoded)
    return ApiError(400, encoded.message(), field);
  // A tokenizer may know tokens that the model does not.
  auto vocabulary = static_cast<int32_t>(model->roll().manifest().model.vocabulary);
  for (int32_t id : *encoded)
    if (id >= vocabulary)
      return ApiError(400,
                      std::string(field) + ": has the token " + std::to_string(id) +
                          ", and the model knows " + std::to_string(vocabulary),
                      field);
  return std::move(*encoded);
}

bool Service::beginsThinking(const std::vector<int32_t> &prompt) const {
  std::vector<int32_t> tail(prompt.end() - std::min<size_t>(prompt.size(), 16), prompt.end());
  return model->format().endsThinking(model->tokenizer().decode(tail, /*skipSpecial=*/false));
}

Task Service::taskFor(const GenerationRequest &request, const std::vector<int32_t> &prompt,
                      size_t choice) const {
  Task task;
  task.prompt = prompt;
  task.sampling = request.sampling;
  task.sampling.seed = *request.seed + choice;
  task.most = request.most.value_or(UINT64_MAX);
  task.stops = request.stopIds;
  // What a grammar allows at its end are the model's stops.
  bool isHeld = request.constraint.kind != Constraint::None ||
                request.toolChoice.kind == ToolChoice::Required;
  if (!request.ignoreStops || isHeld)
    task.stops.insert(task.stops.end(), model->stops().begin(), model->stops().end());
  task.probables = request.probables;
  return task;
}

// Has a chat's answers begin with `prefix`.
std::optional<ApiError> Service::beginAnswer(TextReply::Start &start,
                                             const std::string &prefix) const {
  Result<std::vector<int32_t>> ids =
      model->tokenizer().encode(prefix, {/*addSpecial=*/false, /*parseSpecial=*/true});
  if (!ids)
    return ApiError(500, ids.message());
  start.prompts[0].insert(start.prompts[0].end(), ids->begin(), ids->end());
  start.forced = prefix;
  return std::nullopt;
}

// What a request's texts are held to, if they are; a call that is forced also begins the answer.
std::variant<std::optional<grammar::Matcher>, ApiError>
Service::constrain(const GenerationRequest &request, bool isThinking,
                   TextReply::Start &start) const {
  const Constraint &constraint = request.constraint;
  if (request.toolChoice.kind != ToolChoice::Required) {
    if (constraint.kind == Constraint::None)
      return std::nullopt;
    Result<grammar::Matcher> matcher = model->matcherFor(constraint);
    if (!matcher)
      return ApiError(400, matcher.message(),
                      constraint.kind == Constraint::Gbnf ? "grammar" : "response_format");
    // The text that is held to it is the answer, not a thought.
    if (isThinking)
      if (auto error = beginAnswer(start, "\n" + model->format().thinkEnd + "\n\n"))
        return *error;
    return std::move(*matcher);
  }
  ForcedCallRequest wanted;
  if (!request.toolChoice.name.empty())
    wanted.name = request.toolChoice.name;
  wanted.isParallel = request.toolChoice.parallel && !wanted.name;
  wanted.isThinking = isThinking;
  Result<ForcedCall> forced = forceCall(model->format(), model->tokenizer(), request.tools, wanted);
  if (!forced)
    return ApiError(400, "tool_choice: " + forced.message(), "tool_choice");
  if (auto error = beginAnswer(start, forced->prefix))
    return *error;
  return model->matcherFor(forced->grammar);
}

// Nothing is cut off in silence. There must be room for an answer of so many tokens.
std::optional<ApiError> Service::tooLong(const char *field, size_t tokens, size_t answer) const {
  if (tokens == 0)
    return ApiError(400, std::string(field) + ": is empty", field);
  size_t context = scheduler->maxLen();
  if (tokens + answer <= context)
    return std::nullopt;
  return ApiError(400,
                  std::string(field) + ": has " + std::to_string(tokens) +
                      " tokens, and the context of " + std::to_string(context) + " has room for " +
                      std::to_string(context - answer),
                  field, "context_length_exceeded");
}

// Counts and logs a request once its texts have ended.
std::function<void(const ReplyRecord &)> Service::whenEnded(const Visit &visit,
                                                            const std::string &id) {
  ordered_json line = requestLine(visit.request);
  return [this, line, route = visit.route, came = visit.came, id](const ReplyRecord &record) {
    Ending sum;
    for (const Ending &ending : record.endings) {
      metrics->ended(ending, record.finish);
      sum.promptTokens += ending.promptTokens;
      sum.cachedTokens += ending.cachedTokens;
      sum.generatedTokens += ending.generatedTokens;
    }
    metrics->replied(route, record.status);
    ordered_json all = line;
    all.update({{"status", record.status},
                {"ms", millisecondsSince(came)},
                {"id", id},
                {"finish_reason", record.finish},
                {"prompt_tokens", sum.promptTokens},
                {"cached_tokens", sum.cachedTokens},
                {"completion_tokens", sum.generatedTokens}});
    log.write("request", all);
  };
}

void Service::generate(Visit &visit, GenerationRequest request) {
  if (std::optional<ApiError> error = wrongModel(request.model))
    return refuse(visit, *error);
  if (Status status = validate(request.sampling, model->rules().vocabulary); !status.ok())
    return refuse(visit, ApiError(400, status.message()));

  size_t texts = request.choices * (request.isChat ? 1 : request.prompts.size());
  if (texts > scheduler->queueSize())
    return refuse(visit,
                  ApiError(400,
                           "n: " + std::to_string(texts) + " texts are more than the " +
                               std::to_string(scheduler->queueSize()) + " that may wait at once",
                           "n"));

  TextReply::Start start;
  std::vector<Prompt> prompts = request.isChat ? std::vector<Prompt>(1) : request.prompts;
  for (const Prompt &prompt : prompts) {
    auto ids = request.isChat ? encodeChat(request) : encode(prompt, "prompt");
    if (auto *error = std::get_if<ApiError>(&ids))
      return refuse(visit, *error);
    start.prompts.push_back(std::get<std::vector<int32_t>>(std::move(ids)));
  }
  bool isThinking = request.isChat && beginsThinking(start.prompts[0]);
  auto matcher = constrain(request, isThinking, start);
  if (auto *error = std::get_if<ApiError>(&matcher))
    return refuse(visit, *error);
  for (const std::vector<int32_t> &prompt : start.prompts)
    if (auto error = tooLong(request.isChat ? "messages" : "prompt", prompt.size(), 1))
      return refuse(visit, *error);
  if (!request.seed)
    request.seed = randomBits();

  start.id = newIdentifier(request.isChat ? "chatcmpl-" : "cmpl-");
  start.model = model;
  start.beginsThinking = isThinking;
  std::vector<Task> tasks;
  for (const std::vector<int32_t> &prompt : start.prompts)
    for (size_t choice = 0; choice < request.choices; ++choice) {
      tasks.push_back(taskFor(request, prompt, choice));
      tasks.back().matcher = std::get<std::optional<grammar::Matcher>>(matcher);
    }
  start.ended = whenEnded(visit, start.id);
  auto answer = std::make_shared<TextReply>(std::move(request), std::move(start), visit.reply);
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].take = [answer, i](const ChosenToken &chosen) { return answer->take(i, chosen); };
    tasks[i].done = [answer, i](const Ending &ending) { answer->done(i, ending); };
  }
  submit(visit, std::move(tasks));
}

void Service::submit(Visit &visit, std::vector<Task> tasks) {
  std::shared_ptr<TaskGroup> group = scheduler->submit(std::move(tasks));
  if (!group) {
    ApiError error(503, closing ? "the server is shutting down" : "too many requests wait already");
    error.retryAfter = 1;
    return refuse(visit, error);
  }
  visit.reply->whenGone([group] { group->cancel(); });
}

} // namespace pianola::server
