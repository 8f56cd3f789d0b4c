// Http.h - requests and replies, as the routes see them.
#ifndef PIANOLA_RUNTIME_SERVER_HTTP_H
#define PIANOLA_RUNTIME_SERVER_HTTP_H

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pianola::server {

struct HttpRequest {
  std::string method, path;                   // "GET", "/v1/models"; without what follows a '?'
  std::map<std::string, std::string> headers; // names in lower case
  std::string body;
  std::string client; // address and port

  /// Empty if there is none.
  const std::string &header(const std::string &name) const {
    static const std::string none;
    auto found = headers.find(name);
    return found == headers.end() ? none : found->second;
  }
};

struct HttpResponse {
  unsigned status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers; // besides type and length
};

/// How a request is answered: either send(), or begin(), write() any number of times, and end().
/// From any thread, one at a time.
class Reply {
public:
  virtual ~Reply() = default;
  /// A header of the reply, whatever it will be: before send() or begin().
  virtual void addHeader(const std::string &name, const std::string &value) = 0;
  virtual void send(HttpResponse response) = 0;
  /// Status 200. What is written goes out as soon as it can.
  virtual void begin(const std::string &type) = 0;
  virtual void write(std::string text) = 0;
  virtual void end() = 0;
  /// Is heard once if the client leaves, or reads too slowly, before the reply has ended; at once
  /// if it has left already. From any thread; it must be quick.
  virtual void whenGone(std::function<void()> heard) = 0;
};

/// Must answer every request in the end. Called on the server's own thread, so it must be quick.
using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<Reply>)>;

} // namespace pianola::server

#endif
