// Grammar.cpp - any text as a JSON Schema or as GBNF, and a walk along the masks of what compiles:
// every token that a mask allows is accepted, and a mask is never empty without an error.
#include "runtime/grammar/Matcher.h"
#include "runtime/grammar/Schema.h"
#include "test/fuzz/Input.h"

using namespace pianola;
using namespace pianola::grammar;

constexpr int32_t kEnd = 0;

static std::shared_ptr<const TokenTrie> vocabulary() {
  static const auto trie = [] {
    std::vector<std::string> tokens{""};
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back(std::string(1, static_cast<char>(byte)));
    for (const char *token : {"{\"", "\":", "\",", "true", "null", "[[", "]}", "12", "-0.5", "e+",
                              "aaaa", "\u00e9", "\u20ac\u00e9", "\\u", "\\n", "  ", "\", \""})
      tokens.push_back(token);
    return std::make_shared<const TokenTrie>(std::move(tokens), std::vector<int32_t>{kEnd});
  }();
  return trie;
}

// The first byte: an even one before a schema, an odd one before GBNF. A zero byte, then numbers
// that choose among the tokens.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view rest = fuzz::textOf(data, size);
  bool isGbnf = fuzz::takeByte(rest) % 2;
  std::string_view text = fuzz::takePart(rest);
  auto made = isGbnf ? grammar::Grammar::fromGbnf(text) : fromSchemaText(text);
  if (!made) {
    fuzz::expect(!made.message().empty(), "a refusal says why");
    return 0;
  }
  Matcher matcher(*made, vocabulary());
  TokenMask mask;
  for (int step = 0; step < 40 && !matcher.hasEnded(); ++step) {
    if (!matcher.fill(mask).ok())
      return 0;
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < vocabulary()->vocabulary(); ++id)
      if (mask.allows(id))
        allowed.push_back(id);
    fuzz::expect(!allowed.empty(), "a mask allows some token");
    fuzz::expect(mask.allows(kEnd) == matcher.mayEnd(), "the end is allowed where it may be");
    int32_t token = allowed[(fuzz::takeByte(rest) + step * 7) % allowed.size()];
    fuzz::expect(matcher.accept(token).ok(), "what a mask allows is accepted");
  }
  return 0;
}
