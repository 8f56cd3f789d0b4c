/* embed.c - plays a roll from C: embed X.roll ID... prints the twelve most likely next tokens. */
#include "pianola/runtime.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(void) {
  fprintf(stderr, "error: %s\n", pianola_error());
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: embed X.roll ID...\n");
    return 2;
  }
  pianola_model *model = NULL;
  pianola_session *session = NULL;
  if (pianola_open(argv[1], &model) || pianola_session_create(model, NULL, &session))
    return fail();
  for (int i = 2; i < argc; ++i) {
    int32_t id = atoi(argv[i]);
    if (pianola_feed(session, &id, 1))
      return fail();
  }
  for (int i = 0; i < 12; ++i) {
    int32_t token;
    if (pianola_step(session, &token))
      return fail();
    printf("%d%c", token, i < 11 ? ' ' : '\n');
  }
  pianola_session_destroy(session);
  pianola_close(model);
  return 0;
}
