// TalkingRoll.h - a tiny roll with a tokenizer, which says what a test wants to hear.
#ifndef PIANOLA_TEST_RUNTIME_API_TALKINGROLL_H
#define PIANOLA_TEST_RUNTIME_API_TALKINGROLL_H

#include "pianola/text.h"
#include "test/runtime/roll/TinyRoll.h"

#include <cstdlib>
#include <unistd.h>

namespace pianola {

/// Tokens by their ids: kLead and kTrail are the bytes of an e with an acute accent.
enum Word { kBegin, kStop, kTurn, kA, kB, kC, kD, kSpace, kLead, kTrail, kAB };

inline TinyRoll talkingRoll() {
  TinyRoll roll;
  roll.tokenizer = R"({
    "added_tokens": [
      {"id": 0, "content": "<begin>", "single_word": false, "lstrip": false, "rstrip": false,
       "normalized": false, "special": true},
      {"id": 1, "content": "<stop>", "single_word": false, "lstrip": false, "rstrip": false,
       "normalized": false, "special": true},
      {"id": 2, "content": "<|im_end|>", "single_word": false, "lstrip": false, "rstrip": false,
       "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
                      "use_regex": false},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<begin>", "type_id": 0}},
                 {"Sequence": {"id": "A", "type_id": 0}}],
      "pair": [], "special_tokens": {"<begin>": {"id": "<begin>", "ids": [0],
                                                 "tokens": ["<begin>"]}}},
    "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
                "use_regex": false},
    "model": {"type": "BPE", "dropout": null, "unk_token": null,
      "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
      "byte_fallback": false, "ignore_merges": false,
      "vocab": {"a": 3, "b": 4, "c": 5, "d": 6, "Ġ": 7, "Ã": 8, "©": 9, "ab": 10,
                "<": 11, ">": 12, "s": 13, "t": 14, "op": 15},
      "merges": ["a b"]}})";
  roll.chatTemplate = "{%- for m in messages %}{{ '<begin>' ~ m.content ~ '<|im_end|>' }}"
                      "{%- if m.content == 'cc' %}{{ raise_exception('no cc') }}{% endif %}"
                      "{%- endfor %}{% if tools %}{{ tools[0].name }}{% endif %}"
                      "{%- if add_generation_prompt %}{{ 'a' }}{% endif %}";
  return roll;
}

/// A tiny roll in a file of its own, for the shared library to open.
class RollFile {
public:
  explicit RollFile(const TinyRoll &roll) : path(testing::TempDir() + "library.XXXXXX") {
    close(mkstemp(path.data()));
    roll.write(path);
  }
  ~RollFile() { unlink(path.c_str()); }

  std::string path;
};

/// All logits of a tiny roll are 0. So a bias below 1 decides which token is next, and a penalty of
/// 1 for being there makes that the next one of these.
inline std::vector<pianola_logit_bias> saying(const std::vector<int32_t> &ids) {
  std::vector<pianola_logit_bias> biases;
  for (int32_t id : ids)
    biases.push_back({id, 0.9f - 0.05f * static_cast<float>(biases.size())});
  return biases;
}

} // namespace pianola

#endif
