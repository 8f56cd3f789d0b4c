// TokenizeVerb.cpp - pianola tokenize and detokenize: text to ids, and back.
#include "tools/pianola/ModelText.h"
#include "tools/pianola/Verbs.h"

#include <iostream>
#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::json;

namespace {

struct TokenizeOptions {
  std::string model, text;
  std::vector<int32_t> ids;
  bool isJsonl = false, noSpecial = false, skipSpecial = false;
};

// Answers each line of the standard input with a line; `answer` is told the line's JSON.
template <typename Answer> Status answerLines(Answer answer) {
  std::string line;
  for (size_t number = 1; std::getline(std::cin, line); ++number) {
    json question = json::parse(line, nullptr, /*allow_exceptions=*/false);
    Result<json> reply = answer(question);
    if (!reply)
      return Status::error("standard input: line " + std::to_string(number) + ": " +
                           reply.message());
    // ASCII, for some readers take U+2028 for the end of a line; and at once, for who asks line by
    // line waits for it.
    std::cout << reply->dump(-1, ' ', /*ensure_ascii=*/true) << std::endl;
    if (!std::cout)
      return Status::error("standard output: cannot be written");
  }
  return Status();
}

Status tokenize(const TokenizeOptions &options) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = openTokenizer(options.model);
  if (!tokenizer)
    return tokenizer.status();
  EncodeOptions encode;
  encode.addSpecial = !options.noSpecial;
  if (options.isJsonl)
    return answerLines([&](const json &text) -> Result<json> {
      if (!text.is_string())
        return Status::error("expected a JSON string");
      auto ids = (*tokenizer)->encode(text.get_ref<const std::string &>(), encode);
      return ids ? Result<json>(*ids) : ids.status();
    });
  Result<std::vector<int32_t>> ids = (*tokenizer)->encode(options.text, encode);
  if (!ids)
    return ids.status();
  for (int32_t id : *ids) {
    json piece = (*tokenizer)->decode({id}, /*skipSpecial=*/false);
    std::printf("%d\t%s\n", id, piece.dump().c_str());
  }
  return Status();
}

Status detokenize(const TokenizeOptions &options) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = openTokenizer(options.model);
  if (!tokenizer)
    return tokenizer.status();
  if (options.isJsonl)
    return answerLines([&](const json &ids) -> Result<json> {
      bool areIds = ids.is_array() && std::all_of(ids.begin(), ids.end(), [](const json &id) {
                      return id.is_number_integer() && id >= 0 && id <= INT32_MAX;
                    });
      if (!areIds)
        return Status::error("expected a JSON array of ids");
      return json((*tokenizer)->decode(ids.get<std::vector<int32_t>>(), options.skipSpecial));
    });
  std::printf("%s\n", (*tokenizer)->decode(options.ids, options.skipSpecial).c_str());
  return Status();
}

} // namespace

void addTokenizeVerbs(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<TokenizeOptions>();
  auto add = [&](const char *name, const char *what, const char *lines) {
    CLI::App *verb = app.add_subcommand(name, what);
    verb->add_option("model", options->model, "A model directory, a tokenizer.json, or a roll")
        ->required();
    verb->add_flag("--jsonl", options->isJsonl, lines);
    return verb;
  };
  auto finish = [=, &exitCode](CLI::App *verb, CLI::Option *given,
                               Status (*run)(const TokenizeOptions &)) {
    verb->callback([=, &exitCode] {
      if (given->empty() != options->isJsonl) {
        exitCode = failUsage(verb->get_name() + ": give " + given->get_name() + ", or --jsonl");
        return;
      }
      if (Status status = run(*options); !status.ok())
        exitCode = fail(status.message());
    });
  };
  CLI::App *to =
      add("tokenize", "Print the tokens of a text, one a line",
          "For each line of the standard input, a JSON string, print a JSON array of ids");
  to->add_flag("--no-special", options->noSpecial,
               "Leave out what the post-processor puts before and after");
  finish(to, to->add_option("text", options->text), tokenize);
  CLI::App *from =
      add("detokenize", "Print the text of token ids",
          "For each line of the standard input, a JSON array of ids, print a JSON string");
  from->add_flag("--skip-special", options->skipSpecial, "Leave out special tokens");
  finish(from, from->add_option("ids", options->ids, "1,2,3")->delimiter(','), detokenize);
}

} // namespace pianola
