// TextReply.h - the reply to a request for texts: from tokens to OpenAI's objects.
#ifndef PIANOLA_RUNTIME_SERVER_TEXTREPLY_H
#define PIANOLA_RUNTIME_SERVER_TEXTREPLY_H

#include "runtime/server/Http.h"
#include "runtime/server/ServedModel.h"
#include "runtime/text/StopStrings.h"

namespace pianola::server {

/// What a request has come to, for the log and the metrics.
struct ReplyRecord {
  unsigned status = 200;
  std::string finish; // of the first text
  std::vector<Ending> endings;
};

/// Hears the tokens of all texts of a request, on one thread at a time, and replies: at the end, or
/// as they come.
class TextReply {
public:
  struct Start {
    std::string id;
    const ServedModel *model;
    std::vector<std::vector<int32_t>> prompts;
    bool beginsThinking = false; // the prompt ends inside of a thought
    std::string forced;          // what the answer begins with already, beside the prompt's text
    std::function<void(const ReplyRecord &)> ended;
  };
  TextReply(GenerationRequest request, Start start, std::shared_ptr<Reply> reply);

  /// A token of text number `index`; whether it goes on.
  bool take(size_t index, const ChosenToken &chosen);
  void done(size_t index, const Ending &ending);

private:
  /// One of the texts.
  struct Text {
    Text(const ServedModel &model, const std::vector<std::string> &stops)
        : decoder(model.tokenizer(), /*skipSpecial=*/true), stops(stops) {}
    StreamDecoder decoder;
    StopStrings stops;
    std::optional<AnswerParser> parser; // of a chat's
    ordered_json message;               // of a chat that does not stream
    std::string whole;                  // of a completion
    ordered_json calls = ordered_json::array();
    std::vector<std::string> callIds;
    std::vector<ordered_json> probables; // that no chunk has taken yet
    std::vector<int32_t> ids;            // the same
    std::string finish;
    Ending ending;
    size_t offset = 0; // of the next token in the text, for completions' logprobs
    bool begun = false;
    bool isOver = false; // it has the one call that was wanted
  };

  void tell(Text &text, size_t index, const std::string &piece, bool isEnd);
  void tellParts(Text &text, size_t index, const std::vector<AnswerPart> &parts);
  ordered_json deltaOf(Text &text, const AnswerPart &part);
  ordered_json probabilityOf(int32_t id, float logprob) const;
  ordered_json takeProbables(Text &text);
  void takeIds(Text &text, ordered_json &choice);
  std::string finishOf(const Text &text, const Ending &ending) const;
  void send(Text &text, size_t index, ordered_json content, const ordered_json &finish);
  void sendEvent(const ordered_json &event);
  void begin(Text &text, size_t index);
  ordered_json frame(const char *object) const;
  ordered_json usage() const;
  ordered_json timings() const;
  ordered_json choiceOf(Text &text, size_t index);
  void finish();
  void fail(const ApiError &error);

  GenerationRequest request;
  Start start;
  std::shared_ptr<Reply> reply;
  int64_t created;
  std::vector<Text> texts;
  std::vector<std::pair<int32_t, std::string>> markers; // special tokens that the parser must see
  size_t left;
  bool streaming = false;             // the reply has begun
  std::optional<unsigned> failedWith; // status
};

} // namespace pianola::server

#endif
