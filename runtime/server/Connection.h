// Connection.h - one client's connection.
//
// All members are called on the server's thread, but those of Reply.
#ifndef PIANOLA_RUNTIME_SERVER_CONNECTION_H
#define PIANOLA_RUNTIME_SERVER_CONNECTION_H

#include "runtime/server/HttpServer.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <mutex>
#include <optional>

namespace pianola::server {

class Connection : public std::enable_shared_from_this<Connection> {
public:
  Connection(boost::asio::ip::tcp::socket socket, const HttpLimits &limits,
             const HttpHandler &handler, std::function<void(Connection *)> ended);
  ~Connection();

  void readRequest();
  /// Ends with the reply under way, or at once if there is none.
  void finish();
  /// Ends at once.
  void drop();

private:
  class Departure;
  class ReplyTo;
  /// Goes on with `next`, unless what was read is to be refused.
  void whenRead(boost::system::error_code error, void (Connection::*next)());
  void readHead();
  void readBody();
  void refuse(unsigned status, const std::string &message);
  void handle();
  void watch();
  void push(std::string bytes, bool isLast, bool keeps);
  void writeSome();
  void writeRest(std::shared_ptr<std::string> batch, size_t done);
  void replyWritten();

  boost::beast::tcp_stream stream;
  const HttpLimits &limits;
  const HttpHandler &handler;
  std::function<void(Connection *)> ended;
  boost::beast::flat_buffer buffer;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser;
  std::shared_ptr<Departure> departure; // while a reply is awaited
  std::deque<std::string> outgoing;
  uint64_t unread = 0; // bytes of `outgoing`
  bool writing = false, lastQueued = false, keepAlive = false, finishing = false, gone = false;
};

} // namespace pianola::server

#endif
