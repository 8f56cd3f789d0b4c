/* caller-0.1.0.c - a program with structs as they were in its time, which keeps working.
 *
 * It includes no header of today: what is here is what its compiler saw, before models had names
 * and sampling had biases. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  size_t size;
  int32_t vocabulary;
  int32_t valid_vocabulary;
  int64_t max_len;
  int32_t workers;
  const int32_t *stop_ids;
  size_t stop_count;
} model_info;

typedef struct {
  size_t size;
  float temperature;
  int32_t top_k;
  float top_p;
  float min_p;
  float repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  uint64_t seed;
} sampling;

int pianola_open(const char *path, void **model);
int pianola_get_info(const void *model, model_info *info);
int pianola_session_create(void *model, const void *options, void **session);
int pianola_set_sampling(void *session, const sampling *sampling);
int pianola_feed(void *session, const int32_t *ids, size_t count);
int pianola_step(void *session, int32_t *token);
const char *pianola_error(void);
void pianola_session_destroy(void *session);
void pianola_close(void *model);

int main(int argc, char **argv) {
  void *model, *session;
  struct {
    model_info info;
    char behind[128];
  } told;
  struct {
    sampling given;
    char behind[128];
  } how;
  int32_t id = 4094;
  size_t i;
  memset(&told, 0x5a, sizeof(told));
  memset(&how, 0x5a, sizeof(how));
  told.info.size = sizeof(told.info);
  memset(&how.given, 0, sizeof(how.given));
  how.given.size = sizeof(how.given);
  how.given.top_p = how.given.repetition_penalty = 1;
  if (argc != 2 || pianola_open(argv[1], &model) || pianola_get_info(model, &told.info) ||
      pianola_session_create(model, NULL, &session) || pianola_set_sampling(session, &how.given) ||
      pianola_feed(session, &id, 1) || pianola_step(session, &id)) {
    printf("error: %s\n", pianola_error());
    return 1;
  }
  for (i = 0; i < sizeof(told.behind); ++i)
    if (told.behind[i] != 0x5a)
      printf("byte %u behind the info was written\n", (unsigned)i);
  printf("vocabulary %d, token %d\n", told.info.vocabulary, id);
  pianola_session_destroy(session);
  pianola_close(model);
  return 0;
}
