// Gguf.cpp - any bytes as a GGUF file: refused, or every tensor can be read, and every text made of
// it is taken or refused like those of a directory.
#include "lib/checkpoint/GenerationConfig.h"
#include "lib/checkpoint/GgufCheckpoint.h"
#include "lib/checkpoint/GgufConfig.h"
#include "lib/checkpoint/GgufTokenizer.h"
#include "lib/checkpoint/ModelConfig.h"
#include "runtime/template/ChatConfig.h"
#include "runtime/text/Tokenizer.h"
#include "test/fuzz/Input.h"

using namespace pianola;

namespace {

/// Empty if it is refused.
std::string taken(llvm::Expected<std::string> text) {
  if (text)
    return std::move(*text);
  fuzz::expect(!llvm::toString(text.takeError()).empty(), "a refusal says why");
  return "";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::MemoryFile memory(fuzz::textOf(data, size));
  llvm::Expected<std::unique_ptr<GgufFile>> file = GgufFile::open(memory.path());
  if (!file) {
    fuzz::expect(!llvm::toString(file.takeError()).empty(), "a refusal says why");
    return 0;
  }
  uint64_t all = 0;
  for (const GgufTensor &tensor : (*file)->tensors())
    all += tensor.bytes;
  fuzz::expect(all <= size, "tensors do not overlap");

  std::string config = taken(ggufConfig(**file)), generation = taken(ggufGeneration(**file));
  if (!config.empty()) {
    llvm::consumeError(ModelConfig::fromText(config).takeError());
    if (!generation.empty())
      llvm::consumeError(GenerationConfig::fromTexts(config, generation).takeError());
  }
  if (std::string text = taken(ggufTokenizer(**file)); !text.empty())
    if (Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(text))
      (void)(*tokenizer)->encode("A piano,  <s> \n42", {});
  if (std::string text = taken(ggufTokenizerConfig(**file)); !text.empty())
    (void)ChatConfig::read(text, "");

  llvm::Expected<std::unique_ptr<GgufCheckpoint>> checkpoint = GgufCheckpoint::open(memory.path());
  if (!checkpoint) {
    fuzz::expect(!llvm::toString(checkpoint.takeError()).empty(), "a refusal says why");
    return 0;
  }
  for (const std::string &name : (*checkpoint)->names()) {
    const TensorInfo &tensor = *(*checkpoint)->find(name);
    std::vector<float> floats(tensor.elements());
    llvm::consumeError((*checkpoint)->readFloats(tensor, 0, floats));
  }
  return 0;
}
