/* runtime.h - plays rolls: the C interface of libpianola. Texts are in pianola/text.h.
 *
 *   pianola_model *model;
 *   pianola_session *session;
 *   if (pianola_open("x.roll", &model) || pianola_session_create(model, NULL, &session))
 *     fprintf(stderr, "%s\n", pianola_error());
 *   pianola_feed(session, ids, count);
 *   for (int i = 0; i < 100 && !pianola_step(session, &token); ++i) ...
 *
 * Functions that can fail return a pianola_status; after anything but PIANOLA_OK, pianola_error()
 * says what was wrong, in one line, for this thread, and nothing was written to out-parameters.
 * Any of them fails for a null pointer where none is allowed, and when memory runs out. Nothing
 * here throws, and nothing ends the process.
 *
 * Structs start with their size, which the caller sets; new members come at the end. What an older
 * caller does not know has its default, which is 0 or NULL unless a comment says otherwise; what an
 * older library does not know must be 0.
 *
 * Threads: a model may be shared by any number of threads and sessions; it must outlive its
 * sessions. A session is for one thread at a time, except pianola_cancel, which any thread may
 * call. What a function reads from its arguments it has copied when it returns. A session plays on
 * threads of its own, pinned to cores; the calling thread is one of them while it plays. A roll for
 * a GPU is played there; sessions of a model share its weights.
 */
#ifndef PIANOLA_RUNTIME_H
#define PIANOLA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PIANOLA_API __attribute__((visibility("default")))
#else
#define PIANOLA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pianola_status {
  PIANOLA_OK = 0,
  PIANOLA_FAILED = 1,   /* see pianola_error() */
  PIANOLA_CANCELLED = 2 /* by pianola_cancel() */
} pianola_status;

typedef struct pianola_model pianola_model;
typedef struct pianola_session pianola_session;

/* "0.1.0" */
PIANOLA_API const char *pianola_version(void);

/* What went wrong in this thread's last call that failed; "" before any did. Good until the next.
 */
PIANOLA_API const char *pianola_error(void);

/* Opens a roll: maps it and checks all of it, weights included. Fails for what is no roll, for one
 * of another version or for another CPU, and for one that is damaged or truncated. */
PIANOLA_API pianola_status pianola_open(const char *path, pianola_model **model);
PIANOLA_API void pianola_close(pianola_model *model); /* NULL: nothing */

typedef struct pianola_model_info {
  size_t size;              /* set to sizeof(pianola_model_info) before the call */
  int32_t vocabulary;       /* logits have this many numbers */
  int32_t valid_vocabulary; /* ids from here on have no text and are never sampled */
  int64_t max_len;          /* positions a session can hold at most */
  int32_t workers;          /* threads, or SMs, it is scheduled for */
  const int32_t *stop_ids;  /* generation ends at any of these */
  size_t stop_count;
  const char *name;      /* as its config.json has it: "LlamaForCausalLM" */
  const char *family;    /* of models: "llama" */
  int64_t parameters;    /* numbers in its weights */
  const char *target;    /* what it is compiled for: "host", or a GPU: "h200" */
  const char *compiler;  /* the version that compiled it: "0.1.0" */
  uint64_t file_bytes;   /* of the roll */
  int32_t has_tokenizer; /* pianola_text_create() finds one */
} pianola_model_info;
/* Pointers are good until the model is closed. */
PIANOLA_API pianola_status pianola_get_info(const pianola_model *model, pianola_model_info *info);

typedef struct pianola_session_options {
  size_t size;             /* set to sizeof(pianola_session_options) */
  int64_t max_len;         /* positions; 0: what the model allows */
  int32_t threads;         /* 1 .. workers; 0: as many as there are workers; more are not used */
  double watchdog_seconds; /* a wait longer than this ends the play with a report; 0: 20 */
  const char *device;      /* "host", "cuda", "emulator"; NULL or "auto": what the roll is for */
  const char *launch;      /* of a GPU: "persistent" (also NULL), or "graph": stage by stage */
} pianola_session_options;

/* A conversation: an empty context and greedy sampling. `options` may be NULL. */
PIANOLA_API pianola_status pianola_session_create(pianola_model *model,
                                                  const pianola_session_options *options,
                                                  pianola_session **session);
PIANOLA_API void pianola_session_destroy(pianola_session *session); /* NULL: nothing */

/* Feeds `count` token ids at the next positions. Fails, with nothing fed, for an id outside of the
 * vocabulary and for more tokens than positions are left. When cancelled, what is fed already
 * stays: pianola_position() tells. */
