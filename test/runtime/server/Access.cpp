// Access.cpp - who may ask, and who may not.
#include "runtime/server/Access.h"

#include <gtest/gtest.h>

using namespace pianola::server;

namespace {

unsigned statusOf(const Access &access, std::map<std::string, std::string> headers,
                  const std::string &path = "/v1/models", const std::string &method = "GET") {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers = std::move(headers);
  std::optional<ApiError> error = access.check(request);
  return error ? error->status : 200;
}

TEST(Access, NeedsAKeyIfThereAreKeys) {
  Access access{{"first", "second"}, {}, {}};
  EXPECT_EQ(statusOf(access, {}), 401u);
  EXPECT_EQ(statusOf(access, {{"authorization", "Bearer first"}}), 200u);
  EXPECT_EQ(statusOf(access, {{"authorization", "Bearer second"}}), 200u);
  EXPECT_EQ(statusOf(access, {{"x-api-key", "second"}}), 200u);
  for (const char *wrong : {"Bearer ", "Bearer firs", "Bearer first ", "Bearer firstfirst", "first",
                            "Basic first", "bearer"})
    EXPECT_EQ(statusOf(access, {{"authorization", wrong}}), 401u) << wrong;
  EXPECT_EQ(statusOf(access, {}, "/metrics"), 401u);
  EXPECT_EQ(statusOf(access, {}, "/health"), 200u);
  EXPECT_EQ(statusOf(access, {}, "/"), 200u);
}

TEST(Access, KnowsItsOwnNames) {
  Access access{{}, {"localhost", "127.0.0.1", "[::1]"}, {}};
  for (const char *host : {"localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]", "[::1]:8080"})
    EXPECT_EQ(statusOf(access, {{"host", host}}), 200u) << host;
  for (const char *host : {"", "evil.example", "localhost.evil.example", "127.0.0.2", "[::2]:80"})
    EXPECT_EQ(statusOf(access, {{"host", host}}), 403u) << host;
  EXPECT_EQ(statusOf(access, {{"host", "evil.example"}}, "/health"), 403u);
}

TEST(Access, RefusesPagesOfOthers) {
  Access access{{}, {}, {"https://friend.example"}};
  EXPECT_EQ(statusOf(access, {{"host", "a:1"}, {"origin", "http://a:1"}}), 200u);
  EXPECT_EQ(statusOf(access, {{"host", "a:1"}, {"origin", "https://friend.example"}}), 200u);
  EXPECT_EQ(statusOf(access, {{"host", "a:1"}, {"origin", "http://a:2"}}), 403u);
  EXPECT_EQ(statusOf(access, {{"host", "a:1"}, {"origin", "null"}}), 403u);
  access.origins = {"*"};
  EXPECT_EQ(statusOf(access, {{"host", "a:1"}, {"origin", "http://any"}}), 200u);
}

TEST(Access, ComparesWholeTexts) {
  EXPECT_TRUE(equalInConstantTime("", ""));
  EXPECT_TRUE(equalInConstantTime("abc", "abc"));
  for (auto [left, right] : std::vector<std::pair<const char *, const char *>>{
           {"", "a"}, {"a", ""}, {"abc", "abd"}, {"ab", "abab"}, {"abab", "ab"}})
    EXPECT_FALSE(equalInConstantTime(left, right)) << left << ", " << right;
}

} // namespace
