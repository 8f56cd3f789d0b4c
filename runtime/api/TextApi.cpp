// TextApi.cpp - the C interface: texts.
#include "runtime/BoundedJson.h"
#include "runtime/api/Handles.h"
#include "runtime/text/StopStrings.h"
#include "runtime/text/Utf8.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

using namespace pianola;
using namespace pianola::api;

struct pianola_decoder {
  const Tokenizer *tokenizer;
  bool showSpecial;
  std::optional<StreamDecoder> stream;
  std::string piece; // that the caller may look at

  void begin() { stream.emplace(*tokenizer, !showSpecial); }
};

namespace {

// A copy for pianola_free(), with a 0 behind it.
template <typename T> T *allocate(const T *from, size_t count) {
  void *memory = std::calloc(count + 1, sizeof(T));
  if (!memory)
    throw std::bad_alloc();
  if (count > 0)
    std::memcpy(memory, from, count * sizeof(T));
  return static_cast<T *>(memory);
}

Status give(const Result<std::vector<int32_t>> &made, int32_t **ids, size_t *count) {
  if (!made)
    return made.status();
  *ids = allocate(made->data(), made->size());
  *count = made->size();
  return Status();
}

Status give(const Result<std::string> &made, char **utf8, size_t *bytes) {
  if (!made)
    return made.status();
  *utf8 = allocate(made->data(), made->size());
  if (bytes)
    *bytes = made->size();
  return Status();
}

Status show(pianola_decoder *decoder, std::string piece, const char **utf8, size_t *bytes) {
  decoder->piece = std::move(piece);
  *utf8 = decoder->piece.c_str();
  if (bytes)
    *bytes = decoder->piece.size();
  return Status();
}

Result<nlohmann::ordered_json> readVariables(const pianola_text *text, const char *variables) {
  if (!text->chat)
    return text->chat.status();
  Result<nlohmann::ordered_json> json = readBoundedJson(variables);
  if (!json)
    return Status::error("variables: " + json.message());
  if (!json->is_object() || !json->contains("messages"))
    return Status::error("variables: expected a JSON object with messages");
  return json;
}

Result<StopStrings> readStops(const pianola_text_options &options) {
  if (!options.stops && options.stop_count > 0)
    return nullPointer();
  std::vector<std::string> stops;
  for (size_t i = 0; i < options.stop_count; ++i) {
    if (!options.stops[i])
      return nullPointer();
    stops.push_back(options.stops[i]);
    if (stops.back().empty() || findInvalid(stops.back()) != std::string::npos)
      return Status::error("stops[" + std::to_string(i) +
                           "]: expected UTF-8 of one character or more");
  }
  return StopStrings(stops);
}

std::vector<int32_t> stopIds(const pianola_session &session, const pianola_text &text) {
  if (session.stops)
    return *session.stops;
  std::vector<int32_t> ids = session.model->roll->manifest().generation.stop;
  if (text.chat)
    ids.insert(ids.end(), text.chat->endsOfTurn().begin(), text.chat->endsOfTurn().end());
  return ids;
}

} // namespace

pianola_status pianola_text_create(const pianola_model *model, pianola_text **text) {
  return guard([&]() -> Status {
    if (!model || !text)
      return nullPointer();
    const Roll &roll = *model->roll;
    if (roll.tokenizer().empty())
      return Status::error("the model has no tokenizer");
    Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(roll.tokenizer());
    if (!tokenizer)
      return tokenizer.status();
    Result<Chat> chat =
        Chat::create(**tokenizer, {std::string(roll.chatTemplate()), roll.manifest().chatTokens});
    *text = new pianola_text{std::move(*tokenizer), std::move(chat)};
    return Status();
  });
}

void pianola_text_destroy(pianola_text *text) { delete text; }

void pianola_free(void *allocated) { std::free(allocated); }

pianola_status pianola_encode(const pianola_text *text, const char *utf8, size_t bytes,
                              unsigned flags, int32_t **ids, size_t *count) {
  return guard([&]() -> Status {
    if (!text || (!utf8 && bytes) || !ids || !count)
      return nullPointer();
    if (flags & ~unsigned(PIANOLA_ADD_SPECIAL | PIANOLA_PARSE_SPECIAL))
      return Status::error("flags has a bit set that libpianola " PIANOLA_VERSION " does not know");
    EncodeOptions options;
    options.addSpecial = flags & PIANOLA_ADD_SPECIAL;
    options.parseSpecial = flags & PIANOLA_PARSE_SPECIAL;
    return give(text->tokenizer->encode({utf8, bytes}, options), ids, count);
  });
}

