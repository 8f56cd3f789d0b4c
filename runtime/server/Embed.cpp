// Embed.cpp - the route that makes embeddings.
//
// A text's embedding is the last hidden state of its last token, which alone has seen all of the
// text, scaled to length 1.
#include "runtime/server/Service.h"

#include "runtime/server/EmbeddingRequest.h"

#include <boost/archive/iterators/base64_from_binary.hpp>
#include <boost/archive/iterators/transform_width.hpp>
#include <cmath>

namespace pianola::server {

static std::string base64Of(const std::vector<float> &values) {
  using namespace boost::archive::iterators;
  using Letters = base64_from_binary<transform_width<const char *, 6, 8>>;
  const char *bytes = reinterpret_cast<const char *>(values.data());
  size_t count = values.size() * sizeof(float);
  std::string text(Letters(bytes), Letters(bytes + count));
  return text.append((3 - count % 3) % 3, '=');
}

namespace {

// Hears all texts of a request, on one thread at a time, and replies at the end.
class EmbeddingReply {
public:
  EmbeddingReply(const EmbeddingRequest &request, std::string model, std::shared_ptr<Reply> reply,
                 std::function<void(const ReplyRecord &)> ended)
      : isBase64(request.isBase64), model(std::move(model)), reply(std::move(reply)),
        ended(std::move(ended)), states(request.inputs.size()), left(request.inputs.size()) {}

  void take(size_t index, const float *state, size_t size) {
    double squares = 0;
    for (size_t i = 0; i < size; ++i)
      squares += double(state[i]) * state[i];
    double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (size_t i = 0; i < size; ++i)
      states[index].push_back(static_cast<float>(state[i] * scale));
  }

  void done(const Ending &ending) {
    record.endings.push_back(ending);
    if (--left == 0)
      finish();
  }

private:
  void finish() {
    std::optional<ApiError> error;
    bool isCancelled = false;
    for (const Ending &ending : record.endings) {
      isCancelled |= ending.reason == Ending::Cancelled;
      if (ending.reason == Ending::Failed)
        error = ApiError(500, ending.error, "", "generation_failed");
      else if (ending.reason == Ending::Shutdown)
        error = ApiError(503, "the server is shutting down");
    }
    record.status = error ? error->status : 200;
    record.finish = error ? "error" : isCancelled ? "abort" : "stop";
    ended(record);
    if (error)
      return reply->send(error->response());
    if (isCancelled)
      return reply->end(); // nobody listens
    HttpResponse response;
    response.body = textOf(body());
    reply->send(std::move(response));
  }

  ordered_json body() const {
    ordered_json data = ordered_json::array();
    for (size_t i = 0; i < states.size(); ++i) {
      data.push_back({{"object", "embedding"}, {"index", i}});
      if (isBase64)
        data.back()["embedding"] = base64Of(states[i]);
      else
        data.back()["embedding"] = states[i];
    }
    size_t tokens = 0;
    for (const Ending &ending : record.endings)
      tokens += ending.promptTokens;
    return {{"object", "list"},
            {"data", data},
            {"model", model},
            {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  }

  bool isBase64;
  std::string model;
  std::shared_ptr<Reply> reply;
  std::function<void(const ReplyRecord &)> ended;
  std::vector<std::vector<float>> states;
  ReplyRecord record;
  size_t left;
};

} // namespace

void Service::embeddings(Visit &visit) {
  const RollManifest &manifest = model->roll().manifest();
  if (!manifest.hasHiddenStates())
    return refuse(visit, ApiError(501, "the roll keeps no hidden states that embeddings could be "
                                       "made of: compile the model with --hidden-states"));
  std::optional<ordered_json> body = readBody(visit);
  if (!body)
    return;
  auto read = readEmbeddingRequest(*body, model->rules().vocabulary, manifest.model.hidden);
  if (auto *error = std::get_if<ApiError>(&read))
    return refuse(visit, *error);
  const auto &request = std::get<EmbeddingRequest>(read);
  if (std::optional<ApiError> error = wrongModel(request.model))
    return refuse(visit, *error);
  auto answer =
      std::make_shared<EmbeddingReply>(request, model->name(), visit.reply, whenEnded(visit, ""));
  std::vector<Task> tasks;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    auto ids = encode(request.inputs[i], "input");
    if (auto *error = std::get_if<ApiError>(&ids))
      return refuse(visit, *error);
    Task &task = tasks.emplace_back();
    task.prompt = std::get<std::vector<int32_t>>(std::move(ids));
    if (std::optional<ApiError> error = tooLong("input", task.prompt.size(), 0))
      return refuse(visit, *error);
    task.takeState = [answer, i, size = manifest.model.hidden](const float *state) {
      answer->take(i, state, size);
    };
    task.done = [answer](const Ending &ending) { answer->done(ending); };
  }
  submit(visit, std::move(tasks));
}

} // namespace pianola::server
