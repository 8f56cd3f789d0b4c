// TokenizerJson.cpp - any text as tokenizer.json, and what follows a zero byte as a text to encode.
#include "runtime/text/Tokenizer.h"
#include "test/fuzz/Input.h"

#include <memory>

using namespace pianola;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view rest = fuzz::textOf(data, size);
  std::string_view json = fuzz::takePart(rest);
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(json);
  if (!tokenizer) {
    fuzz::expect(!tokenizer.message().empty(), "a refusal says why");
    return 0;
  }
  const int32_t size32 = (*tokenizer)->vocabularySize();
  for (std::string_view text :
       {rest, json.substr(0, 200), std::string_view(" a\u00e4\u0301 1234  \n\tb</s><|x|>\xff")})
    for (bool special : {false, true}) {
      auto ids = (*tokenizer)->encode(text, {special, special});
      if (!ids) // a pattern may take up to five seconds before it is given up
        return 0;
      for (int32_t id : *ids)
        fuzz::expect(id >= 0 && id < size32, "ids are of the vocabulary");
      (void)(*tokenizer)->decode(*ids, special);
      StreamDecoder stream(**tokenizer, special);
      for (int32_t id : *ids)
        (void)stream.feed(id);
      (void)stream.finish();
    }
  for (int32_t id : {-1, 0, 1, size32 - 1, size32, INT32_MAX})
    (void)(*tokenizer)->bytesOf(id, false);
  return 0;
}
