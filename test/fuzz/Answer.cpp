// Answer.cpp - any bytes as an answer in any style of tool calls: however it is cut into pieces,
// the same content, thoughts and calls come out.
#include "runtime/toolcalls/AnswerParser.h"
#include "test/fuzz/Input.h"

#include <algorithm>
#include <nlohmann/json.hpp>

using namespace pianola;

// Runs of one kind as one, written down.
static std::string written(const std::vector<AnswerPart> &parts) {
  std::string text;
  const AnswerPart *last = nullptr;
  for (const AnswerPart &part : parts) {
    if (!last || last->kind != part.kind || last->call != part.call ||
        part.kind == AnswerPart::CallBegin)
      text += "\n" + std::to_string(part.kind) + " " + std::to_string(part.call) + " ";
    text += part.name + part.text;
    last = &part;
  }
  return text;
}

// Each call begins, has arguments and ends before the next one.
static void checkOrder(const std::vector<AnswerPart> &parts) {
  size_t calls = 0;
  bool inCall = false;
  for (const AnswerPart &part : parts) {
    bool isOfCall = part.kind == AnswerPart::CallArguments || part.kind == AnswerPart::CallEnd;
    fuzz::expect(isOfCall == inCall, "calls are whole");
    if (part.kind == AnswerPart::CallBegin) {
      fuzz::expect(part.call == calls++ && !part.name.empty(), "calls are numbered and have names");
      inCall = true;
    } else if (isOfCall) {
      inCall = part.kind != AnswerPart::CallEnd;
    }
  }
  fuzz::expect(!inCall, "calls end");
}

// Four bytes: the style, whether it thinks, two lengths of pieces; then the answer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const auto tools = nlohmann::ordered_json::parse(R"([{"type": "function", "function": {
    "name": "f", "parameters": {"type": "object", "properties": {
      "s": {"type": "string"}, "i": {"type": "integer"}, "a": {"type": ["array", "null"]}}}}},
    {"type": "function", "function": {"name": "g"}}])");
  std::string_view text = fuzz::textOf(data, size);
  AnswerFormat format;
  format.calls = static_cast<CallStyle>(fuzz::takeByte(text) % 7);
  uint8_t flags = fuzz::takeByte(text);
  if (flags & 1) {
    format.thinkBegin = "<think>";
    format.thinkEnd = "</think>";
  }
  size_t lengths[] = {fuzz::takeByte(text) % 8u + 1, fuzz::takeByte(text) % 32u + 1};
  auto parse = [&](auto nextLength) {
    AnswerParser parser(format, !(flags & 4), flags & 2, tools);
    std::vector<AnswerPart> all;
    auto add = [&](std::vector<AnswerPart> parts) {
      std::move(parts.begin(), parts.end(), std::back_inserter(all));
    };
    for (std::string_view rest = text; !rest.empty();) {
      size_t length = std::min(nextLength(), rest.size());
      add(parser.feed(rest.substr(0, length)));
      rest.remove_prefix(length);
    }
    add(parser.finish());
    checkOrder(all);
    return written(all);
  };
  std::string whole = parse([&] { return text.size(); });
  size_t piece = 0;
  fuzz::expect(parse([&] { return lengths[piece++ % 2]; }) == whole, "cuts change nothing");
  fuzz::expect(parse([] { return size_t(1); }) == whole, "single bytes change nothing");
  return 0;
}
