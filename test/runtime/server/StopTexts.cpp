// StopTexts.cpp - stops are found however the text is cut.
#include "runtime/server/StopTexts.h"

#include <gtest/gtest.h>

using pianola::server::StopTexts;

namespace {

// The text by pieces of `size` bytes; all that came out, and whether a stop was found.
std::pair<std::string, bool> cut(const std::vector<std::string> &stops, const std::string &text,
                                 size_t size) {
  StopTexts finder(stops);
  std::string out;
  for (size_t at = 0; at < text.size(); at += size)
    out += finder.feed(text.substr(at, size));
  return {out + finder.finish(), finder.isFound()};
}

TEST(StopTexts, AreFoundHoweverTheTextIsCut) {
  struct Case {
    std::vector<std::string> stops;
    std::string text, out;
    bool isFound;
  };
  for (const Case &one : std::vector<Case>{
           {{"END"}, "the END of it", "the ", true},
           {{"END"}, "ENENEND", "ENEN", true},
           {{"aab"}, "aaaaab!", "aaa", true},
           {{"abab"}, "ababab", "", true},
           {{"\n\n"}, "one\ntwo\n", "one\ntwo\n", false},
           {{"x", "yy"}, "ayyx", "a", true},
           {{"no"}, "", "", false},
           {{"e\xcc\x81"}, "cafe\xcc\x81", "caf", true},
           {{}, "all of it", "all of it", false},
       })
    for (size_t size = 1; size <= one.text.size(); ++size)
      EXPECT_EQ(cut(one.stops, one.text, size), std::make_pair(one.out, one.isFound))
          << one.text << " by " << size;
}

TEST(StopTexts, HoldBackNoMoreThanMayBeginOne) {
  StopTexts finder({"<end>", "\n"});
  EXPECT_EQ(finder.feed("a<"), "a");
  EXPECT_EQ(finder.feed("en"), "");
  EXPECT_EQ(finder.feed("t "), "<ent ");
  EXPECT_EQ(finder.feed("b\nc"), "b");
  EXPECT_EQ(finder.feed("d"), "");
  EXPECT_EQ(finder.finish(), "");
}

} // namespace
