// AnswerParser.cpp - takes the text of an answer apart while it comes.
#include "runtime/toolcalls/AnswerParser.h"

namespace pianola {

/// What is longer is let go: white space, and calls that do not begin.
static constexpr size_t kMostSpaces = 256, kMostRaw = 1 << 20;

static const char *kPythonTag = "<|python_tag|>";
static const char *kCallEnd = "</tool_call>";

static const CallTags &tagsOf(CallStyle style) {
  static const CallTags kCoder = {
      "<function=", ">", "<parameter=", ">", "", "</parameter>", true, {"</function>", kCallEnd}};
  static const CallTags kGlm = {
      "", "", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", false, {kCallEnd}};
  return style == CallStyle::Glm ? kGlm : kCoder;
}

void Answer::add(const std::vector<AnswerPart> &parts) {
  for (const AnswerPart &part : parts) {
    if (part.kind == AnswerPart::Content)
      content += part.text;
    else if (part.kind == AnswerPart::Reasoning)
      reasoning += part.text;
    else if (part.kind == AnswerPart::CallBegin)
      calls.push_back({part.name, ""});
    else
      calls[part.call].arguments += part.text;
  }
}

AnswerParser::AnswerParser(AnswerFormat answerFormat, bool wantsCalls, bool beginsThinking,
                           const nlohmann::ordered_json &tools)
    : format(std::move(answerFormat)), wantsCalls(wantsCalls), beginsThinking(beginsThinking),
      tools(std::make_unique<Tools>(tools)) {
  if (format.thinkBegin.empty() || format.thinkEnd.empty())
    beginAnswer();
  else
    search = MarkerSearch({format.thinkBegin});
}

std::vector<AnswerPart> AnswerParser::feed(std::string_view text) {
  for (char c : text)
    take(c);
  return std::exchange(parts, {});
}

void AnswerParser::take(char c) {
  switch (state) {
  case Begin:
    return takeBegin(c);
  case Reasoning:
    return takeReasoning(c);
  case Content:
    return takeContent(c);
  case InCall:
    return takeInCall(c);
  case AfterMarker:
    return takeAfterMarker(c);
  case InList:
    return takeInList(c);
  case LlamaCalls:
    return takeLlamaCalls(c);
  }
}

// What is taken again is shorter than a few markers and names, so this goes only a few deep.
void AnswerParser::takeAll(const std::string &text) {
  for (char c : text)
    take(c);
}

void AnswerParser::emit(AnswerPart::Kind kind, std::string_view text) {
  if (text.empty())
    return;
  if (parts.empty() || parts.back().kind != kind)
    parts.push_back({kind, "", kind == AnswerPart::CallArguments ? calls - 1 : 0, ""});
  parts.back().text += text;
}

// White space waits for what follows it, where that may leave it out.
void AnswerParser::pass(AnswerPart::Kind kind, char c) {
  if (isSpace(c)) {
    if (skipped == AllSpace || (skipped == LineEnds && (c == '\n' || c == '\r')))
      return;
    bool mayBeLast = kind == AnswerPart::Reasoning || !search.isEmpty();
    if (mayBeLast && spaces.size() < kMostSpaces) {
      skipped = Nothing;
      spaces += c;
      return;
    }
  }
  skipped = Nothing;
  if (!spaces.empty())
    emit(kind, std::exchange(spaces, {}));
  emit(kind, std::string_view(&c, 1));
}

void AnswerParser::passContent(std::string_view text) {
  for (char c : text)
    pass(AnswerPart::Content, c);
}

//===----------------------------------------------------------------------===//
// Thoughts and content
//===----------------------------------------------------------------------===//

void AnswerParser::takeBegin(char c) {
  if (search.held().empty() && isSpace(c) && spaces.size() < kMostSpaces) {
    spaces += c;
    return;
  }
  std::string passed;
  bool found = search.feed(c, passed).has_value();
  if (!found && passed.empty())
    return;
  std::string rest = std::exchange(spaces, {}) + passed + search.take();
  if (found || beginsThinking) {
    search = MarkerSearch({format.thinkEnd});
    skipped = AllSpace;
    state = Reasoning;
  } else {
    beginAnswer();
  }
  if (!found)
    takeAll(rest);
}

void AnswerParser::takeReasoning(char c) {
  std::string passed;
  bool found = search.feed(c, passed).has_value();
  for (char each : passed)
    pass(AnswerPart::Reasoning, each);
  if (found) {
    spaces.clear();
    skipped = LineEnds;
    beginAnswer();
  }
}

void AnswerParser::beginAnswer() {
  if (wantsCalls && format.calls == CallStyle::Llama3) {
    state = LlamaCalls;
    raw.clear();
    search = MarkerSearch({kPythonTag});
  } else {
    beginContent();
  }
}

void AnswerParser::beginContent() {
  std::vector<std::string> markers;
  if (wantsCalls && (format.calls == CallStyle::Mistral || format.calls == CallStyle::MistralArgs))
    markers = {"[TOOL_CALLS]"};
  else if (wantsCalls && format.calls != CallStyle::None && format.calls != CallStyle::Llama3)
    markers = {"<tool_call>"};
  if (mayClose)
    markers.push_back(kCallEnd);
  search = MarkerSearch(std::move(markers));
  state = Content;
}

void AnswerParser::takeContent(char c) {
  std::string passed;
  std::optional<size_t> marker = search.feed(c, passed);
  passContent(passed);
  // The end of a call is one only right after it.
  if (mayClose && skipped == Nothing) {
    mayClose = false;
    std::string held = search.take();
    beginContent();
    takeAll(held);
  }
  if (!marker)
    return;
  mayClose = false;
  if (*marker == 1)
    return beginContent();
  raw = std::exchange(spaces, {}) + search[*marker];
  beginMarkedCall();
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

void AnswerParser::beginMarkedCall() {
  switch (format.calls) {
  case CallStyle::Hermes:
    return beginCall(std::make_unique<ObjectCall>(nullptr));
  case CallStyle::QwenCoder:
  case CallStyle::Glm:
    return beginCall(std::make_unique<TagCall>(tagsOf(format.calls), *tools));
  default:
    state = AfterMarker;
  }
}

void AnswerParser::beginCall(std::unique_ptr<CallReader> next) {
  reader = std::move(next);
  isAnnounced = false;
  state = InCall;
}

void AnswerParser::takeInCall(char c) {
  CallReader::Step step = reader->feed(c);
  bool isTaken = step == CallReader::More || step == CallReader::Last;
  if (reader->hasBegun() && !isAnnounced) {
    isAnnounced = true;
    raw.clear();
    parts.push_back({AnswerPart::CallBegin, "", calls++, reader->name()});
  }
  if (isAnnounced)
    emit(AnswerPart::CallArguments, reader->takeArguments());
  else if (isTaken)
    raw += c;
  if (step == CallReader::Broken || raw.size() > kMostRaw)
    return giveUpCall(isTaken ? std::string() : reader->takeUntaken() + c);
  if (step == CallReader::More)
    return;
  endCall();
  if (!isTaken)
    take(c);
}

// The text of a call that has not begun is content, but for `rest`, which may hold a better one.
void AnswerParser::giveUpCall(std::string rest) {
  if (isAnnounced) {
    parts.push_back({AnswerPart::CallEnd, "", calls - 1, ""});
    skipped = Nothing;
  } else {
    if (!rest.empty())
      raw.resize(raw.size() - (rest.size() - 1));
    passContent(std::exchange(raw, {}));
  }
  reader.reset();
  isListed = false;
  beginContent();
  takeAll(rest);
}

void AnswerParser::endCall() {
  parts.push_back({AnswerPart::CallEnd, "", calls - 1, ""});
  reader.reset();
  skipped = AllSpace;
  if (format.calls == CallStyle::Llama3) {
    state = LlamaCalls;
    search = MarkerSearch({kPythonTag});
  } else if (isListed) {
    state = InList;
  } else {
    mayClose = format.calls == CallStyle::Hermes || format.calls == CallStyle::QwenCoder;
    beginContent();
  }
}

void AnswerParser::takeAfterMarker(char c) {
  if (isSpace(c) && raw.size() < kMostSpaces) {
    raw += c;
  } else if (c == '[') {
    raw += c;
    isListed = true;
    beginCall(std::make_unique<ObjectCall>(nullptr));
  } else {
    beginCall(std::make_unique<NamedCall>());
    takeInCall(c);
  }
}

void AnswerParser::takeInList(char c) {
  if (isSpace(c))
    return;
  if (c == ',') {
    raw = c;
    return beginCall(std::make_unique<ObjectCall>(nullptr));
  }
  isListed = false;
  beginContent();
  if (c != ']')
    take(c);
}

// An object, or the tag and an object; after a call also a semicolon before it.
void AnswerParser::takeLlamaCalls(char c) {
  std::string passed;
  if (search.held().empty() && isSpace(c) && raw.size() < kMostSpaces) {
    raw += c;
    return;
  }
  if (search.held().empty() && c == ';' && calls > 0 && raw.find(';') == std::string::npos) {
    raw += c;
    return;
  }
  if (search.feed(c, passed)) {
    raw += kPythonTag;
    search = {}; // one is enough
    return;
  }
  if (passed.empty())
    return;
  if (passed == "{") {
    beginCall(std::make_unique<ObjectCall>(tools.get()));
    return takeInCall(c);
  }
  std::string rest = passed + search.take();
  beginContent();
  passContent(std::exchange(raw, {}));
  takeAll(rest);
}

//===----------------------------------------------------------------------===//
// The end
//===----------------------------------------------------------------------===//

std::vector<AnswerPart> AnswerParser::finish() {
  if (state == InCall) {
    if (isAnnounced) {
      parts.push_back({AnswerPart::CallEnd, "", calls - 1, ""});
      return std::exchange(parts, {});
    }
    passContent(raw);
  } else if (state == AfterMarker || state == LlamaCalls) {
    passContent(raw + search.take());
  } else {
    bool isThought = state == Reasoning || (state == Begin && beginsThinking);
    std::string held = search.take();
    for (char c : held)
      pass(isThought ? AnswerPart::Reasoning : AnswerPart::Content, c);
    if (isThought)
      spaces.clear();
  }
  emit(AnswerPart::Content, std::exchange(spaces, {}));
  return std::exchange(parts, {});
}

} // namespace pianola
