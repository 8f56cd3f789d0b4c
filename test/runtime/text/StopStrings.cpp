// StopStrings.cpp - texts end before stop strings, wherever their pieces begin and end.
#include "runtime/text/StopStrings.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

using namespace pianola;

namespace {

// By the definition: the first place where a string is complete, and of those the longest.
std::pair<std::string, bool> cut(const std::string &text, const std::vector<std::string> &stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string &stop : stops)
      if (end >= stop.size() && text.compare(end - stop.size(), stop.size(), stop) == 0)
        longest = std::max(longest, stop.size());
    if (longest > 0)
      return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopStrings, CutTextsOfAnyPieces) {
  std::mt19937 random(1);
  auto word = [&](size_t least, size_t most) {
    std::string made(least + random() % (most - least + 1), 'a');
    for (char &c : made)
      c = "abc"[random() % 3];
    return made;
  };
  for (int times = 0; times < 20000; ++times) {
    std::vector<std::string> stops(random() % 4);
    for (std::string &stop : stops)
      stop = word(1, 5);
    std::string text = word(0, 24), heard;
    StopStrings finder(stops);
    for (size_t at = 0; at < text.size();) {
      size_t size = std::min<size_t>(1 + random() % 6, text.size() - at);
      heard += finder.feed(std::string_view(text).substr(at, size));
      at += size;
      // Nothing is held back that cannot become a stop.
      bool canBegin = std::any_of(stops.begin(), stops.end(), [&](const std::string &stop) {
        std::string left = text.substr(heard.size(), at - heard.size());
        return stop.compare(0, left.size(), left) == 0;
      });
      EXPECT_TRUE(finder.isFound() || canBegin || heard.size() == at) << text;
    }
    heard += finder.finish();
    EXPECT_EQ(std::make_pair(heard, finder.isFound()), cut(text, stops)) << text;
  }
}

TEST(StopStrings, HoldBackNoMoreThanMayBeginOne) {
  StopStrings finder({"<end>", "\n"});
  EXPECT_EQ(finder.feed("a<"), "a");
  EXPECT_EQ(finder.feed("en"), "");
  EXPECT_EQ(finder.feed("t "), "<ent ");
  EXPECT_EQ(finder.feed("b\nc"), "b");
  EXPECT_EQ(finder.feed("d"), "");
  EXPECT_EQ(finder.finish(), "");
}

} // namespace
