// Masks.cpp - how long masks of tokens take: of a tokenizer, along the valid texts of a list of
// schemas.
//
//   grammar-masks TOKENIZER_JSON test/runtime/grammar/schemas.jsonl
//
// Cold: a matcher that has seen nothing; warm: the same text again.
#include "runtime/grammar/Matcher.h"
#include "runtime/grammar/Schema.h"
#include "runtime/text/Tokenizer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace pianola;
using Clock = std::chrono::steady_clock;

static double microseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::micro>(Clock::now() - since).count();
}

static std::string readFile(const char *path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

static void print(const char *what, std::vector<double> times) {
  if (times.empty())
    return;
  std::sort(times.begin(), times.end());
  double sum = 0;
  for (double time : times)
    sum += time;
  std::printf("%-20s %8zu times  mean %9.1f  median %9.1f  99 %% %9.1f  most %9.1f us\n", what,
              times.size(), sum / times.size(), times[times.size() / 2],
              times[times.size() * 99 / 100], times.back());
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: grammar-masks TOKENIZER_JSON SCHEMAS_JSONL\n");
    return 2;
  }
  auto tokenizer = Tokenizer::fromJson(readFile(argv[1]));
  if (!tokenizer) {
    std::fprintf(stderr, "error: %s: %s\n", argv[1], tokenizer.message().c_str());
    return 1;
  }
  auto begun = Clock::now();
  auto trie = std::make_shared<grammar::TokenTrie>(**tokenizer, std::vector<int32_t>{},
                                                   (*tokenizer)->vocabularySize());
  std::printf("%d tokens, in a tree after %.0f us\n", trie->vocabulary(), microseconds(begun));

  std::vector<double> compiling, accepting, masks[2];
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) {
    auto entry = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("schema") || !entry.contains("valid")) {
      std::fprintf(stderr, "error: %s: expected lines with schema and valid\n", argv[2]);
      return 1;
    }
    begun = Clock::now();
    auto made = grammar::fromSchema(entry["schema"]);
    compiling.push_back(microseconds(begun));
    if (!made) {
      std::fprintf(stderr, "error: %s: %s\n", argv[2], made.message().c_str());
      return 1;
    }
    for (const nlohmann::ordered_json &text : entry["valid"]) {
      EncodeOptions plain;
      plain.addSpecial = plain.parseSpecial = false;
      auto ids = (*tokenizer)->encode(text.get<std::string>(), plain);
      if (!ids)
        continue;
      grammar::Matcher first(*made, trie);
      for (std::vector<double> &times : masks) {
        grammar::Matcher matcher = first;
        TokenMask mask;
        for (int32_t id : *ids) {
          begun = Clock::now();
          Status status = matcher.fill(mask);
          times.push_back(microseconds(begun));
          begun = Clock::now();
          // A tokenizer may put something before a text that the grammar does not allow.
          if (!status.ok() || !mask.allows(id) || !matcher.accept(id).ok())
            break;
          accepting.push_back(microseconds(begun));
        }
      }
    }
  }
  print("schema to grammar", compiling);
  print("mask, cold", masks[0]);
  print("mask, warm", masks[1]);
  print("accept", accepting);
}
