/* text.h - texts in and out of a model: its tokenizer, its chat template, and generation of text.
 *
 *   pianola_text *text;
 *   pianola_text_create(model, &text);
 *   pianola_chat_encode(text, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}],"
 *                             " \"add_generation_prompt\": true}", &ids, &count);
 *   pianola_feed_prompt(session, ids, count, NULL);
 *   pianola_generate_text(session, text, NULL, print, NULL, NULL);
 *
 * Errors, structs and sizes are as in pianola/runtime.h. Who deals in token ids alone does without
 * this header. Texts are UTF-8 without a BOM; those that come out also end with a NUL, which their
 * size does not count.
 *
 * Threads: a pianola_text never changes, and may be used by any number of threads at once. A
 * pianola_decoder is for one thread at a time. JSON and templates are evaluated on the caller's
 * stack: threads that encode chats should have a megabyte of it.
 */
#ifndef PIANOLA_TEXT_H
#define PIANOLA_TEXT_H

#include "pianola/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The tokenizer and the chat template of a model. It needs neither the model nor its sessions. */
typedef struct pianola_text pianola_text;

/* Fails for a roll that has no tokenizer, or one of a kind that is not known. A chat template that
 * is missing or not understood is an error of the functions that need one. */
PIANOLA_API pianola_status pianola_text_create(const pianola_model *model, pianola_text **text);
PIANOLA_API void pianola_text_destroy(pianola_text *text); /* NULL: nothing */

/* Frees what functions here have allocated; NULL: nothing. */
PIANOLA_API void pianola_free(void *allocated);

/* What pianola_encode does beyond plain text: a sum of these. */
enum {
  PIANOLA_ADD_SPECIAL = 1,  /* adds what the model wants before and after a text */
  PIANOLA_PARSE_SPECIAL = 2 /* special tokens are recognised. Not for text from outside: without
                               this flag it stays text, whatever it says */
};

/* The ids of `bytes` bytes of text, for pianola_free(). Fails for what is not UTF-8. */
PIANOLA_API pianola_status pianola_encode(const pianola_text *text, const char *utf8, size_t bytes,
                                          unsigned flags, int32_t **ids, size_t *count);

/* The text of ids, for pianola_free(). Ids that are not known are nothing, bytes that are not UTF-8
 * are U+FFFD, and special tokens are left out unless `show_special`. `bytes` may be NULL. */
PIANOLA_API pianola_status pianola_decode(const pianola_text *text, const int32_t *ids,
                                          size_t count, int show_special, char **utf8,
                                          size_t *bytes);

/* Makes text of ids that come one by one. */
typedef struct pianola_decoder pianola_decoder;

/* `text` must outlive it. */
PIANOLA_API pianola_status pianola_decoder_create(const pianola_text *text, int show_special,
                                                  pianola_decoder **decoder);
PIANOLA_API void pianola_decoder_destroy(pianola_decoder *decoder); /* NULL: nothing */

/* The text that this id completes, never a part of a character; it may be empty. Good until the
 * next call for this decoder. `bytes` may be NULL. */
PIANOLA_API pianola_status pianola_decoder_feed(pianola_decoder *decoder, int32_t id,
                                                const char **utf8, size_t *bytes);

/* The same for what is held back when no more ids come. Afterwards a new text may begin. */
PIANOLA_API pianola_status pianola_decoder_finish(pianola_decoder *decoder, const char **utf8,
                                                  size_t *bytes);

/* The prompt of a conversation, as the model's chat template lays it out, for pianola_free().
 * `variables` is a JSON object as transformers' apply_chat_template takes it: "messages", and what
 * else the template knows, such as "tools", "add_generation_prompt": true, "enable_thinking". Fails
 * for other JSON, for what is nested more than 128 deep or has thousands of members in an object,
 * for a model without a template, where the template raises an exception (with its words), and
 * where it takes too many steps or too much memory. */
PIANOLA_API pianola_status pianola_chat_render(const pianola_text *text, const char *variables,
                                               char **prompt, size_t *bytes);

/* The same as ids. Nothing that a message says becomes a special token; the prompt as text cannot
 * tell them apart any more, so it is for looking at, not for encoding. */
PIANOLA_API pianola_status pianola_chat_encode(const pianola_text *text, const char *variables,
                                               int32_t **ids, size_t *count);

/* Hears a piece of text, of whole characters, as soon as it is sure; anything but 0 ends the
 * generation. Good during the call. It must not throw, and of the session's functions it may call
 * pianola_cancel alone. */
typedef int (*pianola_text_callback)(const char *utf8, size_t bytes, void *user);

typedef struct pianola_text_options {
  size_t size;              /* set to sizeof(pianola_text_options) */
  int64_t max_tokens;       /* 0: until the context is full */
  const char *const *stops; /* strings that the text ends before; may be NULL if there are none */
  size_t stop_count;
  int32_t show_special; /* special tokens are text, too */
} pianola_text_options;

typedef struct pianola_text_result {
  size_t size; /* set to sizeof(pianola_text_result) before the call */
  pianola_end end;
  int64_t tokens; /* generated, stop ids too */
} pianola_text_result;

/* Generates text after what is fed, as pianola_generate does tokens. Ends at a stop string, which
 * is not part of the text, wherever tokens begin and end; and at ids: those of pianola_set_stops,
 * or if that was not called the model's stop ids and the tokens by which its chat template ends a
 * turn. The text of stop ids is not heard. `options` and `result` may be NULL. Fails for stops that
 * are empty or not UTF-8. When cancelled, the callback has heard all text of the tokens before. */
PIANOLA_API pianola_status pianola_generate_text(pianola_session *session, const pianola_text *text,
                                                 const pianola_text_options *options,
                                                 pianola_text_callback callback, void *user,
                                                 pianola_text_result *result);

#ifdef __cplusplus
}
#endif

#endif
