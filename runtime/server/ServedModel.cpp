// ServedModel.cpp - a roll with what turns texts into its tokens and back.
#include "runtime/server/ServedModel.h"

#include "runtime/grammar/Schema.h"
#include "runtime/session/ModelSampling.h"

#include <algorithm>
#include <ctime>

namespace pianola::server {

static constexpr size_t kKeptMatchers = 32;

Result<std::unique_ptr<ServedModel>> ServedModel::create(std::unique_ptr<Roll> roll,
                                                         std::string name) {
  if (roll->tokenizer().empty())
    return Status::error(name + ": has no tokenizer");
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(roll->tokenizer());
  if (!tokenizer)
    return Status::error(name + ": " + tokenizer.message());
  std::unique_ptr<ServedModel> model(new ServedModel());
  model->text = std::move(*tokenizer);
  const RollManifest &manifest = roll->manifest();
  model->conversation.emplace(
      Chat::create(*model->text, {std::string(roll->chatTemplate()), manifest.chatTokens}));
  model->answers = AnswerFormat::of(roll->chatTemplate(), model->text.get());
  model->ends = manifest.generation.stop;
  if (*model->conversation)
    for (int32_t id : (*model->conversation)->endsOfTurn())
      if (!std::count(model->ends.begin(), model->ends.end(), id))
        model->ends.push_back(id);
  model->defaults.sampling = modelSampling(manifest.generation);
  model->defaults.vocabulary = static_cast<int32_t>(manifest.model.validVocabulary);
  model->called = std::move(name);
  model->since = std::time(nullptr);
  model->played = std::move(roll);
  return model;
}

std::shared_ptr<const grammar::TokenTrie> ServedModel::trie() {
  if (!tokens)
    tokens = std::make_shared<grammar::TokenTrie>(*text, ends, defaults.vocabulary);
  return tokens;
}

grammar::Matcher ServedModel::matcherFor(std::shared_ptr<const grammar::Grammar> grammar) {
  std::lock_guard<std::mutex> lock(mutex);
  return grammar::Matcher(std::move(grammar), trie());
}

Result<grammar::Matcher> ServedModel::matcherFor(const Constraint &constraint) {
  std::string key = std::to_string(constraint.kind) + constraint.gbnf + constraint.schema.dump();
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = std::find_if(matchers.begin(), matchers.end(),
                              [&](const auto &kept) { return kept.first == key; });
    if (found != matchers.end()) {
      matchers.splice(matchers.begin(), matchers, found);
      return grammar::Matcher(found->second);
    }
  }
  Result<std::shared_ptr<const grammar::Grammar>> compiled =
      constraint.kind == Constraint::JsonObject ? grammar::anyObject()
      : constraint.kind == Constraint::Schema   ? grammar::fromSchema(constraint.schema)
                                                : grammar::Grammar::fromGbnf(constraint.gbnf);
  if (!compiled)
    return compiled.status();
  grammar::Matcher matcher = matcherFor(*compiled);
  std::lock_guard<std::mutex> lock(mutex);
  matchers.emplace_front(std::move(key), matcher);
  if (matchers.size() > kKeptMatchers)
    matchers.pop_back();
  return matcher;
}

} // namespace pianola::server
