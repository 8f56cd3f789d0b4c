// SessionApi.cpp - the C interface: conversations in token ids.
#include "runtime/api/Handles.h"

using namespace pianola;
using namespace pianola::api;

namespace {

int32_t validVocabulary(const pianola_session *session) {
  return static_cast<int32_t>(session->model->roll->manifest().model.validVocabulary);
}

Status feed(pianola_session *session, const int32_t *ids, size_t count, float *logits) {
  if (!session || (!ids && count))
    return nullPointer();
  FeedOptions options;
  options.allLogits = logits;
  return session->session->feed(ids, count, options);
}

Status sample(pianola_session *session, int32_t *token) {
  if (!session || !token)
    return nullPointer();
  Result<int32_t> chosen = session->session->sample(*session->sampler);
  if (!chosen)
    return chosen.status();
  *token = *chosen;
  return Status();
}

} // namespace

pianola_status pianola_session_create(pianola_model *model, const pianola_session_options *options,
                                      pianola_session **session) {
  return guard([&]() -> Status {
    if (!model || !session)
      return nullPointer();
    pianola_session_options given = {};
    if (options)
      if (Status status = readStruct(options, given, "session options"); !status.ok())
        return status;
    if (given.max_len < 0 || given.threads < 0 || !(given.watchdog_seconds >= 0))
      return Status::error("session options must not be negative");
    SessionOptions wanted;
    wanted.maxLen = static_cast<uint64_t>(given.max_len);
    wanted.threads = static_cast<unsigned>(given.threads);
    if (given.watchdog_seconds > 0)
      wanted.watchdogSeconds = given.watchdog_seconds;
    if (given.device) {
      std::optional<DeviceKind> device = parseDevice(given.device);
      if (!device)
        return Status::error("device: expected auto, host, cuda or emulator, found " +
                             std::string(given.device));
      wanted.device = *device;
    }
    if (given.launch) {
      std::optional<LaunchKind> launch = parseLaunch(given.launch);
      if (!launch)
        return Status::error("launch: expected persistent or graph, found " +
                             std::string(given.launch));
      wanted.launch = *launch;
    }
    Result<std::unique_ptr<Session>> created = Session::create(*model->roll, wanted);
    if (!created)
      return created.status();
    auto made = std::make_unique<pianola_session>();
    made->model = model;
    made->session = std::move(*created);
    made->sampler = std::make_unique<Sampler>(SamplingOptions(), validVocabulary(made.get()));
    *session = made.release();
    return Status();
  });
}

void pianola_session_destroy(pianola_session *session) { delete session; }

pianola_status pianola_feed(pianola_session *session, const int32_t *ids, size_t count) {
  return guard([&] { return feed(session, ids, count, nullptr); });
}

pianola_status pianola_feed_all(pianola_session *session, const int32_t *ids, size_t count,
                                float *logits) {
  return guard([&] { return logits ? feed(session, ids, count, logits) : nullPointer(); });
}

pianola_status pianola_feed_prompt(pianola_session *session, const int32_t *ids, size_t count,
                                   size_t *kept) {
  return guard([&]() -> Status {
    if (!session || (!ids && count))
      return nullPointer();
    Result<uint64_t> same = session->session->feedPrompt(ids, count);
    if (!same)
      return same.status();
    if (kept)
      *kept = *same;
    return Status();
  });
}

const float *pianola_logits(const pianola_session *session) {
  const float *logits = nullptr;
  (void)guard([&]() -> Status {
    if (!session)
      return nullPointer();
    Result<const float *> found = session->session->logits();
    if (!found)
      return found.status();
    logits = *found;
    return Status();
  });
  return logits;
}

pianola_status pianola_set_sampling(pianola_session *session, const pianola_sampling *sampling) {
  return guard([&]() -> Status {
    pianola_sampling given = {};
    given.top_p = given.repetition_penalty = 1;
    if (!session)
      return nullPointer();
    if (Status status = readStruct(sampling, given, "sampling"); !status.ok())
      return status;
    if (!given.logit_bias && given.logit_bias_count > 0)
      return nullPointer();
    SamplingOptions options;
    options.temperature = given.temperature;
    options.topK = given.top_k;
    options.topP = given.top_p;
    options.minP = given.min_p;
    options.repetitionPenalty = given.repetition_penalty;
    options.presencePenalty = given.presence_penalty;
    options.frequencyPenalty = given.frequency_penalty;
    options.seed = given.seed;
    for (size_t i = 0; i < given.logit_bias_count; ++i)
      options.logitBias.emplace_back(given.logit_bias[i].token, given.logit_bias[i].bias);
    if (Status status = validate(options, validVocabulary(session)); !status.ok())
      return status;
    session->sampler = std::make_unique<Sampler>(options, validVocabulary(session));
    return Status();
  });
}

pianola_status pianola_set_stops(pianola_session *session, const int32_t *ids, size_t count) {
  return guard([&]() -> Status {
    if (!session || (!ids && count))
      return nullPointer();
    int64_t vocabulary = session->model->roll->manifest().model.vocabulary;
    for (size_t i = 0; i < count; ++i)
      if (ids[i] < 0 || ids[i] >= vocabulary)
        return Status::error("stop " + std::to_string(i) + " is " + std::to_string(ids[i]) +
                             ", which is not in the vocabulary of " + std::to_string(vocabulary));
    session->stops.emplace(ids, ids + count);
    return Status();
  });
}

pianola_status pianola_sample(pianola_session *session, int32_t *token) {
  return guard([&] { return sample(session, token); });
}

pianola_status pianola_step(pianola_session *session, int32_t *token) {
  return guard([&] {
    if (!token)
      return Status::error("a null pointer was given");
    int32_t chosen = 0;
    if (Status status = sample(session, &chosen); !status.ok())
      return status;
    if (Status status = feed(session, &chosen, 1, nullptr); !status.ok())
      return status;
    *token = chosen;
    return Status();
  });
}

pianola_status pianola_generate(pianola_session *session, int64_t n,
                                pianola_token_callback callback, void *user, pianola_end *end) {
  return guard([&]() -> Status {
    if (!session || n < 1)
      return Status::error("a null pointer or no number of tokens was given");
    GenerateOptions options;
    options.most = static_cast<uint64_t>(n);
    options.stops =
        session->stops ? *session->stops : session->model->roll->manifest().generation.stop;
    if (callback)
      options.take = [&](int32_t token) { return callback(token, user) == 0; };
    Result<GenerationEnd> ended = session->session->generate(*session->sampler, options);
    if (!ended)
      return ended.status();
    if (end)
      *end = endOf(*ended);
    return Status();
  });
}

int64_t pianola_position(const pianola_session *session) {
  return session ? static_cast<int64_t>(session->session->position()) : 0;
}

pianola_status pianola_truncate(pianola_session *session, int64_t length) {
  return guard([&]() -> Status {
    if (!session || length < 0)
      return Status::error("a null pointer or a negative length was given");
    return session->session->truncate(static_cast<uint64_t>(length));
  });
}

void pianola_cancel(pianola_session *session) {
  if (session)
    session->session->cancel();
}
