// Client.h - a client that says exactly what a test wants said.
#ifndef PIANOLA_TEST_RUNTIME_SERVER_CLIENT_H
#define PIANOLA_TEST_RUNTIME_SERVER_CLIENT_H

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace pianola::test {

class Client {
public:
  /// From 127.0.0.SOURCE: an address has 28,000 ports, each good for one connection a minute.
  explicit Client(uint16_t port, uint8_t source = 1) : handle(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source);
    int late = 1; // the port is chosen with the connection
    setsockopt(handle, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late));
    if (bind(handle, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
      return;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = connect(handle, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0 ||
                (errno == EINTR && isMade());
  }
  ~Client() { close(handle); }
  Client(const Client &) = delete;

  /// As much as the server takes.
  void say(const std::string &bytes) const {
    for (size_t done = 0; done < bytes.size();) {
      ssize_t sent = send(handle, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR)
        continue;
      if (sent <= 0)
        return;
      done += static_cast<size_t>(sent);
    }
  }
  void closeHalf() const { shutdown(handle, SHUT_WR); }

  /// All until the server closes, or until `end` has come, or nothing comes for a while.
  std::string hear(const std::string &end = "", int ms = 5000) {
    std::string heard;
    while (end.empty() || heard.find(end) == std::string::npos) {
      pollfd ready{handle, POLLIN, 0};
      char bytes[65536];
      ssize_t got = poll(&ready, 1, ms) == 1 ? recv(handle, bytes, sizeof(bytes), 0) : -1;
      if (got < 0 && errno == EINTR) // a fuzzer's clock
        continue;
      if (got == 0)
        isClosed = true;
      if (got <= 0)
        return heard;
      heard.append(bytes, static_cast<size_t>(got));
    }
    return heard;
  }

  bool connected = false, isClosed = false;

private:
  /// A connection whose making a signal interrupted is made all the same.
  bool isMade() const {
    pollfd ready{handle, POLLOUT, 0};
    while (poll(&ready, 1, 5000) < 0 && errno == EINTR) {
    }
    int problem = 0;
    socklen_t size = sizeof(problem);
    return getsockopt(handle, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == 0 &&
           (ready.revents & POLLOUT);
  }

  int handle;
};

} // namespace pianola::test

#endif
