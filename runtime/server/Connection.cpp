// Connection.cpp - one client's connection.
#include "runtime/server/Connection.h"

#include "runtime/server/ApiError.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <cctype>
#include <charconv>
#include <cinttypes>
#include <sys/socket.h>

namespace pianola::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Error = boost::system::error_code;

// Who is to be told that the client has left.
class Connection::Departure {
public:
  void whenGone(std::function<void()> heard) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!isGone) {
        hears = std::move(heard);
        return;
      }
    }
    heard();
  }
  void tell() {
    std::function<void()> heard;
    {
      std::lock_guard<std::mutex> lock(mutex);
      isGone = true;
      heard.swap(hears);
    }
    if (heard)
      heard();
  }
  void forget() {
    std::lock_guard<std::mutex> lock(mutex);
    hears = nullptr;
  }

private:
  std::mutex mutex; // of what follows
  std::function<void()> hears;
  bool isGone = false;
};

// Posts what the routes say to the connection's thread. A connection that has gone hears nothing.
class Connection::ReplyTo : public Reply {
public:
  ReplyTo(const std::shared_ptr<Connection> &connection, bool isHead, unsigned version)
      : connection(connection), departure(connection->departure), isHead(isHead),
        chunks(version >= 11), keepAlive(connection->keepAlive) {}
  // Who forgets to answer leaves the client without a reply, but not waiting.
  ~ReplyTo() override {
    if (!ended) {
      keepAlive = false;
      post("", true);
    }
  }

