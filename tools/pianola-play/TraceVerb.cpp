// TraceVerb.cpp - pianola-play trace: when each worker did what, and what was predicted.
#include "tools/pianola-play/PlayVerbs.h"
#include "tools/pianola/TraceOptions.h"

#include <nlohmann/json.hpp>

namespace pianola {

namespace {

struct TraceVerbOptions {
  std::string roll, stages;
  int64_t context = 256;
  TraceOptions trace;
  SessionOptions session;
};

std::string describe(const std::vector<StageShare> &shares) {
  nlohmann::json kinds = nlohmann::json::array();
  for (const StageShare &share : shares)
    kinds.push_back({{"kind", share.kind},
                     {"steps", share.steps},
                     {"predicted_us", share.predicted * 1e-3},
                     {"recorded_us", share.recorded * 1e-3},
                     {"waiting_us", share.waiting * 1e-3}});
  return nlohmann::json{{"kinds", kinds}}.dump(1) + "\n";
}

Status trace(const TraceVerbOptions &options) {
  Result<std::unique_ptr<Roll>> roll = Roll::open(options.roll);
  if (!roll)
    return roll.status();
  uint64_t tokens = options.session.tracePlays + 1;
  SessionOptions settings = options.session;
  settings.maxLen =
      std::min<uint64_t>((*roll)->manifest().maxModelLen, options.context + tokens + 1);
  Result<std::unique_ptr<Session>> session = Session::create(**roll, settings);
  if (!session)
    return session.status();
  int64_t vocabulary = (*roll)->manifest().model.validVocabulary;
  std::vector<int32_t> ids(options.context);
  for (int64_t i = 0; i < options.context; ++i) // any tokens will do
    ids[i] = static_cast<int32_t>((i * 7919 + 13) % vocabulary);
  if (Status status = (*session)->feed(ids.data(), ids.size()); !status.ok())
    return status;
  GenerateOptions wanted;
  wanted.most = tokens;
  Sampler sampler({}, static_cast<int32_t>(vocabulary));
  if (Result<GenerationEnd> end = (*session)->generate(sampler, wanted); !end)
    return end.status();
  Result<Recording> recording = (*session)->recording();
  if (!recording)
    return recording.status();
  std::vector<StageShare> shares = stageShares(**roll, *recording);
  if (!options.stages.empty() && !writeFile(options.stages, describe(shares)))
    return Status::error("--stages " + options.stages + ": cannot be written");
  if (!options.trace.wanted())
    printShares(shares, std::max<uint64_t>(1, recording->plays - 1));
  return writeRecording(options.trace, **roll, **session);
}

} // namespace

void addTraceVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<TraceVerbOptions>();
  options->session.tracePlays = kTracePlays;
  CLI::App *verb = app.add_subcommand("trace", "Record when each worker does what");
  verb->add_option("roll", options->roll, "The roll to play")->required();
  verb->add_option("--context", options->context, "Tokens before those that are recorded")
      ->check(CLI::Range(1, 1 << 24));
  verb->add_option("--plays", options->session.tracePlays, "Tokens that are recorded")
      ->check(CLI::Range(1, 1 << 16));
  verb->add_option("--stages", options->stages,
                   "Write what was predicted and recorded of each kind of stage, as JSON");
  addTraceOptions(*verb, options->trace);
  addDeviceOptions(*verb, options->session);
  verb->callback([=, &exitCode] {
    if (Status status = trace(*options); !status.ok())
      exitCode = fail(options->roll + ": " + status.message());
  });
}

} // namespace pianola
