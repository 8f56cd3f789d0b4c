// Goldens.cpp - renderings against those of Jinja, in the environment of Hugging Face transformers.
//
// golden/features.jsonl holds one construct a line; golden/cases.jsonl conversations, and the
// template of golden/templates that each is for. Where an error is expected, an error must come,
// and with the template's own message if the template raised it.
#include "runtime/template/Template.h"
#include "test/ReadFile.h"

#include <chrono>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace pianola;
using nlohmann::ordered_json;

namespace {

const std::string kGoldens = PIANOLA_SOURCE_DIR "/test/runtime/template/golden/";

TemplateOptions atGoldenTime() {
  TemplateOptions options;
  options.now = *parseTime("2026-03-05 07:08:09");
  return options;
}

Result<std::string> render(const std::string &source, const ordered_json &variables) {
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  return parsed ? parsed->renderText(variables, atGoldenTime()) : parsed.status();
}

// Whether `got` is what the line of goldens expects.
testing::AssertionResult agrees(const ordered_json &line, const Result<std::string> &got) {
  auto wrong = [&](const std::string &wanted) {
    return testing::AssertionFailure()
           << line.value("source", line.value("template", "") + " " + line.value("name", ""))
           << "\n wanted: " << wanted << "\n got:    " << (got ? *got : "error: " + got.message());
  };
  if (line.contains("expected"))
    return got && *got == line["expected"].get<std::string>()
               ? testing::AssertionSuccess()
               : wrong(line["expected"].get<std::string>());
  auto message = line["error"]["message"].get<std::string>();
  if (got)
    return wrong("error: " + message);
  if (line["error"]["kind"] == "raised" && got.message() != "the chat template says: " + message)
    return wrong("error: the chat template says: " + message);
  return testing::AssertionSuccess();
}

TEST(Template, RendersEveryFeature) {
  std::istringstream file(readFile(kGoldens + "features.jsonl"));
  int compared = 0, refused = 0;
  for (std::string text; std::getline(file, text); ++compared) {
    ordered_json line = ordered_json::parse(text);
    Result<std::string> got = render(line["source"].get<std::string>(), line["context"]);
    // What no known template uses may be refused, but not be wrong.
    if (line["group"] == "rare" && line.contains("expected") && !got) {
      ++refused;
      continue;
    }
    EXPECT_TRUE(agrees(line, got)) << " line " << compared + 1;
  }
  EXPECT_EQ(compared, 462);
  EXPECT_LE(refused, 11);
  std::printf("%d constructs compared, %d rare ones refused\n", compared, refused);
}

TEST(Template, RendersEveryConversation) {
  std::istringstream file(readFile(kGoldens + "cases.jsonl"));
  std::map<std::string, std::string> sources;
  int compared = 0;
  for (std::string text; std::getline(file, text); ++compared) {
    ordered_json line = ordered_json::parse(text);
    auto name = line["template"].get<std::string>();
    if (!sources.count(name))
      sources[name] = readFile(kGoldens + "templates/" + name);
    ordered_json variables = line["kwargs"];
    if (!variables.contains("documents"))
      variables["documents"] = nullptr;
    for (const char *key : {"messages", "tools", "add_generation_prompt"})
      variables[key] = line[key];
    EXPECT_TRUE(agrees(line, render(sources[name], variables))) << " line " << compared + 1;
  }
  EXPECT_EQ(compared, 1014);
  std::printf("%d conversations compared\n", compared);
}

} // namespace
