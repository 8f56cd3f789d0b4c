// HttpRequest.cpp - any bytes as what a client says, to a server that reads bodies as requests of
// OpenAI's interface: there is a reply, or the connection ends.
#include "runtime/BoundedJson.h"
#include "runtime/server/Access.h"
#include "runtime/server/EmbeddingRequest.h"
#include "runtime/server/HttpServer.h"
#include "test/fuzz/Input.h"
#include "test/runtime/server/Client.h"

using namespace pianola;
using namespace pianola::server;

static void answer(const HttpRequest &request, Reply &reply) {
  RequestRules rules;
  rules.vocabulary = 1000;
  Result<ordered_json> body = readBoundedJson(request.body);
  if (!body || !body->is_object())
    return reply.send(ApiError(400, "the body is no object").response());
  if (request.path == "/v1/embeddings") {
    auto read = readEmbeddingRequest(*body, rules.vocabulary, 64);
    auto *error = std::get_if<ApiError>(&read);
    fuzz::expect(!error || (error->status == 400 && !error->param.empty()),
                 "errors name the field");
    return reply.send(error ? error->response() : HttpResponse());
  }
  auto read = request.path == "/v1/completions" ? readCompletionRequest(*body, rules)
                                                : readChatRequest(*body, rules);
  if (auto *error = std::get_if<ApiError>(&read)) {
    fuzz::expect(error->status == 400 && !error->param.empty(), "errors name the field");
    return reply.send(error->response());
  }
  const GenerationRequest &wanted = std::get<GenerationRequest>(read);
  fuzz::expect(validate(wanted.sampling, rules.vocabulary).ok(), "samplers take what was taken");
  reply.begin("text/plain");
  reply.write(textOf(wanted.variables));
  reply.end();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static HttpServer server({}, [](HttpRequest request, std::shared_ptr<Reply> reply) {
    Access access{{"key"}, {"localhost"}, {}};
    if (std::optional<ApiError> error = access.check(request))
      return reply->send(error->response());
    answer(request, *reply);
  });
  static bool isOpen = [] {
    bool isBound = server.listen("127.0.0.1", 0).ok();
    server.start();
    return isBound;
  }();
  fuzz::expect(isOpen, "a port is free");
  static uint8_t source = 0;
  test::Client client(server.port(), uint8_t(1 + ++source % 250));
  fuzz::expect(client.connected, "a connection is made");
  client.say(std::string(fuzz::textOf(data, size)));
  client.closeHalf();
  std::string heard = client.hear();
  fuzz::expect(client.isClosed, "the connection ends");
  fuzz::expect(heard.empty() || heard.compare(0, 9, "HTTP/1.1 ") == 0, "replies are HTTP");
  return 0;
}
