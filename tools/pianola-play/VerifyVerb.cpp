// VerifyVerb.cpp - pianola-play verify: whether a roll says what it should.
//
// What it should say is a safetensors file as in test/golden: `input_ids` and the `logits` after
// each of them, and `greedy_ids`, what comes after the first 12 of them, each with `greedy_margin`,
// by how much its logit was greater than the next one.
#include "runtime/session/Session.h"
#include "tools/pianola-play/PlayVerbs.h"
#include "tools/pianola-play/Tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace pianola {

namespace {

constexpr size_t kPrompt = 12;

struct VerifyOptions {
  std::string roll, expected;
  double tolerance = 2e-3; // test/numeric/Tolerance.h has the reasons
  size_t most = 1 << 20;   // input ids, and tokens
  int64_t repeats = 1;
  SessionOptions session;
};

struct Expected {
  std::vector<int32_t> ids, greedy;
  std::vector<float> logits, margins;
};

Result<Expected> readExpected(const std::string &path, uint64_t vocabulary, size_t most) {
  Result<Tensors> file = Tensors::read(path);
  if (!file)
    return file.status();
  Expected expected;
  for (auto [name, to] :
       {std::pair("input_ids", &expected.ids), std::pair("greedy_ids", &expected.greedy)}) {
    Result<std::vector<int32_t>> values = file->integers(name);
    if (!values)
      return values.status();
    *to = std::move(*values);
  }
  for (auto [name, to] :
       {std::pair("logits", &expected.logits), std::pair("greedy_margin", &expected.margins)}) {
    Result<std::vector<float>> values = file->floats(name);
    if (!values)
      return values.status();
    *to = std::move(*values);
  }
  if (expected.ids.size() < kPrompt || expected.logits.size() != expected.ids.size() * vocabulary ||
      expected.greedy.empty() || expected.margins.size() != expected.greedy.size())
    return Status::error(path + ": is not of this model: expected logits of [" +
                         std::to_string(expected.ids.size()) + ", " + std::to_string(vocabulary) +
                         "], and a margin for each of the greedy tokens");
  expected.ids.resize(std::min(expected.ids.size(), std::max(most, kPrompt)));
  expected.logits.resize(expected.ids.size() * vocabulary);
  expected.greedy.resize(std::min(expected.greedy.size(), most));
  return expected;
}

class Verification {
public:
  Verification(const VerifyOptions &options, const Roll &roll, Session &session,
               const Expected &expected)
      : options(options), expected(expected), session(session),
        vocabulary(roll.manifest().model.vocabulary),
        valid(static_cast<int32_t>(roll.manifest().model.validVocabulary)) {}

  Status run();
  nlohmann::json found;

private:
  Status logits(bool oneByOne, std::vector<float> &to);
  Status compare(bool oneByOne);
  Status generate(const SamplingOptions &sampling, std::vector<int32_t> &tokens);
  Status greedy();
  Status sampled(const char *name, const SamplingOptions &sampling);
  Status repeat();

  const VerifyOptions &options;
  const Expected &expected;
  Session &session;
  const size_t vocabulary;
  const int32_t valid;
  double error = 0; // greatest
};

Status Verification::logits(bool oneByOne, std::vector<float> &to) {
  if (Status status = session.truncate(0); !status.ok())
    return status;
  to.assign(expected.logits.size(), NAN);
  FeedOptions feed;
  feed.oneByOne = oneByOne;
  feed.allLogits = to.data();
  return session.feed(expected.ids.data(), expected.ids.size(), feed);
}

Status Verification::compare(bool oneByOne) {
  const char *name = oneByOne ? "decode" : "prefill";
  std::vector<float> got;
  if (Status status = logits(oneByOne, got); !status.ok())
    return status;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double apart = double(got[i]) - expected.logits[i];
    difference += apart * apart;
    norm += double(expected.logits[i]) * expected.logits[i];
    error = std::max(error, std::abs(apart));
  }
  double distance = std::sqrt(difference / norm);
  found[name] = distance;
  if (!(distance < options.tolerance)) // NaN, too
    return Status::error(std::string(name) + ": logits are " + std::to_string(distance) +
                         " away from what was expected");
  return Status();
}

// Tokens after the first ones of the input, as a program makes them that wants text.
Status Verification::generate(const SamplingOptions &sampling, std::vector<int32_t> &tokens) {
  tokens.clear();
  if (Status status = session.truncate(0); !status.ok())
    return status;
  if (Status status = session.feed(expected.ids.data(), kPrompt); !status.ok())
    return status;
  GenerateOptions wanted;
  wanted.most = expected.greedy.size();
  wanted.take = [&](int32_t token) {
    tokens.push_back(token);
    return true;
  };
  Sampler sampler(sampling, valid);
  return session.generate(sampler, wanted).status();
}