PIANOLA_API pianola_status pianola_feed(pianola_session *session, const int32_t *ids, size_t count);

/* Makes the context these ids, one or more: what it begins with already stays, and the rest is fed,
 * the last one always. So a conversation that has grown costs what is new; the last bits of logits
 * may differ from those of a prompt that is fed at once, for its chunks are others. `kept` (may be
 * NULL) gets how many stayed. Fails as pianola_feed does, with the context as it was; when
 * cancelled, what stayed and what is fed already is there. */
PIANOLA_API pianola_status pianola_feed_prompt(pianola_session *session, const int32_t *ids,
                                               size_t count, size_t *kept);

/* The same as pianola_feed, and writes the logits after each token to logits[count][vocabulary]. */
PIANOLA_API pianola_status pianola_feed_all(pianola_session *session, const int32_t *ids,
                                            size_t count, float *logits);

/* f32[vocabulary] after the last token fed; NULL if there is none. Good until the next call. */
PIANOLA_API const float *pianola_logits(const pianola_session *session);

typedef struct pianola_logit_bias {
  int32_t token;
  float bias; /* added to its logit: -1000 .. 1000; of several for a token, all */
} pianola_logit_bias;

typedef struct pianola_sampling {
  size_t size;              /* set to sizeof(pianola_sampling) */
  float temperature;        /* 0: greedy, the first of the greatest logits */
  int32_t top_k;            /* 0: all */
  float top_p;              /* 1: all, also for an older caller */
  float min_p;              /* 0: all */
  float repetition_penalty; /* 1: none, also for an older caller */
  float presence_penalty;   /* 0: none */
  float frequency_penalty;  /* 0: none */
  uint64_t seed;
  const pianola_logit_bias *logit_bias; /* may be NULL if there are none */
  size_t logit_bias_count;
} pianola_sampling;

/* What the model's own settings say: of generation_config.json, and greedy if that is silent. */
PIANOLA_API pianola_status pianola_get_sampling(const pianola_model *model,
                                                pianola_sampling *sampling);

/* How tokens are chosen from now on; draws start again from the seed. Fails for values out of
 * range, and then nothing changes. */
PIANOLA_API pianola_status pianola_set_sampling(pianola_session *session,
                                                const pianola_sampling *sampling);

/* Chooses a token by the last logits; the context stays as it is. */
PIANOLA_API pianola_status pianola_sample(pianola_session *session, int32_t *token);

/* Chooses a token and feeds it. */
PIANOLA_API pianola_status pianola_step(pianola_session *session, int32_t *token);

/* What generation ends at from now on, in place of the model's stop ids. Fails for ids outside of
 * the vocabulary, and then nothing changes. */
PIANOLA_API pianola_status pianola_set_stops(pianola_session *session, const int32_t *ids,
                                             size_t count);

/* Why a generation ended. */
typedef enum pianola_end {
  PIANOLA_END_LENGTH = 0,      /* as many tokens as were wanted */
  PIANOLA_END_STOP = 1,        /* a stop id */
  PIANOLA_END_STOP_STRING = 2, /* see pianola/text.h */
  PIANOLA_END_FULL = 3,        /* the context has no position left */
  PIANOLA_END_CALLBACK = 4     /* which said so */
} pianola_end;

/* Hears a token as soon as it is chosen; anything but 0 ends the generation. It must not throw, and
 * of the session's functions it may call pianola_cancel alone. */
typedef int (*pianola_token_callback)(int32_t token, void *user);

/* Chooses a token, feeds it, chooses the next, at most `n` of them: what pianola_sample and
 * pianola_feed would make in turn, but a GPU goes on by itself. Ends early at a stop id, which the
 * callback (may be NULL) hears too, and where the context is full; `end` (may be NULL) gets why.
 * The last token is not fed, and there are no logits afterwards: to go on, feed it. When cancelled,
 * what the callback has heard stays. */
PIANOLA_API pianola_status pianola_generate(pianola_session *session, int64_t n,
                                            pianola_token_callback callback, void *user,
                                            pianola_end *end);

PIANOLA_API int64_t pianola_position(const pianola_session *session); /* tokens fed */

/* Forgets all tokens from position `length` on. Of layers that attend to a window of positions the
 * newest alone are kept: where more is needed, the tokens that stay are fed anew. */
PIANOLA_API pianola_status pianola_truncate(pianola_session *session, int64_t length);

/* Makes the play under way end soon with PIANOLA_CANCELLED; if there is none, the next. */
PIANOLA_API void pianola_cancel(pianola_session *session);

#ifdef __cplusplus
}
#endif

#endif
