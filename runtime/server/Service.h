// Service.h - the routes.
#ifndef PIANOLA_RUNTIME_SERVER_SERVICE_H
#define PIANOLA_RUNTIME_SERVER_SERVICE_H

#include "runtime/server/Access.h"
#include "runtime/server/Log.h"
#include "runtime/server/Metrics.h"
#include "runtime/server/TextReply.h"
#include "runtime/toolcalls/ForcedCall.h"

#include <boost/asio/thread_pool.hpp>

namespace pianola::server {

/// Requests are read, tokenised and answered on threads of the service's own: what is slow about a
/// large one holds up neither other connections nor the play.
class Service {
public:
  Service(Access access, Log &log, unsigned threads);
  /// Waits for the requests that are being read.
  ~Service();

  /// Until there is a model every route but the page says that it is loading.
  void open(ServedModel &model, Scheduler &scheduler);
  /// From now on every request is refused with 503.
  void close() { closing = true; }

  void handle(HttpRequest request, std::shared_ptr<Reply> reply);
  /// For /metrics.
  std::function<size_t()> connections;

private:
  /// A request under way.
  struct Visit {
    HttpRequest request;
    std::shared_ptr<Reply> reply;
    std::string route = "other"; // for the metrics, whose labels are few
    Clock::time_point came = Clock::now();
  };
  using Route = void (Service::*)(Visit &);

  static ordered_json requestLine(const HttpRequest &request);
  static double millisecondsSince(Clock::time_point came);

  void serve(Visit &visit);
  void respond(Visit &visit, HttpResponse response);
  void respond(Visit &visit, const ordered_json &body);
  void refuse(Visit &visit, const ApiError &error);
  std::optional<ordered_json> readBody(Visit &visit);
  std::optional<ApiError> notReady() const;

  void page(Visit &visit);
  void health(Visit &visit);
  void models(Visit &visit);
  void metricsText(Visit &visit);
  void chat(Visit &visit);
  void completion(Visit &visit);
  void embeddings(Visit &visit);
  void tokenize(Visit &visit);
  void detokenize(Visit &visit);

  void generate(Visit &visit, GenerationRequest request);
  std::optional<ApiError> wrongModel(const std::string &name) const;
  void submit(Visit &visit, std::vector<Task> tasks);
  std::variant<std::vector<int32_t>, ApiError> encode(const Prompt &prompt,
                                                      const char *field) const;
  std::variant<std::vector<int32_t>, ApiError> encodeChat(const GenerationRequest &request) const;
  std::optional<ApiError> tooLong(const char *field, size_t tokens, size_t answer) const;
  std::variant<std::optional<grammar::Matcher>, ApiError>
  constrain(const GenerationRequest &request, bool isThinking, TextReply::Start &start) const;
  std::optional<ApiError> beginAnswer(TextReply::Start &start, const std::string &prefix) const;
  std::function<void(const ReplyRecord &)> whenEnded(const Visit &visit, const std::string &id);
  bool beginsThinking(const std::vector<int32_t> &prompt) const;
  Task taskFor(const GenerationRequest &request, const std::vector<int32_t> &prompt,
               size_t choice) const;

  Access access;
  Log &log;
  std::atomic<bool> closing{false}, ready{false};
  ServedModel *model = nullptr;
  Scheduler *scheduler = nullptr;
  std::optional<Metrics> metrics;
  boost::asio::thread_pool readers;
};

} // namespace pianola::server

#endif
