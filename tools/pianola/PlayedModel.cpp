// PlayedModel.cpp - what the verbs that talk have in common.
#include "tools/pianola/PlayedModel.h"

#include "tools/pianola/ModelText.h"

namespace pianola {

Result<std::unique_ptr<Roll>> openRoll(const std::string &model, RollRequest request,
                                       const RollFinder &rollOf) {
  std::string path = model;
  if (isModel(path)) { // what is missing is for Roll::open to say
    request.directory = path;
    Result<std::string> compiled = rollOf(request);
    if (!compiled)
      return compiled.status();
    path = *compiled;
  }
  return Roll::open(path);
}

Result<Chat> chatOf(const Roll &roll, const Tokenizer &tokenizer) {
  return Chat::create(tokenizer, {std::string(roll.chatTemplate()), roll.manifest().chatTokens});
}

void addSamplingOptions(CLI::App &verb, SamplingOptions &options) {
  verb.add_option("--temp,--temperature", options.temperature, "0: greedy");
  verb.add_option("--top-k", options.topK, "0: all");
  verb.add_option("--top-p", options.topP);
  verb.add_option("--min-p", options.minP);
  verb.add_option("--repeat-penalty,--repetition-penalty", options.repetitionPenalty);
  verb.add_option("--presence-penalty", options.presencePenalty);
  verb.add_option("--frequency-penalty", options.frequencyPenalty);
  verb.add_option("-s,--seed", options.seed);
}

void takeDefaults(const CLI::App &verb, const RollGeneration &generation,
                  SamplingOptions &options) {
  auto take = [&](const char *flag, const char *name, const auto &setting, auto &to) {
    if (!setting || verb.count(flag))
      return;
    to = static_cast<std::decay_t<decltype(to)>>(setting->value);
    std::fprintf(stderr, "%s %g (%s)\n", name, static_cast<double>(setting->value),
                 setting->from.c_str());
  };
  bool greedy = verb.count("--temp") ? options.temperature == 0
                                     : !(generation.doSample && generation.doSample->value);
  if (greedy) {
    options.temperature = 0;
    return;
  }
  if (!verb.count("--temp"))
    options.temperature = 1; // transformers' default
  take("--temp", "temperature", generation.temperature, options.temperature);
  take("--top-k", "top_k", generation.topK, options.topK);
  take("--top-p", "top_p", generation.topP, options.topP);
  take("--min-p", "min_p", generation.minP, options.minP);
  take("--repeat-penalty", "repetition_penalty", generation.repetitionPenalty,
       options.repetitionPenalty);
}

void addRequestOptions(CLI::App &verb, RollRequest &request) {
  verb.add_option("-c,--max-model-len", request.maxModelLen,
                  "Unless it is a roll: positions a session can hold");
  verb.add_option("--target", request.target, "Unless it is a roll: see compile");
}

} // namespace pianola
