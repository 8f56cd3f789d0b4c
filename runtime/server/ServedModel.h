// ServedModel.h - a roll with what turns texts into its tokens and back.
#ifndef PIANOLA_RUNTIME_SERVER_SERVEDMODEL_H
#define PIANOLA_RUNTIME_SERVER_SERVEDMODEL_H

#include "runtime/roll/Roll.h"
#include "runtime/server/GenerationRequest.h"
#include "runtime/server/Task.h"
#include "runtime/template/Chat.h"
#include "runtime/toolcalls/AnswerParser.h"

#include <list>
#include <mutex>

namespace pianola::server {

/// From several threads at once.
class ServedModel {
public:
  /// An error if the roll has no tokenizer; a missing chat template only makes chats impossible.
  /// Sampling is by the model's generation_config.json where requests say nothing: greedy, if that
  /// does not ask for sampling.
  static Result<std::unique_ptr<ServedModel>> create(std::unique_ptr<Roll> roll, std::string name);

  const Roll &roll() const { return *played; }
  const Tokenizer &tokenizer() const { return *text; }
  const Result<Chat> &chat() const { return *conversation; }
  const AnswerFormat &format() const { return answers; }
  const std::string &name() const { return called; }
  /// End generations, whatever is asked.
  const std::vector<int32_t> &stops() const { return ends; }
  const RequestRules &rules() const { return defaults; }
  int64_t opened() const { return since; } // Unix time

  /// What holds texts to a constraint. Those of the last constraints are kept, as what they find
  /// out about the vocabulary serves again. Errors are for who asked.
  Result<grammar::Matcher> matcherFor(const Constraint &constraint);
  grammar::Matcher matcherFor(std::shared_ptr<const grammar::Grammar> grammar);

private:
  ServedModel() = default;
  std::shared_ptr<const grammar::TokenTrie> trie();

  std::unique_ptr<Roll> played;
  std::unique_ptr<Tokenizer> text;
  std::optional<Result<Chat>> conversation;
  AnswerFormat answers;
  std::string called;
  std::vector<int32_t> ends;
  RequestRules defaults;
  int64_t since = 0;

  std::mutex mutex; // of what follows
  std::shared_ptr<const grammar::TokenTrie> tokens;
  std::list<std::pair<std::string, grammar::Matcher>> matchers; // used last, first
};

} // namespace pianola::server

#endif
