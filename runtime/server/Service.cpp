// Service.cpp - the routes, but for those that generate.
#include "runtime/server/Service.h"

#include "runtime/BoundedJson.h"
#include "runtime/server/Fields.h"

#include <boost/asio/post.hpp>

namespace pianola {
std::string_view chatPage(); // page.html, made by cmake/Embed.cmake
}

namespace pianola::server {

Service::Service(Access access, Log &log, unsigned threads)
    : access(std::move(access)), log(log), readers(threads) {}

Service::~Service() { readers.join(); }

void Service::open(ServedModel &served, Scheduler &plays) {
  model = &served;
  scheduler = &plays;
  metrics.emplace(served.name());
  ready = true;
}

void Service::handle(HttpRequest request, std::shared_ptr<Reply> reply) {
  auto visit = std::make_shared<Visit>();
  visit->request = std::move(request);
  visit->reply = std::move(reply);
  boost::asio::post(readers, [this, visit] {
    try {
      serve(*visit);
    } catch (const std::bad_alloc &) {
      refuse(*visit, ApiError(500, "out of memory"));
    } catch (const std::exception &error) {
      refuse(*visit, ApiError(500, error.what()));
    }
  });
}

void Service::serve(Visit &visit) {
  struct Entry {
    const char *method, *path;
    Route route;
    bool needsModel;
  };
  static const Entry entries[] = {
      {"GET", "/", &Service::page, false},
      {"GET", "/health", &Service::health, false},
      {"GET", "/metrics", &Service::metricsText, true},
      {"GET", "/v1/models", &Service::models, true},
      {"POST", "/v1/chat/completions", &Service::chat, true},
      {"POST", "/v1/completions", &Service::completion, true},
      {"POST", "/v1/embeddings", &Service::embeddings, true},
      {"POST", "/tokenize", &Service::tokenize, true},
      {"POST", "/detokenize", &Service::detokenize, true},
  };
  const HttpRequest &request = visit.request;
  if (const std::string &origin = request.header("origin");
      !origin.empty() && access.allowsOrigin(origin)) {
    visit.reply->addHeader("Access-Control-Allow-Origin", origin);
    visit.reply->addHeader("Vary", "Origin");
  }
  if (std::optional<ApiError> error = access.check(request))
    return refuse(visit, *error);
  if (request.method == "OPTIONS") {
    HttpResponse response;
    response.status = 204;
    // Clients have headers of their own; what a page may send is decided by its origin.
    const std::string &wanted = request.header("access-control-request-headers");
    response.headers = {{"Access-Control-Allow-Methods", "GET, POST"},
                        {"Access-Control-Allow-Headers",
                         wanted.empty() ? "Authorization, Content-Type, X-API-Key" : wanted}};
    return respond(visit, std::move(response));
  }
  std::string allowed;
  for (const Entry &entry : entries) {
    bool fits = request.path == entry.path ||
                (entry.route == &Service::models && request.path.rfind("/v1/models/", 0) == 0);
    if (!fits)
      continue;
    allowed = entry.method;
    visit.route = entry.path;
    if (request.method != allowed && !(request.method == "HEAD" && allowed == "GET"))
      continue;
    if (std::optional<ApiError> error = notReady(); error && entry.needsModel)
      return refuse(visit, *error);
    return (this->*entry.route)(visit);
  }
  if (allowed.empty())
    return refuse(visit, ApiError(404, request.path + ": there is no such route"));
  HttpResponse response =
      ApiError(405, request.path + ": takes " + allowed + ", not " + request.method).response();
  response.headers.emplace_back("Allow", allowed);
  respond(visit, std::move(response));
}

std::optional<ApiError> Service::notReady() const {
  if (ready && !closing)
    return std::nullopt;
  ApiError error(503, closing ? "the server is shutting down" : "the model is being loaded");
  error.retryAfter = 1;
  return error;
}

ordered_json Service::requestLine(const HttpRequest &request) {
  return {{"client", request.client}, {"method", request.method}, {"path", request.path}};
}

double Service::millisecondsSince(Clock::time_point came) {
  return std::chrono::duration<double, std::milli>(Clock::now() - came).count();
}

void Service::respond(Visit &visit, HttpResponse response) {
  if (ready)
    metrics->replied(visit.route, response.status);
  ordered_json line = requestLine(visit.request);
  line.update({{"status", response.status}, {"ms", millisecondsSince(visit.came)}});
  log.write("request", line);
  visit.reply->send(std::move(response));
}

void Service::respond(Visit &visit, const ordered_json &body) {
  HttpResponse response;
  response.body = textOf(body);
  respond(visit, std::move(response));
}

void Service::refuse(Visit &visit, const ApiError &error) { respond(visit, error.response()); }

// A name that the request gives the model, if it gives one.
std::optional<ApiError> Service::wrongModel(const std::string &name) const {
  if (name.empty() || name == model->name())
    return std::nullopt;
  return ApiError(404, "there is no model \"" + name + "\" here, but \"" + model->name() + "\"",
                  "model", "model_not_found");
}

// An object; otherwise the request has been refused.
std::optional<ordered_json> Service::readBody(Visit &visit) {
  Result<ordered_json> body = readBoundedJson(visit.request.body);
  if (body && body->is_object())
    return std::move(*body);
  refuse(visit, ApiError(400, "the body " +
                                  (body ? "is no object, but " + kindOf(*body) : body.message())));
  return std::nullopt;
}

void Service::page(Visit &visit) {
  HttpResponse response;
  response.type = "text/html; charset=utf-8";
  response.body = std::string(chatPage());
  response.headers = {{"Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                       "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; "
                       "base-uri 'none'"},
                      {"Cache-Control", "no-cache"}};
  respond(visit, std::move(response));
}

void Service::health(Visit &visit) {
  if (std::optional<ApiError> error = notReady())
    return refuse(visit, *error);
  respond(visit, {{"status", "ok"}});
}

void Service::metricsText(Visit &visit) {
  HttpResponse response;
  response.type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics->text(scheduler->counts(), connections ? connections() : 0);
  respond(visit, std::move(response));
}

void Service::models(Visit &visit) {
  ordered_json one = {{"id", model->name()},
                      {"object", "model"},
                      {"created", model->opened()},
                      {"owned_by", "pianola"},
                      {"max_model_len", scheduler->maxLen()}};
  const std::string &path = visit.request.path;
  if (path == "/v1/models")
    return respond(visit, {{"object", "list"}, {"data", ordered_json::array({one})}});
  if (auto error = wrongModel(path.substr(std::string("/v1/models/").size())))
    return refuse(visit, *error);
  respond(visit, one);
}

// llama-server's fields (content, add_special) and vLLM's (prompt, messages, add_special_tokens).
void Service::tokenize(Visit &visit) {
  std::optional<ordered_json> body = readBody(visit);
  if (!body)
    return;
  Fields fields(*body);
  bool isChat = fields.find("messages") != nullptr;
  std::string text;
  EncodeOptions options;
  bool hasContent = fields.find("content") != nullptr;
  options.addSpecial = !hasContent; // llama-server's default, and vLLM's
  fields.take(hasContent ? "content" : "prompt", text);
  fields.take("add_special", options.addSpecial);
  fields.take("add_special_tokens", options.addSpecial);
  fields.take("parse_special", options.parseSpecial);
  if (!isChat && !hasContent && !fields.find("prompt"))
    fields.fail("prompt", "is missing");
  if (fields.error)
    return refuse(visit, *fields.error);
  std::variant<std::vector<int32_t>, ApiError> ids;
  if (isChat) {
    auto request = readChatRequest(*body, model->rules());
    if (auto *error = std::get_if<ApiError>(&request))
      return refuse(visit, *error);
    ids = encodeChat(std::get<GenerationRequest>(request));
  } else {
    Result<std::vector<int32_t>> encoded = model->tokenizer().encode(text, options);
    if (!encoded)
      return refuse(visit, ApiError(400, encoded.message(), hasContent ? "content" : "prompt"));
    ids = std::move(*encoded);
  }
  if (auto *error = std::get_if<ApiError>(&ids))
    return refuse(visit, *error);
  const std::vector<int32_t> &tokens = std::get<std::vector<int32_t>>(ids);
  respond(visit,
          {{"tokens", tokens}, {"count", tokens.size()}, {"max_model_len", scheduler->maxLen()}});
}

void Service::detokenize(Visit &visit) {
  std::optional<ordered_json> body = readBody(visit);
  if (!body)
    return;
  const ordered_json *tokens = Fields(*body).find("tokens");
  auto ids = readTokenIds(tokens ? *tokens : ordered_json(), "tokens",
                          static_cast<int32_t>(model->roll().manifest().model.vocabulary));
  if (auto *error = std::get_if<ApiError>(&ids))
    return refuse(visit, *error);
  std::string text =
      model->tokenizer().decode(std::get<std::vector<int32_t>>(ids), /*skipSpecial=*/false);
  respond(visit, {{"content", text}, {"prompt", text}});
}

} // namespace pianola::server