pianola_status pianola_decode(const pianola_text *text, const int32_t *ids, size_t count,
                              int show_special, char **utf8, size_t *bytes) {
  return guard([&]() -> Status {
    if (!text || (!ids && count) || !utf8)
      return nullPointer();
    return give(Result<std::string>(text->tokenizer->decode({ids, ids + count}, !show_special)),
                utf8, bytes);
  });
}

pianola_status pianola_decoder_create(const pianola_text *text, int show_special,
                                      pianola_decoder **decoder) {
  return guard([&]() -> Status {
    if (!text || !decoder)
      return nullPointer();
    auto made = std::make_unique<pianola_decoder>();
    made->tokenizer = text->tokenizer.get();
    made->showSpecial = show_special != 0;
    made->begin();
    *decoder = made.release();
    return Status();
  });
}

void pianola_decoder_destroy(pianola_decoder *decoder) { delete decoder; }

pianola_status pianola_decoder_feed(pianola_decoder *decoder, int32_t id, const char **utf8,
                                    size_t *bytes) {
  return guard([&]() -> Status {
    if (!decoder || !utf8)
      return nullPointer();
    return show(decoder, decoder->stream->feed(id), utf8, bytes);
  });
}

pianola_status pianola_decoder_finish(pianola_decoder *decoder, const char **utf8, size_t *bytes) {
  return guard([&]() -> Status {
    if (!decoder || !utf8)
      return nullPointer();
    std::string rest = decoder->stream->finish();
    decoder->begin();
    return show(decoder, std::move(rest), utf8, bytes);
  });
}

pianola_status pianola_chat_render(const pianola_text *text, const char *variables, char **prompt,
                                   size_t *bytes) {
  return guard([&]() -> Status {
    if (!text || !variables || !prompt)
      return nullPointer();
    Result<nlohmann::ordered_json> read = readVariables(text, variables);
    return read ? give(text->chat->render(std::move(*read)), prompt, bytes) : read.status();
  });
}

pianola_status pianola_chat_encode(const pianola_text *text, const char *variables, int32_t **ids,
                                   size_t *count) {
  return guard([&]() -> Status {
    if (!text || !variables || !ids || !count)
      return nullPointer();
    Result<nlohmann::ordered_json> read = readVariables(text, variables);
    return read ? give(text->chat->encode(std::move(*read)), ids, count) : read.status();
  });
}

pianola_status pianola_generate_text(pianola_session *session, const pianola_text *text,
                                     const pianola_text_options *options,
                                     pianola_text_callback callback, void *user,
                                     pianola_text_result *result) {
  return guard([&]() -> Status {
    if (!session || !text || !callback)
      return nullPointer();
    pianola_text_options given = {};
    if (options)
      if (Status status = readStruct(options, given, "text options"); !status.ok())
        return status;
    if (given.max_tokens < 0)
      return Status::error("text options.max_tokens must not be negative");
    Result<StopStrings> stops = readStops(given);
    if (!stops)
      return stops.status();
    pianola_text_result made = {};
    if (result && result->size < sizeof(size_t))
      return writeStruct(made, result, "text result");

    StreamDecoder stream(*text->tokenizer, /*skipSpecial=*/!given.show_special);
    bool goesOn = true;
    auto say = [&](const std::string &piece) {
      goesOn = goesOn && (piece.empty() || callback(piece.c_str(), piece.size(), user) == 0);
    };
    GenerateOptions wanted;
    wanted.most = given.max_tokens > 0 ? static_cast<uint64_t>(given.max_tokens) : UINT64_MAX;
    wanted.stops = stopIds(*session, *text);
    wanted.take = [&](int32_t id) {
      ++made.tokens;
      if (std::count(wanted.stops.begin(), wanted.stops.end(), id))
        return true;
      say(stops->feed(stream.feed(id)));
      return goesOn && !stops->isFound();
    };
    Result<GenerationEnd> end = session->session->generate(*session->sampler, wanted);
    if (!end && end.message() != "cancelled")
      return end.status();
    if (goesOn && !stops->isFound()) {
      say(stops->feed(stream.finish()));
      say(stops->finish());
    }
    if (!end)
      return end.status();
    made.end = stops->isFound() ? PIANOLA_END_STOP_STRING
               : !goesOn        ? PIANOLA_END_CALLBACK
                                : endOf(*end);
    return result ? writeStruct(made, result, "text result") : Status();
  });
}
