// HttpServer.h - HTTP/1.1 for clients that need not mean well.
#ifndef PIANOLA_RUNTIME_SERVER_HTTPSERVER_H
#define PIANOLA_RUNTIME_SERVER_HTTPSERVER_H

#include "runtime/Status.h"
#include "runtime/server/Http.h"

#include <chrono>
#include <cstdint>

namespace pianola::server {

struct HttpLimits {
  uint32_t headerBytes = 16 << 10;
  uint64_t bodyBytes = 8 << 20;
  size_t connections = 512;
  uint64_t unreadBytes = 4 << 20; // of a reply that its client does not read
  std::chrono::seconds headerTime{10}, bodyTime{60}, writeTime{30}, idleTime{75};
};

/// One thread serves all connections; a connection's requests one after the other. A client that
/// closes its connection, or its own half of it, before it has its reply is taken to be gone.
/// Replies must not be used once the server is destroyed.
class HttpServer {
public:
  HttpServer(HttpLimits limits, HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer &) = delete;

  /// Binds; an error names address and port. A port of 0 is any that is free.
  Status listen(const std::string &address, uint16_t port);
  uint16_t port() const;
  /// In a thread of its own.
  void start();

  /// No new connections from now on, and those that there are end with the reply under way.
  void close();
  /// Waits until the replies under way have gone out, but no longer than that; then ends all.
  void stop(std::chrono::milliseconds patience);

  size_t connections() const;

  class Core;

private:
  std::shared_ptr<Core> core;
};

} // namespace pianola::server

#endif
