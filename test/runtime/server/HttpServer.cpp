// HttpServer.cpp - clients that mean well, and others.
#include "runtime/server/HttpServer.h"

#include "runtime/server/ApiError.h"
#include "test/runtime/server/Client.h"

#include <algorithm>
#include <future>
#include <gtest/gtest.h>
#include <thread>

using namespace pianola;
using namespace pianola::server;
using pianola::test::Client;

namespace {

class HttpServers : public testing::Test {
protected:
  void open(const HttpLimits &limits) {
    server = std::make_unique<HttpServer>(
        limits, [this](HttpRequest request, std::shared_ptr<Reply> reply) {
          answer(std::move(request), std::move(reply));
        });
    Status status = server->listen("127.0.0.1", 0);
    ASSERT_TRUE(status.ok()) << status.message();
    server->start();
  }
  void SetUp() override { open({}); }
  void TearDown() override {
    for (std::thread &thread : threads)
      thread.join();
    server.reset();
  }

  // /echo tells what came, /stream counts to three, /flood does not end until the client has gone.
  void answer(HttpRequest request, std::shared_ptr<Reply> reply) {
    HttpResponse response;
    if (request.path == "/echo") {
      response.body = request.method + " " + request.header("x-name") + " " + request.body;
      return reply->send(std::move(response));
    }
    if (request.path == "/forgotten")
      return;
    if (request.path == "/stream") {
      reply->begin("text/plain");
      for (const char *text : {"one ", "two ", "three"})
        reply->write(text);
      return reply->end();
    }
    if (request.path == "/flood") {
      reply->begin("text/plain");
      threads.emplace_back([this, reply] {
        std::atomic<bool> isGone{false};
        std::promise<void> heard;
        reply->whenGone([&] {
          isGone = true;
          heard.set_value();
        });
        while (!isGone) {
          reply->write(std::string(1000, 'x'));
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
        heard.get_future().wait();
        ++left;
      });
      return;
    }
    reply->send(ApiError(404, "nothing").response());
  }

  std::string ask(const std::string &request) {
    Client client(server->port());
    EXPECT_TRUE(client.connected);
    client.say(request);
    return client.hear();
  }
  static std::string statusOf(const std::string &reply) { return reply.substr(0, 12); }

  void awaitNoConnections() {
    for (int i = 0; i < 500 && server->connections(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(server->connections(), 0u);
  }

  std::unique_ptr<HttpServer> server;
  std::vector<std::thread> threads;
  std::atomic<int> left{0};
};

const char *const kClose = "Connection: close\r\n\r\n";

TEST_F(HttpServers, Answer) {
  std::string reply = ask(std::string("POST /echo?x=1 HTTP/1.1\r\nHost: a\r\nX-Name: b\r\n"
                                      "Content-Length: 4\r\n") +
                          kClose + "body");
  EXPECT_EQ(statusOf(reply), "HTTP/1.1 200");
  EXPECT_NE(reply.find("\r\n\r\nPOST b body"), std::string::npos) << reply;
  EXPECT_NE(reply.find("Content-Length: 11\r\n"), std::string::npos) << reply;
  reply = ask(std::string("HEAD /echo HTTP/1.1\r\nHost: a\r\n") + kClose);
  EXPECT_EQ(reply.substr(reply.size() - 4), "\r\n\r\n");
}

TEST_F(HttpServers, KeepConnectionsAndTakeRequestsThatComeEarly) {
  Client client(server->port());
  std::string one = "GET /echo HTTP/1.1\r\nHost: a\r\nX-Name: 1\r\n\r\n", two = one;
  two.replace(two.find("1\r\n\r\n"), 1, "2");
  client.say(one);
  EXPECT_NE(client.hear("GET 1 ").find("GET 1 "), std::string::npos);
  client.say(two + one + two);
  std::string all = client.hear("GET 2 ");
  for (int i = 0; i < 2 && std::count(all.begin(), all.end(), 'G') < 3; ++i)
    all += client.hear("GET ");
  EXPECT_LT(all.find("GET 2 "), all.find("GET 1 ")) << all;
  EXPECT_NE(all.rfind("GET 2 "), all.find("GET 2 ")) << all;
}

TEST_F(HttpServers, StreamInChunksAndToOldClientsWithout) {
  EXPECT_NE(ask(std::string("GET /stream HTTP/1.1\r\nHost: a\r\n") + kClose)
                .find("\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"),
            std::string::npos);
  std::string old = ask("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.find("\r\n\r\none two three"), std::string::npos) << old;
  EXPECT_EQ(old.find("Transfer-Encoding"), std::string::npos) << old;
}

TEST_F(HttpServers, RefuseWhatIsNoRequest) {
  for (const char *bad :
       {"hello\r\n\r\n", "GET /echo HTTP/9.9\r\n\r\n", "GET\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\r\n\r\n", "GET /echo HTTP/1.1\r\nNo colon\r\n\r\n",
        "GET /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    std::string status = statusOf(ask(bad));
    EXPECT_TRUE(status == "HTTP/1.1 400" || status == "HTTP/1.1 505") << bad << ": " << status;
  }
  EXPECT_EQ(statusOf(ask("GET /echo HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n")),
            "HTTP/1.1 431");
  EXPECT_EQ(statusOf(ask("POST /echo HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")),
            "HTTP/1.1 413");
  std::string chunks = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 40; ++i)
    chunks += "80000\r\n" + std::string(0x80000, 'x') + "\r\n";
  EXPECT_EQ(statusOf(ask(chunks)), "HTTP/1.1 413");
  EXPECT_EQ(statusOf(ask("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n")), "HTTP/1.1 200");
}

TEST_F(HttpServers, LetNobodyWaitForAForgottenReply) {
  Client client(server->port());
  client.say("GET /forgotten HTTP/1.1\r\nHost: a\r\n\r\n");
  client.hear();
  EXPECT_TRUE(client.isClosed);
}

TEST_F(HttpServers, DropSlowClients) {
  HttpLimits limits;
  limits.headerTime = limits.bodyTime = limits.idleTime = std::chrono::seconds(1);
  open(limits);
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(std::make_unique<Client>(server->port()));
    slow.back()->say(i % 3 == 0   ? ""
                     : i % 3 == 1 ? "GET /echo HTTP/1.1\r\nX-Na"
                                  : "POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nhal");
  }
  EXPECT_EQ(statusOf(ask(std::string("GET /echo HTTP/1.1\r\n") + kClose)), "HTTP/1.1 200");
  for (auto &client : slow) {
    client->hear();
    EXPECT_TRUE(client->isClosed);
  }
  slow.clear();
  awaitNoConnections();
}

TEST_F(HttpServers, HearWhenAClientLeaves) {
  {
    Client leaves(server->port());
    leaves.say("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(leaves.hear("xxx").find("xxx"), std::string::npos);
  }
  {
    Client half(server->port());
    half.say("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(half.hear("xxx").find("xxx"), std::string::npos);
    half.closeHalf();
    for (int i = 0; i < 500 && left < 2; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(left, 2);
  awaitNoConnections();
}

TEST_F(HttpServers, DropClientsThatNeverRead) {
  HttpLimits limits;
  limits.unreadBytes = 1 << 20;
  open(limits);
  Client client(server->port());
  client.say("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 3000 && left < 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(left, 1);
}

TEST_F(HttpServers, TakeNoMoreConnectionsThanTheyMay) {
  HttpLimits limits;
  limits.connections = 3;
  open(limits);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(server->port()));
    clients.back()->say("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    clients.back()->hear("GET ");
  }
  Client more(server->port());
  std::string reply = more.hear();
  EXPECT_EQ(statusOf(reply), "HTTP/1.1 503");
  EXPECT_NE(reply.find("Retry-After: 1\r\n"), std::string::npos);
  clients.clear();
  awaitNoConnections();
  EXPECT_EQ(statusOf(ask(std::string("GET /echo HTTP/1.1\r\n") + kClose)), "HTTP/1.1 200");
}

TEST_F(HttpServers, EndRepliesBeforeTheyStop) {
  Client idle(server->port()), busy(server->port());
  busy.say("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  busy.hear("xxx");
  server->close();
  idle.hear();
  EXPECT_TRUE(idle.isClosed);
  Client late(server->port());
  EXPECT_TRUE(!late.connected || late.hear().empty());
  server->stop(std::chrono::milliseconds(100));
  EXPECT_EQ(server->connections(), 0u);
  for (int i = 0; i < 500 && left < 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(left, 1);
}

TEST_F(HttpServers, SayWhyTheyCannotListen) {
  HttpServer other({}, [](HttpRequest, std::shared_ptr<Reply>) {});
  EXPECT_EQ(other.listen("nowhere", 80).message(), "host nowhere: is no IP address");
  Status taken = other.listen("127.0.0.1", server->port());
  EXPECT_EQ(taken.message(), "cannot listen on 127.0.0.1:" + std::to_string(server->port()) +
                                 ": Address already in use");
}

} // namespace
