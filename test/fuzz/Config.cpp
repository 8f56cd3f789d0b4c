// Config.cpp - any text as config.json, generation_config.json or tokenizer_config.json.
#include "lib/checkpoint/GenerationConfig.h"
#include "lib/checkpoint/ModelConfig.h"
#include "runtime/template/ChatConfig.h"
#include "test/fuzz/Input.h"

#include <cmath>

using namespace pianola;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text = fuzz::textOf(data, size);
  if (llvm::Expected<ModelConfig> config = ModelConfig::fromText(text)) {
    fuzz::expect(config->layers >= 1 && config->heads >= 1 && config->kvHeads >= 1 &&
                     config->headSize >= 1 && config->hidden >= 1 && config->vocabulary >= 1,
                 "sizes are positive");
    fuzz::expect(config->heads % config->kvHeads == 0, "heads are divided among those of keys");
    fuzz::expect(!config->ropeTheta || std::isfinite(*config->ropeTheta), "theta is finite");
    fuzz::expect(std::isfinite(config->normEps), "epsilon is finite");
  } else {
    fuzz::expect(!llvm::toString(config.takeError()).empty(), "a refusal says why");
  }
  llvm::Expected<GenerationConfig> generation = GenerationConfig::fromTexts(text, text);
  llvm::consumeError(generation.takeError());
  (void)ChatConfig::read(text, "");
  return 0;
}
