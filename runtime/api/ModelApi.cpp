// ModelApi.cpp - the C interface: errors, and rolls.
#include "runtime/api/Handles.h"
#include "runtime/session/ModelSampling.h"

using namespace pianola;
using namespace pianola::api;

static thread_local std::string lastError;

pianola_status api::fail(const std::string &message) {
  lastError = message;
  return message == "cancelled" ? PIANOLA_CANCELLED : PIANOLA_FAILED;
}

const char *pianola_version(void) { return PIANOLA_VERSION; }

const char *pianola_error(void) { return lastError.c_str(); }

pianola_status pianola_open(const char *path, pianola_model **model) {
  return guard([&]() -> Status {
    if (!path || !model)
      return nullPointer();
    Result<std::unique_ptr<Roll>> roll = Roll::open(path);
    if (!roll)
      return roll.status();
    *model = new pianola_model{std::move(*roll)};
    return Status();
  });
}

void pianola_close(pianola_model *model) { delete model; }

pianola_status pianola_get_info(const pianola_model *model, pianola_model_info *info) {
  return guard([&]() -> Status {
    if (!model)
      return nullPointer();
    const RollManifest &manifest = model->roll->manifest();
    const RollTarget &target = manifest.target;
    pianola_model_info all = {};
    all.vocabulary = static_cast<int32_t>(manifest.model.vocabulary);
    all.valid_vocabulary = static_cast<int32_t>(manifest.model.validVocabulary);
    all.max_len = static_cast<int64_t>(manifest.maxModelLen);
    all.workers = static_cast<int32_t>(manifest.tapes.size());
    all.stop_ids = manifest.generation.stop.data();
    all.stop_count = manifest.generation.stop.size();
    all.name = manifest.model.name.c_str();
    all.family = manifest.model.family.c_str();
    all.parameters = manifest.model.parameters;
    all.target = (target.isGpu() ? target.device : target.name).c_str();
    all.compiler = manifest.pianola.c_str();
    all.file_bytes = model->roll->fileBytes();
    all.has_tokenizer = !model->roll->tokenizer().empty();
    return writeStruct(all, info, "model info");
  });
}

pianola_status pianola_get_sampling(const pianola_model *model, pianola_sampling *sampling) {
  return guard([&]() -> Status {
    if (!model)
      return nullPointer();
    SamplingOptions own = modelSampling(model->roll->manifest().generation);
    pianola_sampling all = {};
    all.temperature = own.temperature;
    all.top_k = own.topK;
    all.top_p = own.topP;
    all.min_p = own.minP;
    all.repetition_penalty = own.repetitionPenalty;
    return writeStruct(all, sampling, "sampling");
  });
}
