// pianola.hpp - libpianola for C++17: the C interface with objects, and errors as exceptions.
//
//   pianola::Model model("x.roll");
//   pianola::Text text(model);
//   pianola::Session session(model);
//   session.feedPrompt(text.encode("Once upon a time"));
//   session.generateText(text, [](std::string_view piece) { std::cout << piece; });
//
// Nothing here but what pianola/runtime.h and pianola/text.h do, which say more, about threads,
// too. All of it is inline, so that the library needs to agree with nobody's C++ runtime.
//
// Errors are exceptions: constructors open files and devices and have no other way to fail, and
// C++17 has no std::expected. A callback may throw: the generation ends, and the exception goes on
// to who called.
//
// Models and texts are handles: copies are the same one, and what is made from them keeps them.
// Sessions and decoders can be moved, not copied; one that was moved from may only be destroyed.
#ifndef PIANOLA_PIANOLA_HPP
#define PIANOLA_PIANOLA_HPP

#include "pianola/text.h"

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace pianola {
// The names of a version of this header are its own: programs may be made of parts that use
// several.
inline namespace v0 {

/// One line that says what was wrong.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// What was under way ended by Session::cancel().
class Cancelled : public Error {
public:
  using Error::Error;
};

using Tokens = std::vector<int32_t>;

/// Why a generation ended.
enum class End {
  Length = PIANOLA_END_LENGTH,
  Stop = PIANOLA_END_STOP,
  StopString = PIANOLA_END_STOP_STRING,
  Full = PIANOLA_END_FULL,
  Callback = PIANOLA_END_CALLBACK
};

inline std::string version() { return pianola_version(); }

namespace detail {

inline void check(pianola_status status) {
  if (status == PIANOLA_CANCELLED)
    throw Cancelled(pianola_error());
  if (status != PIANOLA_OK)
    throw Error(pianola_error());
}

template <typename T> T sized() {
  T value = {};
  value.size = sizeof(T);
  return value;
}

inline Tokens takeTokens(int32_t *ids, size_t count) {
  std::unique_ptr<int32_t, decltype(&pianola_free)> owned(ids, pianola_free);
  return Tokens(ids, ids + count);
}

inline std::string takeText(char *utf8, size_t bytes) {
  std::unique_ptr<char, decltype(&pianola_free)> owned(utf8, pianola_free);
  return std::string(utf8, bytes);
}

/// Calls what a caller gave; it may return nothing, or whether to go on.
template <typename Callback> struct Hearer {
  Callback &callback;
  std::exception_ptr thrown = nullptr;

  template <typename T> int hear(T heard) noexcept {
    try {
      if constexpr (std::is_void_v<decltype(callback(heard))>)
        callback(heard);
      else
        return callback(heard) ? 0 : 1;
      return 0;
    } catch (...) {
      thrown = std::current_exception();
      return 1;
    }
  }
  void check(pianola_status status) const {
    if (thrown)
      std::rethrow_exception(thrown);
    detail::check(status);
  }
};

} // namespace detail

struct ModelInfo {
  int32_t vocabulary, validVocabulary, workers;
  int64_t maxLen, parameters;
  uint64_t fileBytes;
  bool hasTokenizer;
  std::string name, family, target, compiler;
  Tokens stops;
};

struct Sampling {
  float temperature = 0; // 0: greedy
  int32_t topK = 0;      // 0: all
  float topP = 1, minP = 0;
  float repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0;
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logitBias = {};
};

/// A roll.
class Model {
public:
  explicit Model(const std::string &path) {
    pianola_model *opened = nullptr;
    detail::check(pianola_open(path.c_str(), &opened));
    model.reset(opened, pianola_close);
  }

  ModelInfo info() const {
    auto all = detail::sized<pianola_model_info>();
    detail::check(pianola_get_info(get(), &all));
    return {all.vocabulary,
            all.valid_vocabulary,
            all.workers,
            all.max_len,
            all.parameters,
            all.file_bytes,
            all.has_tokenizer != 0,
            all.name,
            all.family,
            all.target,
            all.compiler,
            Tokens(all.stop_ids, all.stop_ids + all.stop_count)};
  }

  /// What the model's own settings say.
  Sampling sampling() const {
    auto all = detail::sized<pianola_sampling>();
    detail::check(pianola_get_sampling(get(), &all));
    return {all.temperature,
            all.top_k,
            all.top_p,
            all.min_p,
            all.repetition_penalty,
            all.presence_penalty,
            all.frequency_penalty,
            all.seed};
  }

  pianola_model *get() const { return model.get(); }

private:
  std::shared_ptr<pianola_model> model;
};

/// A model's tokenizer and chat template.
class Text {
public:
  explicit Text(const Model &model) {
    pianola_text *created = nullptr;
    detail::check(pianola_text_create(model.get(), &created));
    text.reset(created, pianola_text_destroy);
  }

  /// `flags`: PIANOLA_ADD_SPECIAL, PIANOLA_PARSE_SPECIAL.
  Tokens encode(std::string_view utf8, unsigned flags = PIANOLA_ADD_SPECIAL) const {
    int32_t *ids = nullptr;
    size_t count = 0;
    detail::check(pianola_encode(get(), utf8.data(), utf8.size(), flags, &ids, &count));
    return detail::takeTokens(ids, count);
  }

  std::string decode(const Tokens &ids, bool showSpecial = false) const {
    char *utf8 = nullptr;
    size_t bytes = 0;
    detail::check(pianola_decode(get(), ids.data(), ids.size(), showSpecial, &utf8, &bytes));
    return detail::takeText(utf8, bytes);
  }

  /// The prompt of a conversation, from a JSON object with "messages"; messages stay data.
  Tokens encodeChat(const std::string &variables) const {
    int32_t *ids = nullptr;
    size_t count = 0;
    detail::check(pianola_chat_encode(get(), variables.c_str(), &ids, &count));
    return detail::takeTokens(ids, count);
  }

  /// The same, to look at.
  std::string renderChat(const std::string &variables) const {
    char *utf8 = nullptr;
    size_t bytes = 0;
    detail::check(pianola_chat_render(get(), variables.c_str(), &utf8, &bytes));
    return detail::takeText(utf8, bytes);
  }

  pianola_text *get() const { return text.get(); }

private:
  std::shared_ptr<pianola_text> text;
};

/// Text of ids that come one by one.
class Decoder {
public:
  explicit Decoder(const Text &text, bool showSpecial = false) : text(text) {
    pianola_decoder *created = nullptr;
    detail::check(pianola_decoder_create(text.get(), showSpecial, &created));
    decoder.reset(created);
  }
  Decoder(Decoder &&) = default;
  /// The decoder that was goes before its text.
  Decoder &operator=(Decoder &&other) noexcept {
    decoder = std::move(other.decoder);
    text = std::move(other.text);
    return *this;
  }

  std::string feed(int32_t id) {
    const char *utf8 = nullptr;
    size_t bytes = 0;
    detail::check(pianola_decoder_feed(decoder.get(), id, &utf8, &bytes));
    return std::string(utf8, bytes);
  }

  std::string finish() {
    const char *utf8 = nullptr;
    size_t bytes = 0;
    detail::check(pianola_decoder_finish(decoder.get(), &utf8, &bytes));
    return std::string(utf8, bytes);
  }

private:
  Text text;
  std::unique_ptr<pianola_decoder, decltype(&pianola_decoder_destroy)> decoder{
      nullptr, pianola_decoder_destroy};
};

struct SessionOptions {
  int64_t maxLen = 0;  // positions; 0: what the model allows
  int32_t threads = 0; // 0: one for each worker
  double watchdogSeconds = 0;
  std::string device = {}, launch = {}; // "": what the roll is for; "persistent"
};

struct TextOptions {
  int64_t maxTokens = 0; // 0: until the context is full
  std::vector<std::string> stops = {};
  bool showSpecial = false;
};

struct TextResult {
  End end;
  int64_t tokens;
};

/// A conversation. For one thread at a time, except cancel().
class Session {
public:
  explicit Session(const Model &model, const SessionOptions &options = {}) : model(model) {
    auto given = detail::sized<pianola_session_options>();
    given.max_len = options.maxLen;
    given.threads = options.threads;
    given.watchdog_seconds = options.watchdogSeconds;
    given.device = options.device.empty() ? nullptr : options.device.c_str();
    given.launch = options.launch.empty() ? nullptr : options.launch.c_str();
    pianola_session *created = nullptr;
    detail::check(pianola_session_create(model.get(), &given, &created));
    session.reset(created);
  }
  Session(Session &&) = default;
  /// The session that was goes before its model.
  Session &operator=(Session &&other) noexcept {
    session = std::move(other.session);
    model = std::move(other.model);
    return *this;
  }

  void feed(const Tokens &ids) { detail::check(pianola_feed(get(), ids.data(), ids.size())); }

  /// Makes the context these ids; returns how many of them were there already.
  size_t feedPrompt(const Tokens &ids) {
    size_t kept = 0;
    detail::check(pianola_feed_prompt(get(), ids.data(), ids.size(), &kept));
    return kept;
  }

  /// Feeds, and returns the logits after each token: [ids][vocabulary].
  std::vector<float> feedAll(const Tokens &ids) {
    std::vector<float> logits(ids.size() * vocabulary());
    detail::check(pianola_feed_all(get(), ids.data(), ids.size(), logits.data()));
    return logits;
  }

  /// [vocabulary] after the last token fed.
  std::vector<float> logits() const {
    const float *found = pianola_logits(get());
    if (!found)
      throw Error(pianola_error());
    return std::vector<float>(found, found + vocabulary());
  }

  void setSampling(const Sampling &sampling) {
    std::vector<pianola_logit_bias> biases;
    for (const auto &[token, bias] : sampling.logitBias)
      biases.push_back({token, bias});
    auto given = detail::sized<pianola_sampling>();
    given.temperature = sampling.temperature;
    given.top_k = sampling.topK;
    given.top_p = sampling.topP;
    given.min_p = sampling.minP;
    given.repetition_penalty = sampling.repetitionPenalty;
    given.presence_penalty = sampling.presencePenalty;
    given.frequency_penalty = sampling.frequencyPenalty;
    given.seed = sampling.seed;
    given.logit_bias = biases.data();
    given.logit_bias_count = biases.size();
    detail::check(pianola_set_sampling(get(), &given));
  }

  /// What generation ends at, in place of the model's own.
  void setStops(const Tokens &ids) {
    detail::check(pianola_set_stops(get(), ids.data(), ids.size()));
  }

  int32_t sample() {
    int32_t token = 0;
    detail::check(pianola_sample(get(), &token));
    return token;
  }

  int32_t step() {
    int32_t token = 0;
    detail::check(pianola_step(get(), &token));
    return token;
  }

  /// `callback(int32_t)` returns nothing, or whether to go on.
  template <typename Callback> End generate(int64_t n, Callback &&callback) {
    detail::Hearer<std::remove_reference_t<Callback>> hearer{callback};
    pianola_end end = PIANOLA_END_LENGTH;
    hearer.check(pianola_generate(
        get(), n,
        [](int32_t token, void *user) {
          return static_cast<decltype(hearer) *>(user)->hear(token);
        },
        &hearer, &end));
    return static_cast<End>(end);
  }

  /// `callback(std::string_view)` returns nothing, or whether to go on.
  template <typename Callback>
  TextResult generateText(const Text &text, Callback &&callback, const TextOptions &options = {}) {
    std::vector<const char *> stops;
    for (const std::string &stop : options.stops)
      stops.push_back(stop.c_str());
    auto given = detail::sized<pianola_text_options>();
    given.max_tokens = options.maxTokens;
    given.stops = stops.data();
    given.stop_count = stops.size();
    given.show_special = options.showSpecial;
    auto result = detail::sized<pianola_text_result>();
    detail::Hearer<std::remove_reference_t<Callback>> hearer{callback};
    hearer.check(pianola_generate_text(
        get(), text.get(), &given,
        [](const char *utf8, size_t bytes, void *user) {
          return static_cast<decltype(hearer) *>(user)->hear(std::string_view(utf8, bytes));
        },
        &hearer, &result));
    return {static_cast<End>(result.end), result.tokens};
  }

  int64_t position() const { return pianola_position(get()); }
  void truncate(int64_t length) { detail::check(pianola_truncate(get(), length)); }

  /// From any thread.
  void cancel() { pianola_cancel(get()); }

  pianola_session *get() const { return session.get(); }

private:
  size_t vocabulary() const { return static_cast<size_t>(model.info().vocabulary); }

  Model model;
  std::unique_ptr<pianola_session, decltype(&pianola_session_destroy)> session{
      nullptr, pianola_session_destroy};
};

} // namespace v0
} // namespace pianola

#endif
