// EmbeddingRequest.cpp - what a body of /v1/embeddings asks for.
#include "runtime/server/EmbeddingRequest.h"

#include "runtime/server/Fields.h"

namespace pianola::server {

std::variant<EmbeddingRequest, ApiError>
readEmbeddingRequest(const ordered_json &body, int32_t vocabulary, int64_t dimensions) {
  EmbeddingRequest request;
  Fields fields(body);
  fields.take("model", request.model);
  std::string encoding = "float";
  fields.take("encoding_format", encoding);
  if (encoding != "float" && encoding != "base64")
    fields.fail("encoding_format", "expected float or base64, found \"" + encoding + "\"");
  request.isBase64 = encoding == "base64";
  int64_t wanted = dimensions;
  fields.take("dimensions", wanted, 1, INT32_MAX);
  if (wanted != dimensions)
    fields.fail("dimensions", "the model's embeddings have " + std::to_string(dimensions));
  request.inputs = readPrompts(fields, "input", vocabulary);
  if (fields.error)
    return *fields.error;
  return request;
}

} // namespace pianola::server
