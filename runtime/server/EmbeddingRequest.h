// EmbeddingRequest.h - what a body of /v1/embeddings asks for.
//
// Fields are OpenAI's (https://platform.openai.com/docs/api-reference/embeddings).
#ifndef PIANOLA_RUNTIME_SERVER_EMBEDDINGREQUEST_H
#define PIANOLA_RUNTIME_SERVER_EMBEDDINGREQUEST_H

#include "runtime/server/GenerationRequest.h"

namespace pianola::server {

struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt> inputs;
  bool isBase64 = false; // the bytes of f32 numbers, lowest first
};

/// The request, or why not. Embeddings have `dimensions` numbers, and no others can be had.
std::variant<EmbeddingRequest, ApiError>
readEmbeddingRequest(const ordered_json &body, int32_t vocabulary, int64_t dimensions);

} // namespace pianola::server

#endif
