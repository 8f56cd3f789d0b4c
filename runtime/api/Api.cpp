// Api.cpp - the C interface over the runtime's classes.
//
// Structs that callers fill start with their size: a member that is new here is taken from a caller
// that knows it, and has its default for one that does not.
#include "pianola/runtime.h"
#include "runtime/sampling/Sampler.h"
#include "runtime/session/Session.h"

#include <algorithm>
#include <cstring>
#include <new>

using namespace pianola;

struct pianola_model {
  std::unique_ptr<Roll> roll;
};

struct pianola_session {
  pianola_model *model;
  std::unique_ptr<Session> session;
  std::unique_ptr<Sampler> sampler;
};

namespace {

thread_local std::string lastError;

pianola_status fail(const std::string &message) {
  lastError = message;
  return message == "cancelled" ? PIANOLA_CANCELLED : PIANOLA_FAILED;
}

// Runs `body`, which returns a Status; what the standard library throws becomes an error.
template <typename Body> pianola_status guard(Body body) {
  try {
    Status status = body();
    return status.ok() ? PIANOLA_OK : fail(status.message());
  } catch (const std::bad_alloc &) {
    return fail("out of memory");
  } catch (const std::exception &error) {
    return fail(error.what());
  }
}

template <typename T> bool known(const T *given, T &to) {
  if (!given || given->size < sizeof(size_t) || given->size > 4096)
    return false;
  std::memcpy(&to, given, std::min(given->size, sizeof(T)));
  to.size = sizeof(T);
  return true;
}

int32_t validVocabulary(const pianola_session *session) {
  return static_cast<int32_t>(session->model->roll->manifest().model.validVocabulary);
}

Status feed(pianola_session *session, const int32_t *ids, size_t count, float *logits) {
  if (!session || (!ids && count))
    return Status::error("a null pointer was given");
  FeedOptions options;
  options.allLogits = logits;
  return session->session->feed(ids, count, options);
}

Status sample(pianola_session *session, int32_t *token) {
  if (!session || !token)
    return Status::error("a null pointer was given");
  Result<int32_t> chosen = session->session->sample(*session->sampler);
  if (!chosen)
    return chosen.status();
  *token = *chosen;
  return Status();
}

} // namespace

const char *pianola_version(void) { return PIANOLA_VERSION; }

const char *pianola_error(void) { return lastError.c_str(); }

pianola_status pianola_open(const char *path, pianola_model **model) {
  return guard([&]() -> Status {
    if (!path || !model)
      return Status::error("a null pointer was given");
    Result<std::unique_ptr<Roll>> roll = Roll::open(path);
    if (!roll)
      return roll.status();
    *model = new pianola_model{std::move(*roll)};
    return Status();
  });
}

void pianola_close(pianola_model *model) { delete model; }

pianola_status pianola_get_info(const pianola_model *model, pianola_model_info *info) {
  return guard([&]() -> Status {
    if (!model || !info || info->size < sizeof(size_t))
      return Status::error("a null pointer or a struct without its size was given");
    const RollManifest &manifest = model->roll->manifest();
    pianola_model_info all = {};
    all.size = info->size;
    all.vocabulary = static_cast<int32_t>(manifest.model.vocabulary);
    all.valid_vocabulary = static_cast<int32_t>(manifest.model.validVocabulary);
    all.max_len = static_cast<int64_t>(manifest.maxModelLen);
    all.workers = static_cast<int32_t>(manifest.tapes.size());
    all.stop_ids = manifest.generation.stop.data();
    all.stop_count = manifest.generation.stop.size();
    std::memcpy(info, &all, std::min(info->size, sizeof(all)));
    return Status();
  });
}

pianola_status pianola_session_create(pianola_model *model, const pianola_session_options *options,
                                      pianola_session **session) {
  return guard([&]() -> Status {
    if (!model || !session)
      return Status::error("a null pointer was given");
    pianola_session_options given = {};
    if (options && !known(options, given))
      return Status::error("session options without their size were given");
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
  return guard([&] {
    return logits ? feed(session, ids, count, logits) : Status::error("a null pointer was given");
  });
}

const float *pianola_logits(const pianola_session *session) {
  const float *logits = nullptr;
  (void)guard([&]() -> Status {
    if (!session)
      return Status::error("a null pointer was given");
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
    if (!session || !known(sampling, given))
      return Status::error("a null pointer or a struct without its size was given");
    SamplingOptions options;
    options.temperature = given.temperature;
    options.topK = given.top_k;
    options.topP = given.top_p;
    options.minP = given.min_p;
    options.repetitionPenalty = given.repetition_penalty;
    options.presencePenalty = given.presence_penalty;
    options.frequencyPenalty = given.frequency_penalty;
    options.seed = given.seed;
    if (Status status = validate(options, validVocabulary(session)); !status.ok())
      return status;
    session->sampler = std::make_unique<Sampler>(options, validVocabulary(session));
    return Status();
  });
}

pianola_status pianola_sample(pianola_session *session, int32_t *token) {
  return guard([&] { return sample(session, token); });
}

pianola_status pianola_step(pianola_session *session, int32_t *token) {
  return guard([&] {
    Status status = sample(session, token);
    return status.ok() ? feed(session, token, 1, nullptr) : status;
  });
}

pianola_status pianola_generate(pianola_session *session, int64_t n,
                                pianola_token_callback callback, void *user) {
  return guard([&]() -> Status {
    if (!session || n < 1)
      return Status::error("a null pointer or no number of tokens was given");
    GenerateOptions options;
    options.most = static_cast<uint64_t>(n);
    options.stops = session->model->roll->manifest().generation.stop;
    if (callback)
      options.take = [&](int32_t token) { return callback(token, user) == 0; };
    Result<GenerationEnd> end = session->session->generate(*session->sampler, options);
    return end ? Status() : end.status();
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