Status Verification::greedy() {
  std::vector<int32_t> got;
  if (Status status = generate({}, got); !status.ok())
    return status;
  size_t compared = 0;
  // A choice that rounding could turn around, and what comes after it, says nothing.
  for (; compared < expected.greedy.size() && expected.margins[compared] > 10 * error; ++compared)
    if (compared >= got.size() || got[compared] != expected.greedy[compared])
      return Status::error("token " + std::to_string(compared) + " after the prompt is " +
                           (compared < got.size() ? std::to_string(got[compared]) : "missing") +
                           ", expected " + std::to_string(expected.greedy[compared]));
  found["greedy"] = compared;
  return compared ? Status() : Status::error("no token was compared");
}

// Against the host's sampler, given the same logits.
Status Verification::sampled(const char *name, const SamplingOptions &sampling) {
  std::vector<int32_t> got;
  if (Status status = generate(sampling, got); !status.ok())
    return status;
  if (Status status = session.truncate(0); !status.ok())
    return status;
  if (Status status = session.feed(expected.ids.data(), kPrompt); !status.ok())
    return status;
  Sampler sampler(sampling, valid);
  for (size_t i = 0; i < got.size(); ++i) {
    Result<const float *> row = session.logits();
    if (!row)
      return row.status();
    Result<int32_t> token = sampler.sample(*row, session.history());
    if (!token)
      return token.status();
    if (*token != got[i])
      return Status::error(std::string(name) + ": token " + std::to_string(i) + " is " +
                           std::to_string(got[i]) + ", and the host's sampler takes " +
                           std::to_string(*token));
    if (Status status = session.feed(&got[i], 1); i + 1 < got.size() && !status.ok())
      return status;
  }
  found[name] = got.size();
  return Status();
}

// All bits, each time.
Status Verification::repeat() {
  std::vector<float> first, again;
  std::vector<int32_t> tokens, later;
  if (Status status = logits(false, first); !status.ok())
    return status;
  if (Status status = generate({}, tokens); !status.ok())
    return status;
  for (int64_t i = 1; i < options.repeats; ++i) {
    if (Status status = logits(false, again); !status.ok())
      return status;
    if (Status status = generate({}, later); !status.ok())
      return status;
    if (std::memcmp(first.data(), again.data(), first.size() * sizeof(float)) != 0)
      return Status::error("logits of run " + std::to_string(i) + " are not those of the first");
    if (tokens != later)
      return Status::error("tokens of run " + std::to_string(i) + " are not those of the first");
  }
  found["runs"] = options.repeats;
  return Status();
}

Status Verification::run() {
  for (bool oneByOne : {false, true})
    if (Status status = compare(oneByOne); !status.ok())
      return status;
  if (Status status = greedy(); !status.ok())
    return status;
  SamplingOptions warm;
  warm.temperature = 0.9f;
  warm.seed = 7;
  SamplingOptions nucleus = warm;
  nucleus.temperature = 0.7f;
  nucleus.topP = 0.9f;
  SamplingOptions narrow = warm;
  narrow.topK = 20;
  narrow.topP = 0.8f;
  narrow.minP = 0.02f;
  narrow.repetitionPenalty = 1.2f;
  narrow.frequencyPenalty = 0.1f;
  if (Status status = sampled("sampled", warm); !status.ok())
    return status;
  if (Status status = sampled("nucleus", nucleus); !status.ok())
    return status;
  if (Status status = sampled("penalised", narrow); !status.ok())
    return status;
  return options.repeats > 1 ? repeat() : Status();
}

Status verify(const VerifyOptions &options) {
  Result<std::unique_ptr<Roll>> roll = Roll::open(options.roll);
  if (!roll)
    return roll.status();
  Result<Expected> expected =
      readExpected(options.expected, (*roll)->manifest().model.vocabulary, options.most);
  if (!expected)
    return expected.status();
  Result<std::unique_ptr<Session>> session = Session::create(**roll, options.session);
  if (!session)
    return session.status();
  Verification verification(options, **roll, **session, *expected);
  verification.found = {{"roll", options.roll}, {"device", (*session)->deviceName()}};
  Status status = verification.run();
  verification.found["ok"] = status.ok();
  if (!status.ok())
    verification.found["error"] = status.message();
  std::printf("%s\n", verification.found.dump().c_str());
  return status;
}

} // namespace

void addVerifyVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App *verb = app.add_subcommand("verify", "Compare what a roll says with what it should");
  verb->add_option("roll", options->roll, "The roll to play")->required();
  verb->add_option("expected", options->expected, "safetensors: ids, logits, greedy tokens")
      ->required();
  verb->add_option("--tolerance", options->tolerance, "Of logits, by relative L2 distance")
      ->capture_default_str();
  verb->add_option("--most", options->most, "Input tokens and generated ones at most");
  verb->add_option("--repeat", options->repeats, "Play so often, and expect the same bits")
      ->check(CLI::Range(1, 1 << 20));
  verb->add_option("--watchdog", options->session.watchdogSeconds, "Seconds that a wait may take")
      ->check(CLI::PositiveNumber);
  addDeviceOptions(*verb, options->session);
  verb->callback([=, &exitCode] {
    if (Status status = verify(*options); !status.ok())
      exitCode = fail(options->roll + ": " + status.message());
  });
}

} // namespace pianola
