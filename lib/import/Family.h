// Family.h - the model families, one per file of this folder.
//
// To add one: write its file like its neighbours, declare it here, and list it in Import.cpp.
#ifndef PIANOLA_LIB_IMPORT_FAMILY_H
#define PIANOLA_LIB_IMPORT_FAMILY_H

#include "lib/import/DecoderBuilder.h"

namespace pianola {

struct Family {
  llvm::StringLiteral architecture;       // in config.json's architectures
  llvm::StringLiteral name;               // in the module's #transformer.model
  void (*build)(DecoderBuilder &decoder); // emits the body of @forward
};

extern const Family deepSeekV2;
extern const Family deepSeekV3;
extern const Family deepSeekV32;
extern const Family gemma2;
extern const Family gemma3;
extern const Family glm;
extern const Family glm4;
extern const Family glm4Moe;
extern const Family glm4MoeLite;
extern const Family glm5;
extern const Family gpt2;
extern const Family gptNeoX;
extern const Family gptOss;
extern const Family granite;
extern const Family graniteMoe;
extern const Family llama;
extern const Family llama4;
extern const Family ministral3;
extern const Family mistral;
extern const Family mixtral;
extern const Family olmo2;
extern const Family olmo3;
extern const Family phi3;
extern const Family qwen2;
extern const Family qwen2Moe;
extern const Family qwen3;
extern const Family qwen35;
extern const Family qwen35Moe;
extern const Family qwen3Moe;
extern const Family qwen3Next;
extern const Family smolLM3;

} // namespace pianola

#endif
