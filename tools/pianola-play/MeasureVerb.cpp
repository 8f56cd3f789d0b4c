// MeasureVerb.cpp - pianola-play measure: how long tokens take, for somebody who measures others,
// too.
//
// Both ways of launching share the weights and take turns, and with --wait so does who writes lines
// to the standard input: one measurement for each. A line of JSON comes out of each:
//
//   {"launch": "persistent", "context": 256, "us": [time of each token]}
//
// The first token after the context is not among them: it comes of another program.
#include "runtime/session/Session.h"
#include "tools/pianola-play/PlayVerbs.h"

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

namespace pianola {

namespace {

using Clock = std::chrono::steady_clock;

struct MeasureOptions {
  std::string roll;
  std::vector<std::string> launches{"persistent", "graph"};
  int64_t context = 256, tokens = 64, rounds = 5;
  bool waits = false;
  SessionOptions session;
};

struct Way {
  std::string launch;
  std::unique_ptr<Session> session;
};

Status measureOnce(const MeasureOptions &options, const Roll &roll, Way &way) {
  Session &session = *way.session;
  if (Status status = session.truncate(0); !status.ok())
    return status;
  int64_t vocabulary = roll.manifest().model.validVocabulary;
  std::vector<int32_t> ids(options.context);
  for (int64_t i = 0; i < options.context; ++i) // any tokens will do
    ids[i] = static_cast<int32_t>((i * 7919 + 13) % vocabulary);
  if (Status status = session.feed(ids.data(), ids.size()); !status.ok())
    return status;
  std::vector<Clock::time_point> times;
  GenerateOptions wanted;
  wanted.most = options.tokens + 1;
  wanted.take = [&](int32_t) {
    times.push_back(Clock::now());
    return true;
  };
  Sampler sampler({}, static_cast<int32_t>(vocabulary));
  Result<GenerationEnd> end = session.generate(sampler, wanted);
  if (!end)
    return end.status();
  if (*end == GenerationEnd::Full)
    return Status::error(std::to_string(options.tokens) + " tokens after " +
                         std::to_string(options.context) + " do not fit in the context");
  nlohmann::json us = nlohmann::json::array();
  for (size_t i = 1; i < times.size(); ++i)
    us.push_back(std::chrono::duration<double, std::micro>(times[i] - times[i - 1]).count());
  nlohmann::json line = {{"launch", way.launch}, {"context", options.context}, {"us", us}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
  return Status();
}

// What there is to know of the roll, before the first measurement.
void describe(const Roll &roll, const Session &session) {
  const RollManifest &manifest = roll.manifest();
  const RollProgram *decode = &manifest.programs.front();
  for (const RollProgram &program : manifest.programs)
    if (program.slots < decode->slots)
      decode = &program;
  double tape = 0, ns = 0;
  for (const RollStep &step : decode->steps) {
    tape += step.cost.tape;
    ns += step.cost.ns;
  }
  nlohmann::json line = {{"device", session.deviceName()},
                         {"model", manifest.model.name},
                         {"parameters", manifest.model.parameters},
                         {"workers", manifest.target.workers},
                         {"steps", decode->steps.size()},
                         {"events", decode->events},
                         {"bytes", tape},
                         {"predicted_us", ns * 1e-3}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

Status measure(const MeasureOptions &options) {
  Result<std::unique_ptr<Roll>> roll = Roll::open(options.roll);
  if (!roll)
    return roll.status();
  std::vector<Way> ways;
  for (const std::string &launch : options.launches) {
    SessionOptions settings = options.session;
    settings.launch = *parseLaunch(launch);
    settings.maxLen =
        std::min<uint64_t>((*roll)->manifest().maxModelLen, options.context + options.tokens + 1);
    Result<std::unique_ptr<Session>> session = Session::create(**roll, settings);
    if (!session)
      return session.status();
    ways.push_back({launch, std::move(*session)});
  }
  describe(**roll, *ways.front().session);
  for (int64_t round = 0; round < options.rounds; ++round)
    for (Way &way : ways) {
      std::string line;
      if (options.waits && !std::getline(std::cin, line))
        return Status();
      if (Status status = measureOnce(options, **roll, way); !status.ok())
        return status;
    }
  return Status();
}

} // namespace

void addMeasureVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<MeasureOptions>();
  CLI::App *verb = app.add_subcommand("measure", "Measure tokens, launched in turns both ways");
  verb->add_option("roll", options->roll, "The roll to play")->required();
  verb->add_option("--launches", options->launches, "persistent, graph, or both in turns")
      ->delimiter(',')
      ->check(CLI::IsMember({"persistent", "graph"}));
  verb->add_option("--context", options->context, "Tokens before those that are measured")
      ->check(CLI::Range(1, 1 << 24));
  verb->add_option("--tokens", options->tokens, "Tokens of a measurement")
      ->check(CLI::Range(1, 1 << 24));
  verb->add_option("--rounds", options->rounds)->check(CLI::Range(1, 1 << 20));
  verb->add_flag("--wait", options->waits, "Wait for a line of input before each measurement");
  verb->add_option_function<std::string>(
          "--device",
          [=](const std::string &name) { options->session.device = *parseDevice(name); },
          "auto (what the roll is for), cuda, or emulator")
      ->check(CLI::IsMember({"auto", "cuda", "emulator"}));
  verb->callback([=, &exitCode] {
    if (Status status = measure(*options); !status.ok())
      exitCode = fail(options->roll + ": " + status.message());
  });
}

} // namespace pianola
