/* abi.c - prints what programs that are compiled already rely on: sizes, offsets, numbers. */
#include "pianola/text.h"

#include <stdio.h>

#define STRUCT(name) printf("%s: %u bytes\n", #name, (unsigned)sizeof(name))
#define MEMBER(name, member)                                                                       \
  printf("  %s at %u, %u bytes\n", #member, (unsigned)offsetof(name, member),                      \
         (unsigned)sizeof(((name *)0)->member))
#define NUMBER(name) printf("%s = %d\n", #name, (int)name)

int main(void) {
  STRUCT(pianola_model_info);
  MEMBER(pianola_model_info, size);
  MEMBER(pianola_model_info, vocabulary);
  MEMBER(pianola_model_info, valid_vocabulary);
  MEMBER(pianola_model_info, max_len);
  MEMBER(pianola_model_info, workers);
  MEMBER(pianola_model_info, stop_ids);
  MEMBER(pianola_model_info, stop_count);
  MEMBER(pianola_model_info, name);
  MEMBER(pianola_model_info, family);
  MEMBER(pianola_model_info, parameters);
  MEMBER(pianola_model_info, target);
  MEMBER(pianola_model_info, compiler);
  MEMBER(pianola_model_info, file_bytes);
  MEMBER(pianola_model_info, has_tokenizer);
  STRUCT(pianola_session_options);
  MEMBER(pianola_session_options, size);
  MEMBER(pianola_session_options, max_len);
  MEMBER(pianola_session_options, threads);
  MEMBER(pianola_session_options, watchdog_seconds);
  MEMBER(pianola_session_options, device);
  MEMBER(pianola_session_options, launch);
  STRUCT(pianola_logit_bias);
  MEMBER(pianola_logit_bias, token);
  MEMBER(pianola_logit_bias, bias);
  STRUCT(pianola_sampling);
  MEMBER(pianola_sampling, size);
  MEMBER(pianola_sampling, temperature);
  MEMBER(pianola_sampling, top_k);
  MEMBER(pianola_sampling, top_p);
  MEMBER(pianola_sampling, min_p);
  MEMBER(pianola_sampling, repetition_penalty);
  MEMBER(pianola_sampling, presence_penalty);
  MEMBER(pianola_sampling, frequency_penalty);
  MEMBER(pianola_sampling, seed);
  MEMBER(pianola_sampling, logit_bias);
  MEMBER(pianola_sampling, logit_bias_count);
  STRUCT(pianola_text_options);
  MEMBER(pianola_text_options, size);
  MEMBER(pianola_text_options, max_tokens);
  MEMBER(pianola_text_options, stops);
  MEMBER(pianola_text_options, stop_count);
  MEMBER(pianola_text_options, show_special);
  STRUCT(pianola_text_result);
  MEMBER(pianola_text_result, size);
  MEMBER(pianola_text_result, end);
  MEMBER(pianola_text_result, tokens);
  NUMBER(PIANOLA_OK);
  NUMBER(PIANOLA_FAILED);
  NUMBER(PIANOLA_CANCELLED);
  NUMBER(PIANOLA_END_LENGTH);
  NUMBER(PIANOLA_END_STOP);
  NUMBER(PIANOLA_END_STOP_STRING);
  NUMBER(PIANOLA_END_FULL);
  NUMBER(PIANOLA_END_CALLBACK);
  NUMBER(PIANOLA_ADD_SPECIAL);
  NUMBER(PIANOLA_PARSE_SPECIAL);
  return 0;
}