  void addHeader(const std::string &name, const std::string &value) override {
    added += name + ": " + value + "\r\n";
  }
  void send(HttpResponse response) override {
    std::string head = headOf(response.status, response.type);
    for (const auto &[name, value] : response.headers)
      head += name + ": " + value + "\r\n";
    if (response.status != 204)
      head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    head += "\r\n";
    ended = true;
    post(isHead ? head : head + response.body, true);
  }
  void begin(const std::string &type) override {
    keepAlive = keepAlive && chunks;
    post(headOf(200, type) + "Cache-Control: no-cache\r\n" +
             (chunks ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n"),
         false);
  }
  void write(std::string text) override {
    if (text.empty() || isHead)
      return; // a chunk of nothing would be the end
    if (chunks) {
      char size[24];
      std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
      text = size + text + "\r\n";
    }
    post(std::move(text), false);
  }
  void end() override {
    ended = true;
    post(chunks && !isHead ? "0\r\n\r\n" : "", true);
  }
  void whenGone(std::function<void()> heard) override { departure->whenGone(std::move(heard)); }

private:
  std::string headOf(unsigned status, const std::string &type) const {
    return "HTTP/1.1 " + std::to_string(status) + " " +
           std::string(http::obsolete_reason(static_cast<http::status>(status))) +
           "\r\nServer: pianola\r\nContent-Type: " + type +
           "\r\nX-Content-Type-Options: nosniff\r\n" + added +
           (keepAlive ? "" : "Connection: close\r\n");
  }
  void post(std::string bytes, bool isLast) {
    if (std::shared_ptr<Connection> to = connection.lock())
      asio::post(to->stream.get_executor(),
                 [to, bytes = std::move(bytes), isLast, keepAlive = keepAlive]() mutable {
                   to->push(std::move(bytes), isLast, keepAlive);
                 });
  }

  std::weak_ptr<Connection> connection;
  std::shared_ptr<Departure> departure;
  bool isHead, chunks, keepAlive, ended = false;
  std::string added; // headers
};

Connection::Connection(asio::ip::tcp::socket socket, const HttpLimits &limits,
                       const HttpHandler &handler, std::function<void(Connection *)> ended)
    : stream(std::move(socket)), limits(limits), handler(handler), ended(std::move(ended)) {
  Error ignored;
  stream.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
}

Connection::~Connection() { ended(this); }

void Connection::finish() {
  finishing = true;
  if (!departure && !writing)
    drop();
}

void Connection::drop() {
  gone = true;
  Error ignored;
  stream.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream.close();
  if (std::shared_ptr<Departure> left = std::move(departure))
    left->tell();
}

void Connection::readRequest() {
  parser.emplace();
  parser->header_limit(limits.headerBytes);
  parser->body_limit(limits.bodyBytes);
  if (buffer.size())
    return readHead();
  // The first byte of a request may be long in coming, the rest of its head may not.
  stream.expires_after(limits.idleTime);
  stream.async_read_some(buffer.prepare(4096),
                         [self = shared_from_this()](Error error, size_t bytes) {
                           if (error)
                             return self->drop();
                           self->buffer.commit(bytes);
                           self->readHead();
                         });
}

static bool isProtocolError(Error error) {
  return error.category() == http::make_error_code(http::error::bad_value).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

void Connection::whenRead(Error error, void (Connection::*next)()) {
  if (error == http::error::header_limit)
    refuse(431,
           "the request's head is larger than " + std::to_string(limits.headerBytes) + " bytes");
  else if (error == http::error::body_limit)
    refuse(413, "the request's body is larger than " + std::to_string(limits.bodyBytes) + " bytes");
  else if (isProtocolError(error))
    refuse(400, "the request is no HTTP: " + error.message());
  else if (error)
    drop();
  else
    (this->*next)();
}

void Connection::readHead() {
  stream.expires_after(limits.headerTime);
  http::async_read_header(stream, buffer, *parser,
                          [self = shared_from_this()](Error error, size_t) {
                            self->whenRead(error, &Connection::readBody);
                          });
}

void Connection::readBody() {
  const auto &message = parser->get();
  if (message.version() != 10 && message.version() != 11)
    return refuse(505, "only HTTP/1.0 and HTTP/1.1 are understood");
  stream.expires_after(limits.bodyTime);
  auto read = [self = shared_from_this()] {
    http::async_read(self->stream, self->buffer, *self->parser,
                     [self](Error error, size_t) { self->whenRead(error, &Connection::handle); });
  };
  if (!beast::iequals(message[http::field::expect], "100-continue"))
    return read();
  auto text = std::make_shared<std::string>("HTTP/1.1 100 Continue\r\n\r\n");
  asio::async_write(stream, asio::buffer(*text),
                    [self = shared_from_this(), text, read](Error error, size_t) {
                      error ? self->drop() : read();
                    });
}

// What was read so far cannot be told from a next request: the connection ends with the reply.
void Connection::refuse(unsigned status, const std::string &message) {
  keepAlive = false;
  lastQueued = false;
  departure = std::make_shared<Departure>();
  ReplyTo(shared_from_this(), false, 11).send(ApiError(status, message).response());
}

// RFC 3986, 2.1: "%2F" is "/". What is no such triple stays.
static std::string percentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      auto [end, error] = std::from_chars(&text[i + 1], &text[i + 3], byte, 16);
      if (error == std::errc() && end == &text[i + 3]) {
        decoded += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

void Connection::handle() {
  auto message = parser->release();
  HttpRequest request;
  request.method = std::string(message.method_string());
  std::string_view target(message.target().data(), message.target().size());
  request.path = percentDecoded(target.substr(0, target.find('?')));
  for (const auto &field : message) {
    std::string name(field.name_string());
    for (char &c : name)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string &value = request.headers[name];
    value += (value.empty() ? "" : ", ") + std::string(field.value());
  }
  request.body = std::move(message.body());
  Error error;
  if (auto from = stream.socket().remote_endpoint(error); !error)
    request.client = from.address().to_string() + ":" + std::to_string(from.port());
  keepAlive = message.keep_alive() && !finishing;
  lastQueued = false;
  departure = std::make_shared<Departure>();
  auto reply = std::make_shared<ReplyTo>(shared_from_this(), message.method() == http::verb::head,
                                         message.version());
  stream.expires_never();
  watch();
  handler(std::move(request), std::move(reply));
}

// While a reply is awaited: whether the client has closed. A next request may come early, and is
// left where it is.
void Connection::watch() {
  stream.socket().async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this(),
                                                                mine = departure](Error error) {
    if (error || self->gone || self->departure != mine)
      return;
    char byte;
    ssize_t got = recv(self->stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
      self->drop();
    else if (got < 0)
      self->watch();
    // A byte that is not read would wake this up again and again; writing finds out, too.
  });
}

void Connection::push(std::string bytes, bool isLast, bool keeps) {
  if (gone || !departure)
    return;
  keepAlive = keepAlive && keeps;
  unread += bytes.size();
  // A large reply that is whole may go out as slowly as it likes; a stream may not pile up.
  if (unread > limits.unreadBytes && !isLast)
    return drop();
  if (!bytes.empty())
    outgoing.push_back(std::move(bytes));
  lastQueued = lastQueued || isLast;
  writeSome();
}

void Connection::writeSome() {
  if (writing)
    return;
  if (outgoing.empty()) {
    if (lastQueued)
      replyWritten();
    return;
  }
  writing = true;
  // All that is there goes out at once.
  auto batch = std::make_shared<std::string>();
  for (std::string &bytes : outgoing)
    *batch += bytes;
  outgoing.clear();
  writeRest(std::move(batch), 0);
}

// Whoever goes on reading has as long as it takes.
void Connection::writeRest(std::shared_ptr<std::string> batch, size_t done) {
  stream.expires_after(limits.writeTime);
  auto wrote = [self = shared_from_this(), batch, done](Error error, size_t bytes) {
    if (!error && done + bytes < batch->size())
      return self->writeRest(batch, done + bytes);
    self->writing = false;
    self->unread -= batch->size();
    if (error)
      return self->drop();
    if (!self->gone)
      self->stream.expires_never();
    self->writeSome();
  };
  stream.async_write_some(asio::buffer(*batch) + done, wrote);
}

void Connection::replyWritten() {
  if (gone)
    return;
  bool goesOn = keepAlive && !finishing;
  if (departure)
    departure->forget();
  departure.reset();
  lastQueued = false;
  if (goesOn)
    return readRequest();
  // So that the reply arrives: what the client still sends is read, for a short while.
  Error ignored;
  stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  stream.expires_after(std::chrono::seconds(2));
  auto rest = std::make_shared<std::string>(16384, '\0');
  auto drain = std::make_shared<std::function<void()>>();
  *drain = [self = shared_from_this(), rest, weak = std::weak_ptr(drain)] {
    self->stream.async_read_some(asio::buffer(*rest),
                                 [self, again = weak.lock()](Error error, size_t) {
                                   if (error || !again)
                                     return self->drop();
                                   (*again)();
                                 });
  };
  (*drain)();
}

} // namespace pianola::server
