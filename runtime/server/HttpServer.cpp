// HttpServer.cpp - HTTP/1.1 for clients that need not mean well.
#include "runtime/server/HttpServer.h"

#include "runtime/server/Connection.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <new>
#include <thread>
#include <unordered_map>

namespace pianola::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

class HttpServer::Core : public std::enable_shared_from_this<HttpServer::Core> {
public:
  Core(HttpLimits limits, HttpHandler handler)
      : limits(limits), handler(std::move(handler)), acceptor(context), pause(context) {}

  Status listen(const std::string &address, uint16_t port) {
    Error error;
    asio::ip::address parsed =
        asio::ip::make_address(address == "localhost" ? "127.0.0.1" : address, error);
    if (error)
      return Status::error("host " + address + ": is no IP address");
    tcp::endpoint endpoint(parsed, port);
    acceptor.open(endpoint.protocol(), error);
    if (!error)
      acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error)
      acceptor.bind(endpoint, error);
    if (!error)
      acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return Status::error("cannot listen on " + address + ":" + std::to_string(port) + ": " +
                           error.message());
    bound = acceptor.local_endpoint(error).port();
    return Status();
  }

  void start() {
    accept();
    thread = std::thread([this] {
      for (bool isDone = false; !isDone;)
        try {
          context.run();
          isDone = true;
        } catch (const std::bad_alloc &) {
          // The connection that it was for has gone with what it held.
        }
    });
  }

  void close() {
    asio::post(context, [this] {
      Error ignored;
      acceptor.close(ignored);
      pause.cancel();
      forAll(&Connection::finish);
    });
  }

  void stop(std::chrono::milliseconds patience) {
    if (!thread.joinable())
      return;
    close();
    {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait_for(lock, patience, [&] { return live.empty(); });
    }
    asio::post(context, [this] { forAll(&Connection::drop); });
    {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait_for(lock, std::chrono::seconds(5), [&] { return live.empty(); });
    }
    context.stop();
    thread.join();
  }

  size_t connections() const {
    std::lock_guard<std::mutex> lock(mutex);
    return live.size();
  }

  uint16_t bound = 0;

private:
  // The map's lock is not held while a connection acts: the last reference to one may be among
  // those.
  void forAll(void (Connection::*act)()) {
    std::vector<std::shared_ptr<Connection>> all;
    {
      std::lock_guard<std::mutex> lock(mutex);
      for (auto &[raw, weak] : live)
        if (std::shared_ptr<Connection> connection = weak.lock())
          all.push_back(std::move(connection));
    }
    for (const std::shared_ptr<Connection> &connection : all)
      (connection.get()->*act)();
  }

  void accept() {
    acceptor.async_accept([this](Error error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor.is_open())
        return;
      if (error)
        return retry(); // out of file descriptors, mostly
      take(std::move(socket));
      accept();
    });
  }

  void retry() {
    pause.expires_after(std::chrono::milliseconds(50));
    pause.async_wait([this](Error error) {
      if (!error && acceptor.is_open())
        accept();
    });
  }

  // One too many is told so, if it takes it at once.
  void take(tcp::socket socket) {
    if (connections() >= limits.connections) {
      static const std::string busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                                      "Content-Length: 0\r\nConnection: close\r\n\r\n";
      Error ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(busy), ignored);
      return;
    }
    auto ended = [weak = weak_from_this()](Connection *connection) {
      if (std::shared_ptr<Core> self = weak.lock()) {
        std::lock_guard<std::mutex> lock(self->mutex);
        self->live.erase(connection);
        self->changed.notify_all();
      }
    };
    auto connection = std::make_shared<Connection>(std::move(socket), limits, handler, ended);
    {
      std::lock_guard<std::mutex> lock(mutex);
      live.emplace(connection.get(), connection);
    }
    connection->readRequest();
  }

  HttpLimits limits;
  HttpHandler handler;
  asio::io_context context{1};
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  std::thread thread;
  mutable std::mutex mutex; // of `live`
  std::condition_variable changed;
  std::unordered_map<Connection *, std::weak_ptr<Connection>> live;
};

HttpServer::HttpServer(HttpLimits limits, HttpHandler handler)
    : core(std::make_shared<Core>(limits, std::move(handler))) {}
HttpServer::~HttpServer() { core->stop(std::chrono::milliseconds(0)); }
Status HttpServer::listen(const std::string &address, uint16_t port) {
  return core->listen(address, port);
}
uint16_t HttpServer::port() const { return core->bound; }
void HttpServer::start() { core->start(); }
void HttpServer::close() { core->close(); }
void HttpServer::stop(std::chrono::milliseconds patience) { core->stop(patience); }
size_t HttpServer::connections() const { return core->connections(); }

} // namespace pianola::server
